"""Asking the engine about pairs: all at once, or in rounds until single linkage is settled."""

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from darling_models.lexical import Unigram
from darling_models.partitions.single_linkage import Components
from darling_models.protocol import FloatArray, IntArray
from darling_service.engine.admission import Reservation
from darling_service.engine.engine import Engine
from darling_service.engine.job import Job, Verdict
from darling_service.errors import Problem
from darling_service.off_loop import in_thread_if
from darling_service.rewards.exact import BoolArray
from darling_service.schemas.responses import Usage

MANY_PAIRS = 10_000
"""Pairs from which a round is chosen in a thread: that takes 10 ms and more."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a job's pairs were found to be, and by which calls of the engine."""

    values: FloatArray
    """P(equivalent), shape (m,); 0 for pairs that nobody asked about."""
    cosines: FloatArray | None
    calls: list[tuple[Job, Verdict]]


Ask = Callable[[Engine, Job, Reservation], Coroutine[Any, Any, Answers]]


async def run_jobs(
    engine: Engine, jobs: Sequence[Job], asks: Iterable[Ask], due: float, in_rounds: bool = False
) -> list[Answers]:
    """The jobs' answers; all of them are let in, or none.

    `due`: event-loop time at which the caller gives up. `in_rounds`: whether `asks` leave pairs
    out; the fraction that they ask about is expected to be as of late. Raises `Overloaded` before
    any model runs, and what `upstream.problem_of` makes of a failure.
    """
    tokens, comparing = sum(job.tokens for job in jobs), sum(job.comparing for job in jobs)
    if in_rounds:
        tokens = math.ceil(tokens * min(engine.asked.per_second, 1.0))
    with engine.reserve(tokens, comparing, due) as reservation:
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(ask(engine, job, reservation))
                    for ask, job in zip(asks, jobs, strict=True)
                ]
        except* Problem as failures:
            # What no retry can mend is said first: 422 and 424 before 429 and 503.
            raise min(failures.exceptions, key=_status) from None
    answers = [task.result() for task in running]
    for job, answer in zip(jobs, answers, strict=True):
        if in_rounds and len(job.pairs):
            engine.asked.observe(sum(len(own.pairs) for own, _ in answer.calls) / len(job.pairs), 1)
    return answers


def _status(problem: BaseException) -> int:
    return problem.status if isinstance(problem, Problem) else 500


def usage_of(pairs: int, answers: Sequence[Answers]) -> Usage:
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


async def at_once(
    with_cosines: bool, engine: Engine, job: Job, reservation: Reservation
) -> Answers:
    verdict = await engine.classify(job, reservation, with_cosines)
    return Answers(verdict.probabilities, verdict.cosines, [(job, verdict)])


def until_connected(threshold: float, parts: Sequence[IntArray]) -> Ask:
    """Asks about pairs, the likeliest first, until the connected components are settled: those of
    each part of the texts by itself, then those of all texts. A part holds ascending indices."""

    async def ask(engine: Engine, job: Job, reservation: Reservation) -> Answers:
        steps = Unigram().probabilities_in_steps(job.prompt, job.texts, job.pairs, {})
        likeness = await engine.compare(steps, job.comparing, reservation)
        many = len(job.pairs) > MANY_PAIRS
        rounds = await in_thread_if(many, partial(Rounds, job, threshold, likeness))
        calls = []
        for part in (*parts, np.arange(len(job.texts))):
            components = await in_thread_if(many, partial(rounds.components, part))
            while len(pairs := part[await in_thread_if(many, components.next_round)]):
                plan = partial(engine.plan_by, job.classifier, job.prompt, job.texts, pairs)
                own = await in_thread_if(many, plan)
                verdict = await engine.classify(own, reservation)
                equivalent = rounds.learn(pairs, verdict.probabilities)
                components.join(np.searchsorted(part, pairs[equivalent]))
                calls.append((own, verdict))
        return Answers(rounds.values, None, calls)

    return ask


class Rounds:
    """What is known of a job's pairs while they are asked about in rounds."""

    def __init__(self, job: Job, threshold: float, likeness: FloatArray) -> None:
        """`likeness`: how alike the two texts of each pair seem, shape (m,)."""
        self._pairs = job.pairs
        self._threshold = threshold
        self._likeness = likeness
        self._place = {(i, j): k for k, (i, j) in enumerate(job.pairs.tolist())}
        self._asked = np.zeros(len(job.pairs), dtype=np.bool_)
        self.values = np.zeros(len(job.pairs), dtype=np.float64)
        """P(equivalent), shape (m,); 0 for pairs that nobody has asked about."""

    def components(self, part: IntArray) -> Components:
        """The components of some texts, by their ascending indices, as far as they are known."""
        inside = np.isin(self._pairs, part).all(axis=1)
        local = np.searchsorted(part, self._pairs)
        fresh = inside & ~self._asked
        components = Components(len(part), local[fresh], self._likeness[fresh])
        components.join(local[inside & (self.values > self._threshold)])
        return components

    def learn(self, pairs: IntArray, probabilities: FloatArray) -> BoolArray:
        """Keeps the answers to some pairs; returns which of them are equivalent."""
        places = [self._place[i, j] for i, j in pairs.tolist()]
        self.values[places], self._asked[places] = probabilities, True
        equivalent: BoolArray = probabilities > self._threshold
        return equivalent
