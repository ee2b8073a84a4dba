"""Classifying: the probabilities and the partition of a group's texts.

Work on a group is done on its distinct texts in sorted order; only the last step puts the answers
back in the order of the rollouts. A permuted group is thus the same computation, bit for bit (but
for `greedy` linkage, which follows the given order by definition).
"""

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from darling_models.lexical import Unigram, short_answers_equivalent
from darling_models.pairs import Pairwise
from darling_models.partitions.linkage import partition
from darling_models.partitions.single_linkage import Components
from darling_models.protocol import FloatArray, IntArray, Linkage, Notion, all_pairs
from darling_models.texts.group import GroupTexts
from darling_service.engine.engine import Engine
from darling_service.engine.job import Job, Verdict
from darling_service.errors import Problem
from darling_service.rewards.exact import BoolArray
from darling_service.schemas.responses import Usage


@dataclass(frozen=True, slots=True)
class PartitionRule:
    """How texts become a partition: by which probabilities, and how these make classes."""

    threshold: float
    linkage: Linkage
    notion: Notion | None = None
    """What makes two texts equivalent, one of the classifier's notions; None: its default."""
    short_answers: bool = False
    """Decide pairs of short answers by word overlap, as published."""
    partition_only: bool = False
    """Nobody reads the probabilities: pairs that cannot change the partition are left out."""
    with_cosines: bool = False
    """Cosines of all pairs are wanted too; the classifier is an `Embedder`, and no pair is left
    out."""


@dataclass(frozen=True, slots=True)
class ClassifiedGroup:
    texts: GroupTexts
    """What was compared."""
    partition: IntArray
    """Class of each rollout, shape (n,)."""
    probabilities: FloatArray
    """P(equivalent), shape (n, n), 1 for identical texts; 0 where a rule left a pair out."""
    equivalent: BoolArray
    """Decisions, shape (n, n), likewise."""
    cosines: FloatArray | None
    """Shape (n, n), where the rule wants them."""
    content: IntArray
    """Number of each rollout's text among the distinct ones, shape (n,)."""
    rule: PartitionRule

    def alone(self, members: BoolArray) -> IntArray:
        """Class of each member, partitioned as if the other rollouts were not there, shape (n,).

        Numbered by first occurrence; -1 for the others. No other rollout can thus connect two
        members. Under single linkage without probabilities, the members must have been among the
        `parts` of `classify_groups`.
        """
        index = np.flatnonzero(members)
        own = self.probabilities[np.ix_(index, index)]
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


@dataclass(frozen=True, slots=True)
class _Answers:
    """What a job's pairs were found to be, and by which calls of the engine."""

    values: FloatArray
    """P(equivalent), shape (m,); 0 for pairs that nobody asked about."""
    cosines: FloatArray | None
    calls: list[tuple[Job, Verdict]]


Ask = Callable[[Engine, Job], Coroutine[Any, Any, _Answers]]


async def classify_groups(
    engine: Engine,
    groups: Sequence[GroupTexts],
    rule: PartitionRule,
    parts: Sequence[Sequence[BoolArray]] | None = None,
) -> tuple[list[ClassifiedGroup], Usage]:
    """Classifies the groups' texts, all in the queue at once; also returns what that cost.

    `parts`: the rollouts of each group, shapes (n,), that will be partitioned `alone` too.
    Raises `Overloaded` before any model runs, and what `upstream.problem_of` makes of a failure.
    """
    distinct = [_distinct(group.texts, rule) for group in groups]
    jobs = [
        engine.plan(group.prompt, texts.texts, texts.pairs, rule.notion)
        for group, texts in zip(groups, distinct, strict=True)
    ]
    skips = rule.partition_only and rule.linkage == "single"
    if skips and isinstance(engine.classifier, Pairwise):
        asks = [
            _until_connected(rule, [np.unique(texts.member[part]) for part in own])
            for texts, own in zip(distinct, parts or [()] * len(groups), strict=True)
        ]
    else:
        asks = [partial(_at_once, rule.with_cosines)] * len(jobs)
    answers = await _run(engine, jobs, asks)
    classified = [
        _partitioned(group, texts, answer, rule)
        for group, texts, answer in zip(groups, distinct, answers, strict=True)
    ]
    pairs = sum(math.comb(len(group.texts), 2) for group in groups)
    return classified, _usage(pairs, answers)


