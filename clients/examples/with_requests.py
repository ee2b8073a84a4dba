"""One reward per row of a batch with requests, for trainers without an adapter or the client.

    pip install requests
    python clients/examples/with_requests.py [http://127.0.0.1:8000]

It prints [1.0, 0.0, 0.5, 0.0], one reward per row: the two colours differ and keep their quality,
and the two equal cities have no diversity. The URL is that of a running service.
"""

import sys
from typing import Any

import requests


def rewards(url: str, prompts: list[str], texts: list[str], quality: list[float]) -> list[float]:
    """The reward of each row. Rows with equal prompts are a group, in whatever order they come.

    Raises `RuntimeError` with the service's reason when it does not return rewards.
    """
    rows_of_prompt: dict[str, list[int]] = {}
    for row, prompt in enumerate(prompts):
        rows_of_prompt.setdefault(prompt, []).append(row)
    groups: list[dict[str, Any]] = [
        {
            "prompt": prompt,
            "rollouts": [texts[row] for row in rows],
            "quality": [quality[row] for row in rows],
        }
        for prompt, rows in rows_of_prompt.items()
    ]
    response = requests.post(f"{url}/v1/rewards", json={"groups": groups}, timeout=600)
    if not response.ok:
        raise RuntimeError(response.json()["detail"])
    rewards_by_row: dict[int, float] = {}
    for rows, group in zip(rows_of_prompt.values(), response.json()["groups"], strict=True):
        rewards_by_row.update(zip(rows, group["rewards"], strict=True))
    return [rewards_by_row[row] for row in range(len(prompts))]


if __name__ == "__main__":
    print(
        rewards(
            sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000",
            ["Name a colour.", "Name a city.", "Name a colour.", "Name a city."],
            ["Blue.", "Lisbon", "Red.", "Lisbon"],
            [1.0, 1.0, 0.5, 1.0],
        )
    )
