"""What the process imports from which workers are forked, so that each starts in milliseconds."""

import logging

from darling_models.final_answers.worker import warm_up

logging.disable(logging.CRITICAL)  # math-verify warns that it has no time-out of its own
warm_up()
