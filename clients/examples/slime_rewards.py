"""For slime: `--group-rm --custom-rm-path slime_rewards.darling --disable-grpo-std-normalization`,
with this file's folder on PYTHONPATH. The service is found by `DARLING_URL`.
"""

from typing import Any

from darling_client.trainers.slime import group_reward


def quality(sample: Any) -> float:
    """Whether the label occurs in the response."""
    return 0.25 + 0.75 * float(str(sample.label) in sample.response)


darling = group_reward(quality)
