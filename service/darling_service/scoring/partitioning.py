"""Classifying: the probabilities and the partition of a group's texts.

Work on a group is done on its distinct texts in sorted order; only the last step puts the answers
back in the order of the rollouts. A permuted group is thus the same computation, bit for bit (but
for `greedy` linkage, which follows the given order by definition).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from darling_models.instructions import Instructions
from darling_models.lexical import short_answers_equivalent
from darling_models.pairs import Pairwise
from darling_models.partitions.linkage import partition
from darling_models.protocol import FloatArray, IntArray, Linkage, Notion, all_pairs
from darling_models.texts.group import GroupTexts
from darling_service.engine.engine import Engine
from darling_service.engine.job import Job
from darling_service.off_loop import in_thread_if_long
from darling_service.rewards.exact import BoolArray
from darling_service.schemas.responses import Usage
from darling_service.scoring.asking import Answers, at_once, run_jobs, until_connected, usage_of


@dataclass(frozen=True, slots=True)
class PartitionRule:
    """How texts become a partition: by which probabilities, and how these make classes."""

    threshold: float
    linkage: Linkage
    notion: Notion | None = None
    """What makes two texts equivalent, one of the classifier's notions; None: its default."""
    criterion: str | None = None
    """When two texts are the same, in words for a judge, in place of what the notion says."""
    short_answers: bool = False
    """Decide pairs of short answers by word overlap, as published."""
    partition_only: bool = False
    """Nobody reads the probabilities: pairs that cannot change the partition are left out."""
    with_cosines: bool = False
    """Cosines of all pairs are wanted too; the classifier is an `Embedder`, and no pair is left
    out."""


@dataclass(frozen=True, slots=True)
class ClassifiedGroup:
    """What the classifier says of a group. Matrices are kept for its distinct texts, and made for
    its rollouts when they are asked for: a request may hold hundreds of groups of equal texts."""

    texts: GroupTexts
    """What was compared."""
    partition: IntArray
    """Class of each rollout, shape (n,)."""
    content: IntArray
    """Number of each rollout's text among the distinct ones, shape (n,)."""
    distinct: FloatArray
    """P(equivalent) of the distinct texts, shape (u, u), 1 on the diagonal."""
    distinct_cosines: FloatArray | None
    """Shape (u, u), where the rule wants them."""
    rule: PartitionRule
    all_pairs: bool
    """Whether the probability of every pair is known; else those that cannot change the partition
    are left out."""

    @property
    def probabilities(self) -> FloatArray:
        """P(equivalent), shape (n, n), 1 for identical texts; 0 where a rule left a pair out."""
        return self._of_rollouts(self.distinct)

    @property
    def equivalent(self) -> BoolArray:
        """Decisions, shape (n, n), likewise."""
        same = self.content[:, None] == self.content[None, :]
        equivalent: BoolArray = (self.probabilities > self.rule.threshold) | same
        return equivalent

    @property
    def cosines(self) -> FloatArray | None:
        """Shape (n, n), where the rule wants them."""
        known = self.distinct_cosines
        return None if known is None else self._of_rollouts(known)

    def _of_rollouts(self, matrix: FloatArray) -> FloatArray:
        return matrix[np.ix_(self.content, self.content)]

    def alone(self, members: BoolArray) -> IntArray:
        """Class of each member, partitioned as if the other rollouts were not there, shape (n,).

        Numbered by first occurrence; -1 for the others. No other rollout can thus connect two
        members. Under single linkage without probabilities, the members must have been among the
        `parts` of `classify_groups`.
        """
        index = np.flatnonzero(members)
        own = self.distinct[np.ix_(self.content[index], self.content[index])]
        classes = np.full(len(members), -1, dtype=np.int64)
        classes[index] = partition(
            own, self.rule.threshold, self.rule.linkage, content=self.content[index]
        )
        return classes

    @property
    def num_classes(self) -> int:
        return int(self.partition.max()) + 1

    def as_fields(self, with_probabilities: bool) -> dict[str, Any]:
        """The fields of a `PartitionedGroup` that say how the texts were classified."""
        return {
            "partition": self.partition.tolist(),
            "num_classes": self.num_classes,
            "probabilities": self.probabilities.tolist() if with_probabilities else None,
            "reasoning_dropped": self.texts.reasoning_dropped,
            "reasoning_unfinished": self.texts.reasoning_unfinished,
        }


class PairTexts(NamedTuple):
    """What is compared of a pair."""

    prompt: str
    a: str
    b: str
    reference: str | None = None
    """The right answer, where a judge is to see it."""


@dataclass(frozen=True, slots=True)
class _Distinct:
    """The distinct texts of a group, and the pairs of them that the classifier must decide."""

    texts: list[str]
    member: IntArray
    """Index of each rollout's text, shape (n,)."""
    matrix: FloatArray
    """P(equivalent) between distinct texts, known by rule so far."""
    pairs: IntArray
    """Pairs (m, 2) that the classifier must decide."""


