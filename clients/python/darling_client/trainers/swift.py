"""ms-swift: a reward function for a plugin file, which `--external_plugins` loads.

The plugin file:

    from swift.rewards import orms
    from darling_client.trainers.swift import darling_orm

    orms["darling"] = darling_orm(quality)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from darling_client import Client
from darling_client.trainers.trl import DarlingReward

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from darling_client._calls import RewardParams


def darling_orm(
    quality: Callable[..., Sequence[float | None]],
    *,
    num_generations: int | None = None,
    client: Client | None = None,
    gather: bool = True,
    **params: Unpack[RewardParams],
) -> type:
    """Returns an ORM class that rewards quality shaped by diversity.

    `quality(completions, **columns)` is called as an ORM is. `num_generations`: by default that of
    the trainer's arguments, where `num_generations_eval` always comes from. `client`, `gather` and
    `params`: see `DarlingReward`, which says what the ORM returns and raises.
    """
    from swift.rewards import ORM

    class Darling(ORM):  # type: ignore[misc]
        def __init__(self, args: Any = None, **more: Any) -> None:
            super().__init__(args)
            size = num_generations or getattr(args, "num_generations", None)
            if size is None:
                raise ValueError(
                    "num_generations is missing in the trainer's arguments; give it to darling_orm"
                )
            self._reward = DarlingReward(
                lambda prompts, completions, **columns: quality(completions, **columns),
                size,
                num_generations_eval=getattr(args, "num_generations_eval", None),
                client=client,
                gather=gather,
                **params,
            )

        def __call__(
            self, completions: Sequence[str], messages: Sequence[Any] = (), **columns: Any
        ) -> list[float | None]:
            # `messages` are whole conversations, of which the completion is the last message.
            return self._reward(
                prompts=[conversation[:-1] for conversation in messages],
                completions=completions,
                messages=messages,
                **columns,
            )

    return Darling
