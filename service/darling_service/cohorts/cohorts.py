"""The cohort endpoint: callers that each hold one rollout wait until their group is complete.

A rollout joins the cohort of its (run, group_id, attempt); each API key has runs of its own. The
cohort ends when `group_size` rollouts are there, at the first deadline of its members, or, where
its size is unknown, when nobody new has come for a while. It is then scored as one group, in the
order of member ids, exactly as `/v1/rewards` would, and every caller gets its own share. Afterwards
it is kept for a while:

- a retry of a member gets the answer that the member had;
- a late sibling is scored at once, among those that came before.

The rollout of a caller that hangs up while the cohort gathers is dropped. Everything happens on the
event loop, so there are no locks.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from darling_service.caller import CALLER
from darling_service.cohorts.cohort import Cohort, Key, Member
from darling_service.cohorts.joining import Joining, read_joining
from darling_service.cohorts.memory import CohortMemory
from darling_service.errors import Conflict, FieldError, Invalid, Overloaded, Problem
from darling_service.history.observer import Gathered
from darling_service.pipeline import Pipeline
from darling_service.schemas.requests import RolloutRequest
from darling_service.schemas.responses import RewardResponse, RolloutResponse
from darling_service.scoring import inputs, limits

log = logging.getLogger(__name__)

MIN_PAUSE_S, MAX_PAUSE_S = 0.5, 5.0
"""Shortest and longest pause in seconds between two tries to get a cohort into a full queue; each
try reads the whole group again."""


class Cohorts:
    """All cohorts of this process."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._settings = pipeline.settings
        self._telemetry = pipeline.telemetry
        self._cohorts: dict[Key, Cohort] = {}
        self._memory = CohortMemory(self._settings.cohort_bytes, self._telemetry, self._forget)
        self._scoring: set[asyncio.Task[None]] = set()
        self._ending = False

    async def reward(self, request: RolloutRequest, beside: Sequence[Any] = ()) -> RolloutResponse:
        """The rollout's share of its group's answer, once the group is there.

        `beside`: what the caller holds meanwhile beside the request, as JSON or bytes.
        Raises `Invalid`, `Conflict`, `Overloaded`, `Unavailable`.
        """
        await self._check(request)
        joining = await read_joining(request, beside)
        cohort, member = self._join(joining)
        member.callers += 1
        try:
            with self._telemetry.waiting.track_inprogress():
                answer = await asyncio.shield(member.answer)
            member.answered = True
            return answer
        finally:
            member.callers -= 1
            if member.callers == 0:
                self._abandon(cohort, member)

    def end(self) -> None:
        """Scores cohorts as they are, now and from now on: the answers say who is missing."""
        self._ending = True
        for cohort in [cohort for cohort in self._cohorts.values() if cohort.gathering]:
            self._end(cohort)

    async def _check(self, request: RolloutRequest) -> None:
        """Raises what is wrong with one rollout: its caller alone is told, and at once."""
        size = request.group_size
        if size is not None and size > self._settings.max_rollouts:
            message = limits.too_many_rollouts(size, self._settings)
            raise Invalid([FieldError(("group_size",), message)])
        tries = request.reward.k
        if size is not None and tries is not None and tries > size:
            raise Invalid([FieldError(("reward", "k"), limits.too_few(size, tries))])
        try:
            await self._pipeline.check(request.group([request.rollout()]))
        except Invalid as problem:
            raise inputs.of_one_rollout(problem) from None

    def _join(self, joining: Joining) -> tuple[Cohort, Member]:
        """The member that answers this request: an earlier one, or a new one in its cohort."""
        request = joining.request
        key = Key.of(request)
        cohort = self._cohorts.get(key)
        if cohort is not None and not cohort.gathering:
            if (member := cohort.find(request)) is not None:
                if request.member_id is not None:
                    cohort.agree(joining)
                self._refuse_other(member, request)
                self._count("repeated")
                return cohort, member
            if request.member_id is None and (cohort.full or cohort.size is None):
                # Without ids, this may as well be the first of the group's next sampling.
                self._forget(cohort)
                cohort = None
            elif cohort.full:
                raise Conflict(
                    f"group {key.group_id!r} had its {cohort.size} members and has been scored; "
                    "use another attempt, run or group_id for another sampling of it"
                )
        if cohort is None:
            cohort = self._open(key, joining)
        else:
            cohort.agree(joining)
        try:
            return cohort, self._enter(cohort, joining)
        except Overloaded:
            if not cohort.members:
                self._forget(cohort)
            raise

    def _refuse_other(self, member: Member, request: RolloutRequest) -> None:
        if member.rollout != request.rollout():
            raise Conflict(
                f"member {request.member_id!r} of group {request.group_id!r} has been scored with "
                "another rollout; use another attempt or member_id"
            )

    def _open(self, key: Key, joining: Joining) -> Cohort:
        stated, default = joining.request.group_size, self._settings.cohort_size
        reserved = (stated or default or 1) * joining.nbytes
        self._memory.make_room(reserved)
        now = asyncio.get_running_loop().time()
        cohort = self._cohorts[key] = Cohort(key, joining, stated, default, reserved, opened=now)
        self._account(cohort)
        return cohort

    def _enter(self, cohort: Cohort, joining: Joining) -> Member:
        """The request as a member: the last one ends the cohort, a late one is scored at once."""
        request, nbytes = joining.request, joining.nbytes
        loop = asyncio.get_running_loop()
        due = loop.time() + (request.deadline_s or self._settings.cohort_deadline_s)
        known = None if request.member_id is None else cohort.members.get(request.member_id)
        if known is not None and known.rollout == request.rollout():
            self._count("duplicate")
            known.due = min(known.due, due)
            self._wait(cohort)
            return known
        self._memory.make_room(cohort.used + nbytes - max(cohort.used, cohort.reserved))
        answer: asyncio.Future[RolloutResponse] = loop.create_future()
        # A failure is told to the callers; with none left there is nobody to tell.
        answer.add_done_callback(lambda future: future.cancelled() or future.exception())
        member = Member(cohort.name(request), request.rollout(), answer, due, nbytes)
        cohort.members[member.id] = member
        self._account(cohort)
        if known is not None:
            self._count("replaced")
            again = f"member {member.id!r} was sent again with another rollout, which replaced this"
            known.answer.set_exception(Conflict(again))
        if not cohort.gathering:
            self._count("late")
            self._score(cohort, [member])
            return member
        self._count("joined")
        cohort.stated_size = cohort.stated_size or request.group_size
        cohort.idle_timeout_s = request.idle_timeout_s or cohort.idle_timeout_s
        cohort.idle_from = loop.time()
        most = self._settings.max_rollouts
        if cohort.full or len(cohort.members) == most or self._ending:
            self._end(cohort)
        else:
            self._wait(cohort)
        return member

    def _wait(self, cohort: Cohort) -> None:
        if cohort.timer is not None:
            cohort.timer.cancel()
        due = cohort.due(self._settings.cohort_idle_timeout_s)
        cohort.timer = asyncio.get_running_loop().call_at(due, self._end, cohort)

    def _abandon(self, cohort: Cohort, member: Member) -> None:
        """A member without a caller leaves its cohort while that still gathers."""
        if not cohort.gathering or cohort.members.get(member.id) is not member:
            return
        self._count("left")
        del cohort.members[member.id]
        if cohort.members:
            self._account(cohort)
            self._wait(cohort)
        else:
            self._forget(cohort)

    def _end(self, cohort: Cohort) -> None:
        """Stops gathering and scores the members that have come."""
        if cohort.timer is not None:
            cohort.timer.cancel()
        cohort.gathering, cohort.reserved = False, 0
        self._account(cohort)
        gathered_s = asyncio.get_running_loop().time() - cohort.opened
        self._telemetry.cohort_seconds.observe(gathered_s)
        self._score(cohort, cohort.in_order())

    def _score(self, cohort: Cohort, wanted: Sequence[Member]) -> None:
        task = asyncio.create_task(self._answer(cohort, cohort.in_order(), wanted))
        self._scoring.add(task)
        task.add_done_callback(self._scoring.discard)

    async def _answer(
        self, cohort: Cohort, members: Sequence[Member], wanted: Sequence[Member]
    ) -> None:
        """Scores the members as one group and answers the wanted ones: all, or a late one."""
        # The timer, or the end of the service, has nobody's name.
        CALLER.set(cohort.key.caller)
        whole = len(wanted) == len(members)
        complete = whole and cohort.size == len(members)
        gathered = Gathered(cohort.key.group_id, partial=not complete, late=not whole)
        try:
            scored = await self._rewards(cohort, members, gathered)
        except Exception as error:
            if not isinstance(error, Problem):
                log.exception("scoring a cohort failed")
            if whole:
                self._fail(cohort, error)
            else:
                self._dismiss(cohort, wanted, error)
            return
        for place, member in enumerate(members):
            if member in wanted and not member.answer.done():
                member.answer.set_result(_share(scored, place, complete))
        if whole:
            self._telemetry.cohorts.labels("complete" if complete else "partial").inc()
            self._keep(cohort)

    async def _rewards(
        self, cohort: Cohort, members: Sequence[Member], gathered: Gathered
    ) -> RewardResponse:
        """The group's rewards. While the queue is full the cohort waits, as its callers do."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._settings.request_timeout_s
        request = cohort.first.request.group([member.rollout for member in members])
        # A partial group still has rewards, though no advantage over more tries than it holds.
        within = request.reward.within(len(members))
        request = request.model_copy(update={"reward": within})
        while True:
            try:
                return await self._pipeline.rewards(request, give_up, gathered)
            except Overloaded as problem:
                if loop.time() > give_up:
                    raise
                pause_s = problem.retry_after_s or MIN_PAUSE_S
                await asyncio.sleep(min(max(pause_s, MIN_PAUSE_S), MAX_PAUSE_S))
            except Invalid as problem:
                raise inputs.of_one_rollout(problem) from None

    def _fail(self, cohort: Cohort, error: Exception) -> None:
        """Tells the error to its callers and forgets it, so that their retries form it anew."""
        self._telemetry.cohorts.labels("failed").inc()
        self._dismiss(cohort, cohort.in_order(), error)
        self._forget(cohort)

    def _dismiss(self, cohort: Cohort, members: Sequence[Member], error: Exception) -> None:
        for member in members:
            if not member.answer.done():
                member.answer.set_exception(error)
            cohort.members.pop(member.id, None)
        self._account(cohort)

    def _keep(self, cohort: Cohort) -> None:
        """Kept for retries and late siblings, until its time is up or memory is short."""
        if self._cohorts.get(cohort.key) is cohort:
            self._memory.keep(cohort)
            cohort.timer = asyncio.get_running_loop().call_later(
                self._settings.cohort_ttl_s, self._forget, cohort
            )

    def _forget(self, cohort: Cohort) -> None:
        if cohort.timer is not None:
            cohort.timer.cancel()
        self._memory.drop(cohort)
        if self._cohorts.get(cohort.key) is cohort:
            del self._cohorts[cohort.key]
        cohort.gathering = False
        self._account(cohort)

    def _account(self, cohort: Cohort) -> None:
        self._memory.count(cohort, known=self._cohorts.get(cohort.key) is cohort)

    def _count(self, event: str) -> None:
        self._telemetry.cohort_events.labels(event).inc()


def _share(scored: RewardResponse, place: int, complete: bool) -> RolloutResponse:
    group = scored.groups[0]
    return {
        "reward": group.rewards[place],
        "diversity": group.diversity[place],
        "quality": None if group.quality is None else group.quality[place],
        "class": group.partition[place],
        "num_classes": group.num_classes,
        "advantage": None if group.advantages is None else group.advantages[place],
        "group_complete": complete,
        "group_size": len(group.rewards),
        "reasoning_dropped": group.reasoning_dropped,
        "reasoning_unfinished": group.reasoning_unfinished,
        "model": scored.model,
    }
