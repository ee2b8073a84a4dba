"""An agent file for OpenRLHF, whose rewards are quality shaped by diversity.

Set the environment variable `DARLING_URL` to the service and add to OpenRLHF's command:

    --train.agent_func_path clients/examples/openrlhf_agent.py
    --rollout.n_samples_per_prompt 8 --algo.advantage.estimator dr_grpo
"""

from darling_client.trainers.openrlhf import agent_executor


def quality(prompt: str, response: str, label: str | None) -> float:
    """1 if the label occurs in the response, else 0.25."""
    return 0.25 + 0.75 * float(bool(label) and str(label).lower() in response.lower())


AgentExecutor = agent_executor(quality)
