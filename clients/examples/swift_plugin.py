"""A plugin for ms-swift, which finds the service by `DARLING_URL`:

--external_plugins clients/examples/swift_plugin.py --reward_funcs darling --scale_rewards none
"""

from collections.abc import Sequence
from typing import Any

from darling_client.trainers.swift import darling_orm
from swift.rewards import orms


def quality(completions: Sequence[str], solution: Sequence[str], **columns: Any) -> list[float]:
    """Whether the dataset's `solution` occurs in the answer."""
    return [
        0.25 + 0.75 * float(wanted in completion)
        for completion, wanted in zip(completions, solution, strict=True)
    ]


orms["darling"] = darling_orm(quality)
