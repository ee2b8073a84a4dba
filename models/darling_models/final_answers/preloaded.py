"""What the process imports from which workers are forked, so that each starts in milliseconds."""

import logging

from darling_models.final_answers.worker import warm_up

# math-verify warns that it has no time-out of its own.
logging.getLogger("math_verify").setLevel(logging.CRITICAL)
warm_up()
