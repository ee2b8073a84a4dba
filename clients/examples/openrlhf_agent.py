"""An agent file for OpenRLHF: `--train.agent_func_path clients/examples/openrlhf_agent.py`.

With `--algo.advantage.estimator dr_grpo`; the service is found by `DARLING_URL`.
"""

from darling_client.trainers.openrlhf import agent_executor


def quality(prompt: str, response: str, label: str | None) -> float:
    """Whether the label occurs in the response."""
    return 0.25 + 0.75 * float(bool(label) and str(label).lower() in response.lower())


AgentExecutor = agent_executor(quality)
