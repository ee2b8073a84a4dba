"""A rubric for verifiers up to 0.3. The service is found by `DARLING_URL`."""

from typing import Any

import verifiers as vf
from darling_client.trainers.verifiers import group_reward


def quality(completion: list[dict[str, Any]], answer: str) -> float:
    """Whether the answer occurs in the completion."""
    return 0.25 + 0.75 * float(answer in completion[-1]["content"])


rubric = vf.Rubric(funcs=[group_reward(quality)], weights=[1.0])
