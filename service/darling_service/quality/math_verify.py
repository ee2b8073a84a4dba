"""The source `math-verify`: whether the response's final answer equals the label."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from darling_models.errors import ModelUnavailable
from darling_service.errors import Unavailable
from darling_service.quality.sample import RETRY_AFTER_S, Sample
from darling_service.rewards.quality import from_label


class MathVerify:
    """Compares in worker processes. The kernel ends one whose answer uses up its CPU time, and that
    answer counts as wrong."""

    def __init__(self) -> None:
        """Raises `ModelError` if math-verify is not installed."""
        from darling_models.final_answers.workers import TAIL_CHARS, WORKERS, Workers

        self._workers = Workers()
        self._tail_chars = TAIL_CHARS
        self._threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="math-verify")

    async def quality(self, sample: Sample) -> float:
        label, text = sample.required_label(), sample.text[-self._tail_chars :]
        if from_label(text, label):
            return 1.0
        gold = label if "$" in label or "\\boxed" in label else f"${label}$"
        try:
            equal = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._workers.ask, gold, text
            )
        except ModelUnavailable as error:
            raise Unavailable(str(error), retry_after_s=RETRY_AFTER_S) from None
        return float(bool(equal))
