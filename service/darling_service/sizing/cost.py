"""What work costs on a processor: seconds on one core (or GPU), and bytes of memory."""

from dataclasses import dataclass
from typing import Literal

from darling_service.sizing.work import Work

GIB = 2**30


@dataclass(frozen=True, slots=True)
class EncoderCost:
    """CPU seconds of the default classifier, with the path of a request around it."""

    group: float
    text: float
    token: float
    pair: float


@dataclass(frozen=True, slots=True)
class PairCost:
    """Seconds of a cross-encoder."""

    pair: float
    token: float
    longest: int
    """Tokens of the longest pair that was measured. Attention makes longer ones dearer by token."""


@dataclass(frozen=True, slots=True)
class Memory:
    process: float
    """Bytes of a process that has loaded the default classifier and scored groups."""
    text: float
    """Bytes for each text of a group that is being scored."""
    token: float
    """Bytes for each token of such a text."""

    def of(self, texts: float, tokens: float, cache: float) -> float:
        """Bytes of a process that holds so many texts, of `tokens` in all, and a full cache."""
        return self.process + cache + texts * self.text + tokens * self.token


@dataclass(frozen=True, slots=True)
class Processor:
    """The coefficients of a kind of processor; None and missing names were not measured."""

    description: str
    """Which one was measured, and how."""
    unit: Literal["core", "GPU"] = "core"
    encoder: EncoderCost | None = None
    cross_encoders: tuple[tuple[str, PairCost], ...] = ()
    """By name of the checkpoint."""


def seconds(work: Work, encoder: EncoderCost | None, pairs: PairCost | None) -> float:
    """Seconds that one core or GPU takes for the work, in which costs of None do not count."""
    total = 0.0
    if encoder is not None:
        total += work.groups * encoder.group + work.texts * encoder.text
        total += work.tokens * encoder.token + work.pairs * encoder.pair
    if pairs is not None:
        total += work.read_pairs * pairs.pair + work.pair_tokens * pairs.token
    return total
