"""What the process imports from which workers are forked, so that each starts in milliseconds."""

from darling_models.final_answers.worker import warm_up

warm_up()