async def classify_groups(
    engine: Engine,
    groups: Sequence[GroupTexts],
    rule: PartitionRule,
    parts: Sequence[Sequence[BoolArray]] | None = None,
    due: float = math.inf,
) -> tuple[list[ClassifiedGroup], Usage]:
    """Classifies the groups' texts, all in the queue at once; also returns what that cost.

    `parts`: the rollouts of each group, shapes (n,), that will be partitioned `alone` too. `due`:
    event-loop time at which the caller gives up.
    Raises `Overloaded` before any model runs, and what `upstream.problem_of` makes of a failure.
    """
    distinct, jobs = await in_thread_if_long(
        lambda: _planned(engine, groups, rule), _texts_of(groups)
    )
    skips = rule.partition_only and rule.linkage == "single"
    in_rounds = skips and isinstance(engine.classifier, Pairwise)
    if in_rounds:
        asks = [
            until_connected(rule.threshold, [np.unique(texts.member[part]) for part in own])
            for texts, own in zip(distinct, parts or [()] * len(groups), strict=True)
        ]
    else:
        asks = [partial(at_once, rule.with_cosines)] * len(jobs)
    answers = await run_jobs(engine, jobs, asks, due, in_rounds)

    def partitioned() -> list[ClassifiedGroup]:
        return [
            _partitioned(group, texts, answer, rule, all_pairs=not in_rounds)
            for group, texts, answer in zip(groups, distinct, answers, strict=True)
        ]

    classified = await in_thread_if_long(partitioned, _texts_of(groups))
    pairs = sum(math.comb(len(group.texts), 2) for group in groups)
    return classified, usage_of(pairs, answers)


async def classify_pairs(
    engine: Engine,
    pairs: Sequence[PairTexts],
    notion: Notion | None = None,
    criterion: str | None = None,
    due: float = math.inf,
) -> tuple[FloatArray, Usage]:
    """P(equivalent) of each pair, shape (m,), 1 for identical texts; and what it cost.

    `notion`: one of the classifier's; None: its default. `criterion`: as in `PartitionRule`. `due`:
    as in `classify_groups`. Raises what that raises.
    """
    texts = (text for pair in pairs for text in pair if text is not None)
    places, jobs = await in_thread_if_long(
        lambda: _planned_pairs(engine, pairs, notion, criterion), texts
    )
    answers = await run_jobs(engine, jobs, [partial(at_once, False)] * len(jobs), due)
    values = np.ones(len(pairs), dtype=np.float64)
    for indices, answer in zip(places, answers, strict=True):
        values[indices] = answer.values
    return values, usage_of(len(pairs), answers)


def _texts_of(groups: Sequence[GroupTexts]) -> Iterable[str]:
    return (text for group in groups for text in group.texts)


def _planned(
    engine: Engine, groups: Sequence[GroupTexts], rule: PartitionRule
) -> tuple[list[_Distinct], list[Job]]:
    """The groups' distinct texts, and the jobs that compare them."""
    distinct = [_distinct(group.texts, rule) for group in groups]
    jobs = [
        engine.plan(
            group.prompt,
            texts.texts,
            texts.pairs,
            rule.notion,
            Instructions(rule.criterion, group.reference),
        )
        for group, texts in zip(groups, distinct, strict=True)
    ]
    return distinct, jobs


def _planned_pairs(
    engine: Engine, pairs: Sequence[PairTexts], notion: Notion | None, criterion: str | None
) -> tuple[list[list[int]], list[Job]]:
    """For each prompt and reference the places of their pairs of different texts, and the job that
    compares them."""
    places: dict[tuple[str, str | None], list[int]] = {}
    for index, pair in enumerate(pairs):
        if pair.a != pair.b:
            places.setdefault((pair.prompt, pair.reference), []).append(index)
    jobs = []
    for (prompt, reference), indices in places.items():
        texts = sorted({text for i in indices for text in (pairs[i].a, pairs[i].b)})
        number = {text: k for k, text in enumerate(texts)}
        numbered = [sorted((number[pairs[i].a], number[pairs[i].b])) for i in indices]
        own = np.asarray(numbered, dtype=np.int64)
        told = Instructions(criterion, reference)
        jobs.append(engine.plan(prompt, texts, own, notion, told))
    return list(places.values()), jobs


def _distinct(texts: Sequence[str], rule: PartitionRule) -> _Distinct:
    distinct = sorted(set(texts))
    number = {text: k for k, text in enumerate(distinct)}
    member = np.asarray([number[text] for text in texts], dtype=np.int64)
    matrix = np.eye(len(distinct), dtype=np.float64)
    pairs = all_pairs(len(distinct))
    if rule.short_answers:
        verdicts = [short_answers_equivalent(distinct[i], distinct[j]) for i, j in pairs.tolist()]
        ruled = np.asarray([verdict is not None for verdict in verdicts], dtype=np.bool_)
        values = np.asarray([bool(verdict) for verdict in verdicts], dtype=np.float64)
        _fill(matrix, pairs[ruled], values[ruled])
        pairs = pairs[~ruled]
    return _Distinct(distinct, member, matrix, pairs)


def _partitioned(
    texts: GroupTexts, group: _Distinct, answer: Answers, rule: PartitionRule, all_pairs: bool
) -> ClassifiedGroup:
    _fill(group.matrix, group.pairs, answer.values)
    cosines = None
    if answer.cosines is not None:
        cosines = np.eye(len(group.texts), dtype=np.float64)
        _fill(cosines, group.pairs, answer.cosines)
    classes = np.zeros(len(group.member), dtype=np.int64)
    if len(group.texts) > 1:
        full = group.matrix[np.ix_(group.member, group.member)]
        classes = partition(full, rule.threshold, rule.linkage, content=group.member)
    return ClassifiedGroup(texts, classes, group.member, group.matrix, cosines, rule, all_pairs)


def _fill(matrix: FloatArray, pairs: IntArray, values: FloatArray) -> None:
    rows, columns = pairs.T
    matrix[rows, columns] = values
    matrix[columns, rows] = values
