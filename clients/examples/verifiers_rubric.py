"""A rubric for verifiers up to 0.3, whose rewards are quality shaped by diversity.

Set the environment variable `DARLING_URL` to the service, and give `rubric` to your environment:
`vf.SingleTurnEnv(dataset=..., rubric=rubric)`.
"""

from typing import Any

import verifiers as vf

from darling_client.trainers.verifiers import group_reward


def quality(completion: list[dict[str, Any]], answer: str) -> float:
    """1 if the answer occurs in the last message of the completion, else 0.25."""
    return 0.25 + 0.75 * float(answer in completion[-1]["content"])


rubric = vf.Rubric(funcs=[group_reward(quality)], weights=[1.0])
