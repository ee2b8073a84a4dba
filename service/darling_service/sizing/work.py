"""What scoring the groups of a step is made of: texts, tokens and pairs, counted by arithmetic."""

import math
from dataclasses import astuple, dataclass
from typing import Self

WINDOW = 254
"""Tokens that the default classifier's encoder reads at once (`embedded.encoder.WINDOW`)."""
OVERLAP = 32
"""Tokens that neighbouring windows share (`embedded.encoder.OVERLAP`)."""
SPECIAL = 2
"""Special tokens around a window."""
SPECIAL_IN_PAIR = 3
"""Special tokens around and between the two texts of a pair."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of one size, as a step has them."""

    count: int
    rollouts: int
    """Rollouts of a group, all of them different."""
    tokens: float
    """Tokens of a rollout, as the classifier's tokenizer counts them."""
    prompt_tokens: float

    def __post_init__(self) -> None:
        if self.count < 0 or self.rollouts < 1 or self.tokens < 0 or self.prompt_tokens < 0:
            raise ValueError(
                "counts of groups and tokens are at least 0, and a group has at least 1 rollout; "
                f"got {self}"
            )

    @property
    def pairs(self) -> int:
        return self.count * self.rollouts * (self.rollouts - 1) // 2


@dataclass(frozen=True, slots=True)
class PairReader:
    """How a cross-encoder, alone or behind a cascade, reads pairs."""

    share: float = 1.0
    """Share of all pairs that it reads: 1 by itself, less behind a cascade."""
    max_tokens: int = 512
    """Tokens of a pair that it reads at most."""


@dataclass(frozen=True, slots=True)
class Work:
    """Amounts that cost time. They add up."""

    groups: float = 0.0
    texts: float = 0.0
    """Texts that the encoder reads: rollouts and prompts."""
    tokens: float = 0.0
    """Tokens that the encoder reads of them, with those that windows share."""
    pairs: float = 0.0
    """Pairs that are compared by descriptions of their texts."""
    read_pairs: float = 0.0
    """Pairs that a cross-encoder reads."""
    pair_tokens: float = 0.0
    """Tokens that it reads of them."""

    def __add__(self, other: Self) -> Self:
        sums = (a + b for a, b in zip(astuple(self), astuple(other), strict=True))
        return type(self)(*sums)


def encoder_tokens(tokens: float) -> float:
    """Tokens that the encoder reads of a text of so many: some lie in two windows."""
    windows = max(1, math.ceil((tokens - OVERLAP) / (WINDOW - OVERLAP)))
    return tokens + (windows - 1) * OVERLAP + windows * SPECIAL


def work_of(groups: Groups, encoded: bool = True, pair_reader: PairReader | None = None) -> Work:
    """The work of all groups.

    `encoded`: whether the default classifier describes the texts and compares them, as it also does
    before a cascade's second model. `pair_reader`: the cross-encoder, if there is one.
    """
    work = Work(groups=groups.count)
    if groups.rollouts == 1:  # nothing to compare, so no model reads it
        return work
    if encoded:
        rollouts = groups.rollouts * encoder_tokens(groups.tokens)
        work += Work(
            texts=groups.count * (groups.rollouts + 1),
            tokens=groups.count * (rollouts + encoder_tokens(groups.prompt_tokens)),
            pairs=groups.pairs,
        )
    if pair_reader is not None:
        read = groups.pairs * pair_reader.share
        tokens = min(2 * groups.tokens + SPECIAL_IN_PAIR, pair_reader.max_tokens)
        work += Work(read_pairs=read, pair_tokens=read * tokens)
    return work
