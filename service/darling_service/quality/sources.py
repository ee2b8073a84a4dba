"""Quality for rollouts whose callers cannot send it: the sources, by name.

    constant      1: the reward is the diversity alone
    label-match   1 if the final answer equals the label as text, else 0
    math-verify   1 if math-verify finds it equal to the label, else 0
    reward-model  the score of a sequence-classification checkpoint
    http          the answer of another reward server, in OpenRLHF's wire format

The setting `quality` names the default; a request may name any source that needs no set-up, or the
one that is set up. A source that fails is a 503, never a number.
"""

import asyncio
import json
import logging
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from darling_models.errors import InputRejected, ModelError, ModelUnavailable
from darling_models.remote.hosts import Hosts

from darling_service.errors import FieldError, Invalid, Overloaded, Unavailable
from darling_service.rewards.quality import from_label
from darling_service.schemas.fields import MAX_SCORE
from darling_service.settings import Settings

log = logging.getLogger(__name__)

REQUESTS_PER_HOST = 64
MODEL_BATCH = 16
MAX_WAITING = 10_000
"""Rollouts that may wait for the reward model; beyond it, 429."""
RETRY_AFTER_S = 5.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What a source may look at."""

    messages: Sequence[Mapping[str, str]]
    """The prompt."""
    text: str
    """The response."""
    label: str | None
    written: tuple[str, str] | None = None
    """Prompt, and prompt with response, as the trainer wrote them, special tokens and all."""


class Source(Protocol):
    async def quality(self, sample: Sample) -> float:
        """Raises `Invalid`, `Overloaded`, `Unavailable`."""
        ...


class Qualities:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sources: dict[str, Source] = {"constant": Constant(), "label-match": LabelMatch()}
        self._default = kind_of(settings.quality)

    async def start(self) -> None:
        """Sets up the source of the settings. Raises `ModelError`."""
        name, target = self._settings.quality, self._settings.quality.partition(":")[2]
        if self._default == "http":
            self._sources["http"] = RewardServer(name.split(","))
        elif self._default == "reward-model" and target:
            options = self._settings.device, self._settings.max_length
            self._sources["reward-model"] = await asyncio.to_thread(LearnedReward, target, *options)
        elif self._default == "math-verify":
            self._sources["math-verify"] = MathVerify()
        elif name not in self._sources:
            raise ModelError(
                f"unknown quality {name!r}; choose constant, label-match, math-verify, "
                "reward-model:PATH_OR_ID or a reward server's URL"
            )

    async def of(self, sample: Sample, name: str | None) -> float:
        """The sample's quality from the source of this name, or the default one."""
        quality = await self._source(name or self._default).quality(sample)
        if not (math.isfinite(quality) and abs(quality) <= MAX_SCORE):
            log.warning("a quality source said %r", quality)
            raise Unavailable(f"the quality source said {quality}", retry_after_s=RETRY_AFTER_S)
        return quality

    def _source(self, name: str) -> Source:
        if name == "math-verify" and name not in self._sources:
            try:
                self._sources[name] = MathVerify()
            except ModelError as error:
                raise Invalid([FieldError(("query", "quality"), str(error))]) from None
        if name in self._sources:
            return self._sources[name]
        if name == self._default:
            raise Unavailable("the quality source is not ready", retry_after_s=RETRY_AFTER_S)
        known = ", ".join(dict.fromkeys([*self._sources, "math-verify"]))
        raise Invalid([FieldError(("query", "quality"), f"no source {name!r}; one of: {known}")])


class Constant:
    async def quality(self, sample: Sample) -> float:
        return 1.0


class LabelMatch:
    async def quality(self, sample: Sample) -> float:
        return from_label(sample.text, _label(sample))


