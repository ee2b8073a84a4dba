"""Every scored group is counted, and recorded as one of its run."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from darling_service.history.figures import Figures, figures_of, total
from darling_service.history.history import History
from darling_service.history.recorded import RunKey, WholeGroup
from darling_service.schemas.requests import GroupsRequest, RewardRequest
from darling_service.schemas.responses import ModelUsed, PartitionedGroup, RewardedGroup
from darling_service.scoring.partitioning import ClassifiedGroup
from darling_service.telemetry import Telemetry

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Gathered:
    """How the rollouts of a group that came one by one have come together."""

    group_id: str | int
    partial: bool
    """Whether some are missing."""
    late: bool
    """Whether the group has been scored before, and is scored again with one that came late."""


class Observer:
    """What is told of the groups that a pipeline has scored."""

    def __init__(self, telemetry: Telemetry, history: History | None) -> None:
        self._telemetry = telemetry
        self._history = history
        self._has_told = False

    def groups(
        self,
        request: GroupsRequest,
        caller: str,
        classified: Sequence[ClassifiedGroup],
        answers: Sequence[PartitionedGroup],
        model: ModelUsed,
        criterion: str | None,
        gathered: Gathered | None,
    ) -> None:
        """Counts and records the groups of a request. May be called in any thread.

        `criterion`: by what a judge compared, in place of a notion.

        It never raises: a reward does not fail because nobody could take note of it. The first
        error is logged, and the groups of each are counted.
        """
        with self._errors_counted(len(answers)):
            partial = gathered is not None and gathered.partial
            figures = [_figures(answer, partial) for answer in answers]
            for one in figures:
                self._telemetry.observe_group(one)
            # One that is scored again for a late rollout has been counted for its run already.
            if not request.record or (gathered is not None and gathered.late):
                return
            name, step = (request.run.name, request.run.step) if request.run else ("", None)
            run = RunKey.of(caller, name)
            self._telemetry.runs.observe(run, step, total(figures))
            if self._history is None or not self._history.on:
                return
            objective = request.reward.objective if isinstance(request, RewardRequest) else None
            wholes = [
                WholeGroup(
                    gathered.group_id if gathered else answer.id,
                    *(group, answer, model, criterion, objective),
                )
                for group, answer in zip(classified, answers, strict=True)
            ]
            self._history.record(run, step, list(zip(figures, wholes, strict=True)))

    @contextmanager
    def _errors_counted(self, groups: int) -> Iterator[None]:
        try:
            yield
        except Exception:
            self._telemetry.unobserved.inc(groups)
            if not self._has_told:
                self._has_told = True
                log.exception(
                    "groups were scored but could not be counted and recorded; their rewards are "
                    "right. Further errors are counted in darling_unobserved_groups_total"
                )


def _figures(answer: PartitionedGroup, partial: bool) -> Figures:
    if isinstance(answer, RewardedGroup):
        return figures_of(answer.partition, answer.quality, answer.rewards, partial)
    return figures_of(answer.partition, partial=partial)