async def classify_pairs(
    engine: Engine, pairs: Sequence[tuple[str, str, str]], notion: Notion | None = None
) -> tuple[FloatArray, Usage]:
    """P(equivalent) of (prompt, a, b) pairs, shape (m,), 1 for identical texts; and what it cost.

    `notion`: one of the classifier's; None: its default.
    Raises `Overloaded` before any model runs, and what `upstream.problem_of` makes of a failure.
    """
    places: dict[str, list[int]] = {}
    values = np.ones(len(pairs), dtype=np.float64)
    for index, (prompt, a, b) in enumerate(pairs):
        if a != b:
            places.setdefault(prompt, []).append(index)
    jobs = []
    for prompt, indices in places.items():
        texts = sorted({text for i in indices for text in pairs[i][1:]})
        number = {text: k for k, text in enumerate(texts)}
        numbered = [sorted((number[pairs[i][1]], number[pairs[i][2]])) for i in indices]
        jobs.append(engine.plan(prompt, texts, np.asarray(numbered, dtype=np.int64), notion))
    answers = await _run(engine, jobs, [partial(_at_once, False)] * len(jobs))
    for indices, answer in zip(places.values(), answers, strict=True):
        values[indices] = answer.values
    return values, _usage(len(pairs), answers)


async def _run(engine: Engine, jobs: Sequence[Job], asks: Iterable[Ask]) -> list[_Answers]:
    """The jobs' answers; the room they need is reserved for all of them or for none."""
    with engine.reserve(sum(job.tokens for job in jobs)):
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(ask(engine, job)) for ask, job in zip(asks, jobs, strict=True)
                ]
        except* Problem as failures:
            # What no retry can mend is said first: 422 and 424 before 429 and 503.
            raise min(failures.exceptions, key=_status) from None
    return [task.result() for task in running]


def _status(problem: BaseException) -> int:
    return problem.status if isinstance(problem, Problem) else 500


def _usage(pairs: int, answers: Sequence[_Answers]) -> Usage:
    """What the answers about so many pairs of rollouts cost."""
    calls = [call for answer in answers for call in answer.calls]
    asked = sum(len(job.pairs) for job, _ in calls)
    cached = sum(job.cached_pairs + verdict.shared for job, verdict in calls)
    fresh = [result for _, verdict in calls for result in verdict.fresh]
    return Usage(
        pairs=pairs,
        classified=asked - cached,
        cached=cached,
        skipped=pairs - asked,
        truncated=sum(result.truncated for result in fresh),
        tokens=sum(result.tokens for result in fresh),
    )


async def _at_once(with_cosines: bool, engine: Engine, job: Job) -> _Answers:
    verdict = await engine.classify(job, with_cosines)
    return _Answers(verdict.probabilities, verdict.cosines, [(job, verdict)])


def _until_connected(rule: PartitionRule, parts: Sequence[IntArray]) -> Ask:
    """Asks about pairs, the likeliest first, until the connected components are settled: those of
    each part of the texts by itself, then those of all texts. A part holds ascending indices."""

    async def ask(engine: Engine, job: Job) -> _Answers:
        likeness = await asyncio.to_thread(
            Unigram().probabilities, job.prompt, job.texts, job.pairs, {}
        )
        place = {(i, j): k for k, (i, j) in enumerate(job.pairs.tolist())}
        values = np.zeros(len(job.pairs), dtype=np.float64)
        asked = np.zeros(len(job.pairs), dtype=np.bool_)
        calls = []
        for part in (*parts, np.arange(len(job.texts))):
            inside = np.isin(job.pairs, part).all(axis=1)
            local = np.searchsorted(part, job.pairs)
            fresh = inside & ~asked
            components = Components(len(part), local[fresh], likeness[fresh])
            components.join(local[inside & (values > rule.threshold)])
            while len(pairs := part[components.next_round()]):
                own = engine.plan(job.prompt, job.texts, pairs, rule.notion)
                verdict = await engine.classify(own)
                places = [place[i, j] for i, j in pairs.tolist()]
                values[places], asked[places] = verdict.probabilities, True
                components.join(local[places][verdict.probabilities > rule.threshold])
                calls.append((own, verdict))
        return _Answers(values, None, calls)

    return ask


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
    texts: GroupTexts, group: _Distinct, answer: _Answers, rule: PartitionRule
) -> ClassifiedGroup:
    _fill(group.matrix, group.pairs, answer.values)
    everyone = np.ix_(group.member, group.member)
    full = group.matrix[everyone]
    classes = partition(full, rule.threshold, rule.linkage, content=group.member)
    same = group.member[:, None] == group.member[None, :]
    cosines = None
    if answer.cosines is not None:
        cosines = np.eye(len(group.texts), dtype=np.float64)
        _fill(cosines, group.pairs, answer.cosines)
        cosines = cosines[everyone]
    equivalent = (full > rule.threshold) | same
    return ClassifiedGroup(texts, classes, full, equivalent, cosines, group.member, rule)


def _fill(matrix: FloatArray, pairs: IntArray, values: FloatArray) -> None:
    rows, columns = pairs.T
    matrix[rows, columns] = values
    matrix[columns, rows] = values
