"""ART: a function for `after_each` of `gather_trajectory_groups`, also after RULER.

from darling_client.trainers.art import group_reward

groups = await art.gather_trajectory_groups(groups, after_each=group_reward())
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from darling_client import AsyncClient, Unavailable
from darling_client._outages import log
from darling_client._types import Messages, Response
from darling_client.tracking import named
from darling_client.trainers._batch import Row, scores_of_group
from darling_client.trainers._quality import judgements_of, with_logprob
from darling_client.trainers._request import Request, check_parts

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from darling_client.trainers._request import AdapterParams


def own_reward(trajectory: Any) -> Any:
    """The reward that the trajectory came with."""
    return trajectory.reward


def group_reward(
    quality: Callable[[Any], Any] = own_reward,
    *,
    client: AsyncClient | None = None,
    **params: Unpack[AdapterParams],
) -> Callable[[Any], Awaitable[Any]]:
    """Returns an async function that rewards a `TrajectoryGroup` and returns it.

    Its trajectories get quality shaped by diversity as their reward, and quality, diversity and the
    number of classes as metrics. One without a finite quality is taken out. None instead of the
    group, which ART then leaves out, when the service has not answered within `patience_s`, and for
    a group that is None already, as of `ruler_score_group`. Raises any other `DarlingError`.

    `quality(trajectory)` returns a number, a mapping with some of the fields of `Judgement`, or an
    awaitable of either. `client`: by default one for the environment's `DARLING_URL`. `params`: see
    `AdapterParams`.
    """
    check_parts(quality, client, AsyncClient)
    request = Request(params)
    client = client or AsyncClient()

    async def darling(group: Any) -> Any:
        if group is None:
            return None
        judged = await judgements_of([(one,) for one in group.trajectories], quality)
        rows = []
        for trajectory, known in zip(group.trajectories, judged, strict=True):
            prompt, response = _conversation(trajectory)
            rows.append(Row(prompt, response, with_logprob(known, _logprobs(trajectory))))
        try:
            scores = await scores_of_group(rows, client, request)
        except Unavailable as failure:
            log.warning("ART leaves a group out, as there is no reward for it: %s", failure)
            return None
        kept = []
        for trajectory, score in zip(group.trajectories, scores, strict=True):
            if score is not None:
                trajectory.reward = score.reward
                trajectory.metrics |= named(score.parts())
                kept.append(trajectory)
        group.trajectories = kept
        return group if kept else None

    return darling


def _conversation(trajectory: Any) -> tuple[Messages, Response]:
    """The messages before the policy's first, and from there on.

    What the policy sampled is a choice of the engine. Where none was kept, it is the messages of
    the assistant.
    """
    items = trajectory.messages_and_choices
    own = [place for place, item in enumerate(items) if not isinstance(item, Mapping)]
    if not own:
        own = [place for place, item in enumerate(items) if item["role"] == "assistant"]
    start = own[0] if own else len(items)
    messages = [item if isinstance(item, Mapping) else item.message for item in items]
    return messages[:start], messages[start:] or ""


def _logprobs(trajectory: Any) -> list[float] | None:
    """The log-probabilities of all the policy's tokens; None where a turn has none."""
    items = trajectory.messages_and_choices
    turns = [item.logprobs for item in items if not isinstance(item, Mapping)]
    if any(turn is None or turn.content is None for turn in turns):
        return None
    return [token.logprob for turn in turns for token in turn.content]
