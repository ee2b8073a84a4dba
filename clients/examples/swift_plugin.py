"""A plugin for ms-swift, whose reward function `darling` is quality shaped by diversity.

Set the environment variable `DARLING_URL` to the service and add to ms-swift's command:

    --external_plugins clients/examples/swift_plugin.py --reward_funcs darling
    --scale_rewards none
"""

from collections.abc import Sequence
from typing import Any

from swift.rewards import orms

from darling_client.trainers.swift import darling_orm


def quality(completions: Sequence[str], solution: Sequence[str], **columns: Any) -> list[float]:
    """1 for each completion in which the dataset's `solution` occurs, else 0.25."""
    return [
        0.25 + 0.75 * float(text in completion)
        for completion, text in zip(completions, solution, strict=True)
    ]


orms["darling"] = darling_orm(quality)
