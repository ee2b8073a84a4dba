"""The source `math-verify`: whether the response's final answer equals the label."""

import asyncio

from darling_models.errors import ModelUnavailable
from darling_models.final_answers.equality import labels_in, matches_label
from darling_models.final_answers.extraction import final_answer
from darling_models.final_answers.formula import formula
from darling_service.errors import Unavailable
from darling_service.off_loop import in_thread_if_long
from darling_service.quality.sample import RETRY_AFTER_S, Sample


class MathVerify:
    """Compares in worker processes. The kernel ends one whose answer uses up its CPU time, and that
    answer counts as wrong; a worker that ends otherwise is a failure."""

    def __init__(self) -> None:
        """Raises `ModelError` if math-verify is not installed."""
        from darling_models.final_answers.workers import Workers

        self._workers = Workers()

    async def quality(self, sample: Sample) -> float:
        label = sample.required_label()
        text = await in_thread_if_long(sample.answer, sample.words())
        if await in_thread_if_long(lambda: matches_label(text, label), [text, label]):
            return 1.0
        answer = await in_thread_if_long(lambda: final_answer(text), [text])
        if answer is None:
            return 0.0
        gold, response = labels_in(label)[0], answer.readings[0]
        if formula(gold) is None or formula(response) is None:
            return 0.0
        try:
            equal = await asyncio.wrap_future(self._workers.submit(gold, response))
        except ModelUnavailable as error:
            raise Unavailable(
                f"math-verify gave no verdict: {error}; send this rollout again later",
                retry_after_s=RETRY_AFTER_S,
            ) from None
        return float(equal)
