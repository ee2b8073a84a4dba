"""The source `reward-model`: the score of a sequence-classification checkpoint."""

import asyncio
import logging
from collections.abc import Sequence

from darling_models.errors import ModelHung
from darling_service.engine.thread import ModelThread
from darling_service.errors import Overloaded, Unavailable
from darling_service.quality.sample import RETRY_AFTER_S, Sample
from darling_service.telemetry import Telemetry
from darling_service.upstream import problem_of

log = logging.getLogger(__name__)

MODEL_BATCH = 16
"""Rollouts that the reward model scores at a time."""
MAX_WAITING = 10_000
"""Rollouts that may wait for the reward model; the caller of one more gets 429."""


class LearnedReward:
    """A reward model that scores whatever waits for it in batches, off the event loop."""

    def __init__(
        self,
        path: str,
        device: str,
        max_length: int | None,
        telemetry: Telemetry,
        timeout_s: float,
    ) -> None:
        """Raises `ModelError` if the checkpoint cannot be loaded."""
        from darling_models.reward_model import RewardModel

        self._model = RewardModel(path, device, max_length)
        self._telemetry = telemetry
        self._waiting: list[tuple[Sample, asyncio.Future[float]]] = []
        self._runner: asyncio.Task[None] | None = None
        self._thread = ModelThread("reward model", timeout_s)

    async def quality(self, sample: Sample) -> float:
        if len(self._waiting) >= MAX_WAITING:
            raise Overloaded(
                "queue",
                f"{MAX_WAITING} rollouts wait for the reward model; send this one again later",
                retry_after_s=RETRY_AFTER_S,
            )
        score: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting.append((sample, score))
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return await score

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MODEL_BATCH], self._waiting[MODEL_BATCH:]
            await self._answer([(sample, score) for sample, score in batch if not score.done()])

    async def _answer(self, batch: Sequence[tuple[Sample, asyncio.Future[float]]]) -> None:
        """Scores a batch, and each rollout alone if that fails, so that only the bad ones fail."""
        if not batch:
            return
        samples = [sample for sample, _ in batch]
        try:
            numbers = await self._thread.call(self._scores, samples)
        except ModelHung as fault:
            for _, score in batch:
                if not score.done():
                    score.set_exception(problem_of(fault, "reward model"))
            return
        except Exception:
            if len(batch) > 1:
                for one in batch:
                    await self._answer([one])
                return
            log.exception("the reward model failed")
            failure = Unavailable(
                "the reward model failed; send this rollout again later (the service's log has "
                "the cause)",
                retry_after_s=RETRY_AFTER_S,
            )
            if not batch[0][1].done():
                batch[0][1].set_exception(failure)
            return
        for (_, score), number in zip(batch, numbers, strict=True):
            if not score.done():
                score.set_result(number)

    def _scores(self, samples: Sequence[Sample]) -> list[float]:
        inputs = [
            self._model.encode(sample.messages, sample.text())
            if sample.written is None
            else self._model.encode_written(sample.written[1])
            for sample in samples
        ]
        self._telemetry.truncated.inc(sum(one.truncated for one in inputs))
        return self._model.scores(inputs)
