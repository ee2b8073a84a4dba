"""A cohort: the rollouts of one group, each brought by a caller that waits for the others."""

import asyncio
from dataclasses import dataclass, field
from typing import NamedTuple

from darling_service.caller import CALLER
from darling_service.cohorts.joining import Joining
from darling_service.errors import Conflict, FieldError, Invalid
from darling_service.schemas.requests import Rollout, RolloutRequest, Run, response_of
from darling_service.schemas.responses import RolloutResponse


class Key(NamedTuple):
    """Which cohort a rollout belongs to."""

    caller: str
    run: str | None
    step: int | None
    group_id: str | int
    attempt: int

    @classmethod
    def of(cls, request: RolloutRequest) -> "Key":
        run = request.run
        name, step = (run.name, run.step) if isinstance(run, Run) else (run, None)
        return cls(CALLER.get(), name, step, request.group_id, request.attempt)


class Unnamed(NamedTuple):
    """The id of a member whose caller gave none."""

    number: int


MemberId = str | int | Unnamed


@dataclass(slots=True, eq=False)
class Member:
    id: MemberId
    rollout: Rollout
    answer: asyncio.Future[RolloutResponse]
    """Done once the cohort is scored; kept, so that a retry gets the same."""
    due: float
    """Event-loop time at which its caller wants an answer, complete group or not."""
    nbytes: int
    callers: int = 0
    answered: bool = False
    """Whether a caller has been given the answer."""


@dataclass(slots=True, eq=False)
class Cohort:
    key: Key
    first: Joining
    """What the first member's request says of the group, the others must say too."""
    stated_size: int | None
    """The group's size, once a sibling says it."""
    default_size: int | None
    """Its size as long as none does."""
    reserved: int
    """Bytes set aside for members that are still to come."""
    opened: float
    idle_timeout_s: float | None = None
    idle_from: float = 0.0
    members: dict[MemberId, Member] = field(default_factory=dict)
    gathering: bool = True
    timer: asyncio.TimerHandle | None = None
    counted: int = 0
    """Bytes that `CohortMemory` has counted for this cohort."""
    unnamed: int = 0

    @property
    def size(self) -> int | None:
        return self.stated_size or self.default_size

    @property
    def full(self) -> bool:
        return self.size is not None and len(self.members) >= self.size

    @property
    def used(self) -> int:
        return sum(member.nbytes for member in self.members.values())

    def due(self, default_idle_timeout_s: float) -> float:
        """Event-loop time at which to stop gathering."""
        due = min(member.due for member in self.members.values())
        idle_timeout_s = self.idle_timeout_s
        if idle_timeout_s is None and self.size is None:
            idle_timeout_s = default_idle_timeout_s
        return due if idle_timeout_s is None else min(due, self.idle_from + idle_timeout_s)

    def in_order(self) -> list[Member]:
        """The members by id: integers, then strings, then those without one as they came."""
        return sorted(self.members.values(), key=lambda member: _rank(member.id))

    def find(self, request: RolloutRequest) -> Member | None:
        """The member this request is a retry of, if any.

        Without an id that is one of the same text whose caller went without its answer.
        """
        if request.member_id is not None:
            return self.members.get(request.member_id)
        for member in self.members.values():
            orphan = member.callers == 0 and not member.answered
            same = response_of(member.rollout) == response_of(request)
            if isinstance(member.id, Unnamed) and orphan and same:
                return member
        return None

    def name(self, request: RolloutRequest) -> MemberId:
        if request.member_id is not None:
            return request.member_id
        self.unnamed += 1
        return Unnamed(self.unnamed)

    def agree(self, joining: Joining) -> None:
        """Raises `Conflict` or `Invalid` if the request says other things of the group."""
        first_request, request = self.first.request, joining.request
        same = {
            "prompt": self.first.prompt == joining.prompt,
            "reference": first_request.reference == request.reference,
            "reward": first_request.reward == request.reward,
            "partition": first_request.partition == request.partition,
            "model": first_request.model == request.model,
            "record": first_request.record == request.record,
            "group_size": None in (request.group_size, self.stated_size)
            or request.group_size == self.stated_size,
        }
        if differing := [name for name, equal in same.items() if not equal]:
            raise Conflict(
                f"{' and '.join(differing)} not as in the siblings of group "
                f"{self.key.group_id!r} that came before; send the same in all of them, and "
                "another group_id, attempt or run for another group"
            )
        ours, theirs = _quality_field(first_request), _quality_field(request)
        if ours != theirs:
            message = "given in some rollouts of the group; give it in all of them or in none"
            raise Invalid([FieldError((ours or theirs or "quality",), message)])
        needs_verdicts = "correct" in request.reward.needs or request.reward.among == "correct"
        if needs_verdicts and (first_request.correct is None) != (request.correct is None):
            message = "given in some rollouts of the group; give it in all of them or in none"
            raise Invalid([FieldError(("correct",), message)])
        known, sent = _width(first_request), _width(request)
        if None not in (known, sent) and known != sent:
            message = f"{sent} scores, where the siblings that came before have {known}"
            raise Invalid([FieldError(("solutions", 0), message)])


def _quality_field(request: RolloutRequest) -> str | None:
    """The field that a request's quality comes from."""
    if request.quality is not None:
        return "quality"
    if request.correct is not None:
        return "correct"
    return None if request.reference is None else "answer"


def _width(request: RolloutRequest) -> int | None:
    """Scores of a solution, where the rollout holds one."""
    return len(request.solutions[0]) if request.solutions else None


def _rank(member_id: MemberId) -> tuple[int, int, str]:
    if isinstance(member_id, Unnamed):
        return 2, member_id.number, ""
    return (1, 0, member_id) if isinstance(member_id, str) else (0, member_id, "")
