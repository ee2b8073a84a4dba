"""A quality function for verl, which its reward manager shapes by diversity.

Start the service and add to verl's command:

    reward.custom_reward_function.path=clients/examples/verl_quality.py
    reward.reward_manager.source=importlib
    reward.reward_manager.name=DarlingRewardManager
    reward.reward_manager.module.path=pkg://darling_client.trainers.verl
    +reward.darling.url=http://127.0.0.1:8000
    actor_rollout_ref.rollout.n=8
    algorithm.adv_estimator=grpo algorithm.norm_adv_by_std_in_grpo=False
"""

from typing import Any


def compute_score(
    data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None, **more: Any
) -> dict[str, float]:
    """`acc` is 1 if the ground truth occurs in the solution, else 0; `score` is the quality."""
    accuracy = float(ground_truth.lower() in solution_str.lower())
    return {"score": 0.25 + 0.75 * accuracy, "acc": accuracy}
