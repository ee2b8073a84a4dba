"""ms-swift: a reward function for a plugin file, which `--external_plugins` loads.

The plugin file:

    from swift.rewards import orms
    from darling_client.trainers.swift import darling_orm

    orms["darling"] = darling_orm(quality)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from darling_client import Client
from darling_client.trainers._request import Request
from darling_client.trainers.trl import DarlingReward

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from darling_client.trainers._request import AdapterParams


def darling_orm(
    quality: Callable[..., Any],
    *,
    num_generations: int | None = None,
    client: Client | None = None,
    gather: bool = True,
    **params: Unpack[AdapterParams],
) -> type:
    """Returns an ORM class that rewards quality shaped by diversity.

    `quality(completions, **columns)` is called as an ORM is, and may return mappings as that of
    `DarlingReward` may. `num_generations`: by default that of the trainer's arguments, where
    `num_generations_eval` always comes from. `client`, `gather` and `params`: see `DarlingReward`,
    which says what the ORM returns and raises.
    """
    Request(params)
    from swift.rewards import ORM

    class Darling(ORM):  # type: ignore[misc]
        def __init__(self, args: Any = None, **more: Any) -> None:
            super().__init__(args)
            self._reward = DarlingReward(
                lambda prompts, completions, **columns: quality(completions, **columns),
                num_generations,
                args=args,
                client=client,
                gather=gather,
                **params,
            )

        def __call__(
            self, completions: Sequence[str], messages: Sequence[Any] = (), **columns: Any
        ) -> list[float | None]:
            turns = columns.get("rollout_infos") or [None] * len(messages)
            starts = [
                _start(conversation, about)
                for conversation, about in zip(messages, turns, strict=True)
            ]
            conversations = list(zip(messages, starts, strict=True))
            return self._reward.scored(
                prompts=[conversation[:start] for conversation, start in conversations],
                responses=[conversation[start:] for conversation, start in conversations],
                completions=completions,
                messages=messages,
                **columns,
            )

    return Darling


def _start(conversation: Sequence[Any], about: Any) -> int:
    """Where the rollout begins in a whole conversation: at the first of the policy's messages, of
    which `num_turns` says how many there are."""
    turns = about.get("num_turns") if isinstance(about, Mapping) else None
    own = [place for place, m in enumerate(conversation) if m.get("role") == "assistant"]
    return own[-min(turns or 1, len(own))] if own else len(conversation)
