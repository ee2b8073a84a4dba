"""From texts to probabilities and partitions: where a request meets the classifier.

Work on a group is done on its distinct texts in sorted order; only the last step puts the answers
back in the order of the rollouts. A permuted group is thus the same computation, bit for bit (but
for `greedy` linkage, which follows the given order by definition).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.lexical import short_answers_equivalent
from models.partition import partition
from models.protocol import FloatArray, IntArray, Linkage, all_pairs
from service.answers import Usage
from service.batching import Engine, Job
from service.errors import Unavailable
from service.rewards.exact import BoolArray


@dataclass(frozen=True, slots=True)
class Rule:
    """How probabilities become a partition."""

    threshold: float
    linkage: Linkage
    short_answers: bool = False
    """Decide pairs of short answers by word overlap, as published."""


@dataclass(frozen=True, slots=True)
class JudgedGroup:
    partition: IntArray
    """Class of each rollout, shape (n,)."""
    probabilities: FloatArray
    """P(equivalent), shape (n, n), 1 for identical texts."""
    equivalent: BoolArray
    """Decisions, shape (n, n)."""

    @property
    def num_classes(self) -> int:
        return int(self.partition.max()) + 1


@dataclass(frozen=True, slots=True)
class _Distinct:
    """The distinct texts of a group, and the pairs of them that the classifier must judge."""

    texts: list[str]
    member: IntArray
    """Index of each rollout's text, shape (n,)."""
    matrix: FloatArray
    """P(equivalent) between distinct texts, known by rule so far."""
    pairs: IntArray
    """Pairs (m, 2) the classifier must judge."""


async def judge_groups(
    engine: Engine, groups: Sequence[tuple[str, Sequence[str]]], rule: Rule, usage: Usage
) -> list[JudgedGroup]:
    """Judges (prompt, texts) groups, all in the queue at once; adds what it cost to `usage`."""
    distinct = [_distinct(texts, rule) for _, texts in groups]
    usage.pairs += sum(len(texts) * (len(texts) - 1) // 2 for _, texts in groups)
    jobs = [
        engine.plan(prompt, group.texts, group.pairs)
        for (prompt, _), group in zip(groups, distinct, strict=True)
    ]
    probabilities = await _run(engine, jobs, usage)
    return [
        _partitioned(group, values, rule)
        for group, values in zip(distinct, probabilities, strict=True)
    ]


async def judge_pairs(
    engine: Engine, pairs: Sequence[tuple[str, str, str]], usage: Usage
) -> FloatArray:
    """P(equivalent) of (prompt, a, b) pairs, shape (m,); identical texts are 1."""
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
        jobs.append(engine.plan(prompt, texts, np.asarray(numbered, dtype=np.int64)))
    usage.pairs += len(pairs)
    for indices, found in zip(places.values(), await _run(engine, jobs, usage), strict=True):
        values[indices] = found
    return values


async def _run(engine: Engine, jobs: Sequence[Job], usage: Usage) -> list[FloatArray]:
    """The jobs' probabilities; the room they need is reserved for all of them or for none."""
    with engine.reserve(sum(job.tokens for job in jobs)):
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(engine.judge(job)) for job in jobs]
        except* Unavailable as failures:
            raise failures.exceptions[0] from None
    verdicts = [task.result() for task in running]
    judged = sum(len(job.pairs) for job in jobs)
    cached = sum(job.cached_pairs for job in jobs)
    fresh = [result for verdict in verdicts for result in verdict.fresh]
    usage.cached += cached
    usage.classified += judged - cached
    usage.skipped += usage.pairs - judged
    usage.tokens += sum(result.tokens for result in fresh)
    usage.truncated += sum(result.truncated for result in fresh)
    return [verdict.probabilities for verdict in verdicts]


def _distinct(texts: Sequence[str], rule: Rule) -> _Distinct:
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


def _partitioned(group: _Distinct, probabilities: FloatArray, rule: Rule) -> JudgedGroup:
    _fill(group.matrix, group.pairs, probabilities)
    full = group.matrix[np.ix_(group.member, group.member)]
    classes = partition(full, rule.threshold, rule.linkage, content=group.member)
    same = group.member[:, None] == group.member[None, :]
    return JudgedGroup(classes, full, (full > rule.threshold) | same)


def _fill(matrix: FloatArray, pairs: IntArray, values: FloatArray) -> None:
    rows, columns = pairs.T
    matrix[rows, columns] = values
    matrix[columns, rows] = values