class MathVerify:
    """Worker processes, ended by the kernel when an answer burns their time: that one is wrong."""

    def __init__(self) -> None:
        """Raises `ModelError` if math-verify is not installed."""
        from darling_models.final_answers.workers import TAIL_CHARS, WORKERS, Workers

        self._workers = Workers()
        self._tail = TAIL_CHARS
        self._threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="math-verify")

    async def quality(self, sample: Sample) -> float:
        label, text = _label(sample), sample.text[-self._tail :]
        if from_label(text, label):
            return 1.0
        gold = label if "$" in label or "\\boxed" in label else f"${label}$"
        try:
            agree = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._workers.ask, gold, text
            )
        except ModelUnavailable as error:
            raise Unavailable(str(error), retry_after_s=RETRY_AFTER_S) from None
        return float(bool(agree))


class LearnedReward:
    """A reward model, running whatever waits for it in batches, off the event loop."""

    def __init__(self, path: str, device: str, max_length: int | None) -> None:
        """Raises `ModelError`."""
        from darling_models.reward_model import RewardModel

        self._model = RewardModel(path, device, max_length)
        self._waiting: list[tuple[Sample, asyncio.Future[float]]] = []
        self._runner: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reward-model")

    async def quality(self, sample: Sample) -> float:
        if len(self._waiting) >= MAX_WAITING:
            full = f"{MAX_WAITING} rollouts wait for the reward model; send this again later"
            raise Overloaded(full, retry_after_s=RETRY_AFTER_S)
        scored: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting.append((sample, scored))
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return await scored

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting[:MODEL_BATCH], self._waiting[MODEL_BATCH:]
            batch = [(sample, scored) for sample, scored in batch if not scored.done()]
            samples = [sample for sample, _ in batch]
            try:
                scores = await loop.run_in_executor(self._thread, self._scores, samples)
            except Exception:
                log.exception("the reward model failed")
                failed = Unavailable("the reward model failed", retry_after_s=RETRY_AFTER_S)
                for _, scored in batch:
                    if not scored.done():
                        scored.set_exception(failed)
                continue
            for (_, scored), score in zip(batch, scores, strict=True):
                if not scored.done():
                    scored.set_result(score)

    def _scores(self, samples: Sequence[Sample]) -> list[float]:
        encoded = [
            self._model.encode(sample.messages, sample.text)
            if sample.written is None
            else self._model.encode_written(sample.written[1])
            for sample in samples
        ]
        return self._model.scores(encoded) if encoded else []


class RewardServer:
    """Another reward server in OpenRLHF's wire format: this service stands in front of it."""

    def __init__(self, urls: Sequence[str]) -> None:
        """Raises `ModelError` unless every URL is an HTTP one, without credentials."""
        self._hosts = Hosts(urls, REQUESTS_PER_HOST)
        self._threads = ThreadPoolExecutor(
            REQUESTS_PER_HOST * len(self._hosts), thread_name_prefix="reward-server"
        )

    async def quality(self, sample: Sample) -> float:
        body = _openrlhf(sample)
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, self._hosts.post, "", body, _reward
            )
        except (ModelUnavailable, InputRejected) as error:
            log.warning("the reward server gave no reward: %s", error)
            raise Unavailable(
                "the reward server behind gave no reward; see the service's log",
                retry_after_s=RETRY_AFTER_S,
            ) from None


def kind_of(name: str) -> str:
    """The source that a setting names."""
    kind = name.partition(":")[0]
    return "http" if kind == "https" else kind


def _label(sample: Sample) -> str:
    if sample.label is None:
        raise Invalid([FieldError(("label",), "this quality source compares with it; send one")])
    return sample.label


def _openrlhf(sample: Sample) -> dict[str, Any]:
    prompt = "\n\n".join(message["content"] for message in sample.messages)
    prompt, query = sample.written or (prompt, prompt + sample.text)
    return {"query": [query], "prompts": [prompt], "labels": [sample.label]}


def _reward(answer: Any) -> float:
    """The one reward of an answer, in a list or not."""
    reward = answer["rewards"]
    while isinstance(reward, list):
        (reward,) = reward
    if isinstance(reward, bool) or not isinstance(reward, int | float):
        raise TypeError(f"not a reward: {json.dumps(reward)}")
    if not math.isfinite(reward):
        raise ValueError(f"not a finite reward: {reward}")
    return float(reward)
