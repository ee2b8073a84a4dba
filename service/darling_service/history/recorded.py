"""A scored group on its way into the history."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from darling_models.keys import content_key
from darling_service.history.figures import Figures
from darling_service.schemas.history import PROMPT_CHARS
from darling_service.schemas.responses import ModelUsed, PartitionedGroup, RewardedGroup
from darling_service.scoring.partitioning import ClassifiedGroup

UNNAMED = "unnamed"
"""Name of the run of groups whose request names none."""
MAX_STEP = 2**63 - 1
"""Largest step, which requests and the store may hold."""
MAX_MATRIX_TEXTS = 128
"""Distinct texts of a group up to which its probabilities are kept: 16,384 numbers, 100 KB."""
DECIMALS = 4
"""Decimals of a probability that is kept: what a page shows."""
NUMBER_BYTES = 32
"""Bytes of a number in a list of Python."""
OVERHEAD_BYTES = 2048
"""About the bytes of memory that a group takes beside its texts and probabilities."""


class RunKey(NamedTuple):
    """A run belongs to the name of the API key that its requests came with."""

    caller: str
    run: str

    @classmethod
    def of(cls, caller: str, run: str) -> "RunKey":
        """The run that a request names; an empty name is none, and PostgreSQL keeps no NUL."""
        return cls(caller, run.replace("\0", "\ufffd") or UNNAMED)

    @property
    def label(self) -> str:
        """The run's name among those of all callers; a name of a key holds no slash."""
        return f"{self.caller}/{self.run}" if self.caller else self.run


class StepKey(NamedTuple):
    run: RunKey
    step: int


@dataclass(frozen=True, slots=True)
class WholeGroup:
    """A group with its texts, of which the reservoir keeps some."""

    group_id: str | int | None
    classified: ClassifiedGroup
    answer: PartitionedGroup
    model: ModelUsed
    criterion: str | None
    """By what a judge compared, in place of a notion."""
    objective: str | None

    @property
    def nbytes(self) -> int:
        """About the bytes of memory that are held; a character takes one, two or four."""
        texts = self.classified.texts
        chars = len(texts.prompt) + sum(map(len, texts.texts))
        listed = 0 if self.answer.probabilities is None else NUMBER_BYTES * len(texts.texts) ** 2
        return 2 * chars + self.classified.distinct.nbytes + listed

    def key(self, run: RunKey, step: int) -> str:
        """The group's id, the same for the same group in whatever order groups come, and as good as
        random: the reservoir keeps those with the smallest. It begins with `PROMPT_CHARS` of its
        prompt alone, so that prompts which are kept once are kept when they come again."""
        texts = self.classified.texts
        names = (*run, str(step), f"{type(self.group_id).__name__} {self.group_id}")
        prompt = content_key(texts.prompt_name).hex()[:PROMPT_CHARS]
        return f"{prompt}{content_key(*names, *texts.texts).hex()[PROMPT_CHARS:]}"

    def body(self) -> bytes:
        """The group as the history shows it, in JSON."""
        answer, texts, rule = self.answer, self.classified.texts, self.classified.rule
        n = len(answer.partition)
        rewarded = answer if isinstance(answer, RewardedGroup) else None
        columns: dict[str, Any] = {
            "text": texts.texts,
            "class": answer.partition,
            "diversity": answer.diversity,
            "quality": rewarded and rewarded.quality,
            "reward": rewarded and rewarded.rewards,
            "advantage": rewarded and rewarded.advantages,
        }
        rows = zip(*(column or [None] * n for column in columns.values()), strict=True)
        return orjson.dumps(
            {
                "prompt": texts.prompt,
                "model": self.model.id,
                "text": self.model.text,
                "notion": None if self.criterion is not None else self.model.notion,
                "criterion": self.criterion,
                "threshold": rule.threshold,
                "linkage": rule.linkage,
                "objective": self.objective,
                "group_id": self.group_id,
                "rollouts": [dict(zip(columns, row, strict=True)) for row in rows],
                "probabilities": self._probabilities(),
            }
        )

    def _probabilities(self) -> list[list[float]] | None:
        """The (n, n) matrix; None where it is large, or pairs were left out."""
        classified = self.classified
        if not classified.all_pairs or len(classified.distinct) > MAX_MATRIX_TEXTS:
            return None
        rounded: list[list[float]] = classified.probabilities.round(DECIMALS).tolist()
        return rounded


@dataclass(frozen=True, slots=True)
class Recorded:
    """One scored group. Its step is None where its request names none."""

    run: RunKey
    step: int | None
    at: float
    """Seconds since the epoch."""
    figures: Figures
    whole: WholeGroup | None
    """None where the group is not kept as a whole."""

    @property
    def nbytes(self) -> int:
        return OVERHEAD_BYTES + (0 if self.whole is None else self.whole.nbytes)
