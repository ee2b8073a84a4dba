"""The quality sources of this process, by name.

    constant      1: the reward is the diversity alone
    label-match   1 if the final answer is the label, as they are written, else 0
    math-verify   1 if math-verify finds it equal to the label, else 0
    reward-model  the score of a sequence-classification checkpoint
    http          the answer of another reward server, in OpenRLHF's wire format

The setting `quality` names the default; a request may name any source that needs no set-up, or the
one that is set up. A source that fails is answered with 503, never with a number.
"""

import asyncio
import logging
import math

from darling_models.errors import ModelError
from darling_models.final_answers.equality import matches_label
from darling_service.errors import FieldError, Invalid, Unavailable
from darling_service.off_loop import in_thread_if_long
from darling_service.quality.math_verify import MathVerify
from darling_service.quality.reward_model import LearnedReward
from darling_service.quality.reward_server import RewardServer
from darling_service.quality.sample import RETRY_AFTER_S, Sample, Source
from darling_service.schemas.fields import MAX_SCORE
from darling_service.settings import Settings
from darling_service.telemetry import Telemetry

log = logging.getLogger(__name__)


class Constant:
    async def quality(self, sample: Sample) -> float:
        return 1.0


class LabelMatch:
    async def quality(self, sample: Sample) -> float:
        label = sample.required_label()
        matches = await in_thread_if_long(
            lambda: matches_label(sample.answer(), label), [*sample.words(), label]
        )
        return float(matches)


class Qualities:
    """The sources that need no set-up, and the one that the settings name."""

    def __init__(self, settings: Settings, telemetry: Telemetry) -> None:
        self._settings, self._telemetry = settings, telemetry
        self._sources: dict[str, Source] = {"constant": Constant(), "label-match": LabelMatch()}
        self._default = _kind(settings.quality)

    async def start(self) -> None:
        """Sets up the source that the settings name. Raises `ModelError`."""
        name, target = self._settings.quality, self._settings.quality.partition(":")[2]
        if self._default == "http":
            self._sources["http"] = RewardServer(name.split(","), self._settings.model_timeout_s)
        elif self._default == "reward-model" and target:
            self._sources["reward-model"] = await asyncio.to_thread(
                LearnedReward,
                target,
                self._settings.device,
                self._settings.max_length,
                self._telemetry,
                self._settings.model_timeout_s,
            )
        elif self._default == "math-verify":
            self._sources["math-verify"] = MathVerify()
        elif name not in self._sources:
            raise ModelError(
                f"unknown quality {name!r}; choose constant, label-match, math-verify, "
                "reward-model:PATH_OR_ID or a reward server's URL"
            )

    async def of(self, sample: Sample, name: str | None) -> float:
        """The sample's quality from the source of this name, or from the default one.

        Raises `Invalid`, `Overloaded` or `Unavailable`.
        """
        quality = await self._source(name or self._default).quality(sample)
        if not (math.isfinite(quality) and abs(quality) <= MAX_SCORE):
            log.warning("a quality source returned %r", quality)
            raise Unavailable(
                f"the quality source returned {quality}, which is not a number within "
                f"±{MAX_SCORE:g}; correct the source and send this rollout again",
                retry_after_s=RETRY_AFTER_S,
            )
        return quality

    async def ready(self) -> bool:
        """Whether the default source answers, as far as it is known."""
        source = self._sources.get(self._default)
        return await source.ready() if isinstance(source, RewardServer) else True

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
        names = ", ".join(dict.fromkeys([*self._sources, "math-verify"]))
        message = f"there is no quality source {name!r}; choose one of {names}"
        raise Invalid([FieldError(("query", "quality"), message)])


def _kind(name: str) -> str:
    """The name of the source that the setting `quality` stands for."""
    kind = name.partition(":")[0]
    return "http" if kind == "https" else kind
