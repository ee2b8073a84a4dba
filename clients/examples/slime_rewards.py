"""A group reward for slime: quality shaped by diversity.

Set the environment variable `DARLING_URL` to the service, put this file's folder on PYTHONPATH and
add to slime's command:

    --group-rm --custom-rm-path slime_rewards.darling
    --n-samples-per-prompt 8 --disable-grpo-std-normalization
"""

from typing import Any

from darling_client.trainers.slime import group_reward


def quality(sample: Any) -> float:
    """1 if the label occurs in the response, else 0.25."""
    return 0.25 + 0.75 * float(str(sample.label) in sample.response)


darling = group_reward(quality)
