"""One reward per row of a batch with requests: `python clients/examples/with_requests.py [URL]`.

For trainers without an adapter, where the client is not wanted either.
"""

import sys

import requests


def rewards(url: str, prompts: list[str], texts: list[str], quality: list[float]) -> list[float]:
    """Rows with equal prompts are a group, in whatever order. Raises on anything but an answer."""
    rows: dict[str, list[int]] = {}
    for row, prompt in enumerate(prompts):
        rows.setdefault(prompt, []).append(row)
    groups = [
        {
            "prompt": prompt,
            "rollouts": [texts[row] for row in group],
            "quality": [quality[row] for row in group],
        }
        for prompt, group in rows.items()
    ]
    answer = requests.post(f"{url}/v1/rewards", json={"groups": groups}, timeout=600)
    if not answer.ok:
        raise RuntimeError(answer.json()["detail"])
    result = [0.0] * len(prompts)
    for group, scored in zip(rows.values(), answer.json()["groups"], strict=True):
        for row, reward in zip(group, scored["rewards"], strict=True):
            result[row] = reward
    return result


if __name__ == "__main__":
    print(
        rewards(
            sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000",
            ["Name a colour.", "Name a city.", "Name a colour.", "Name a city."],
            ["Blue.", "Lisbon", "Red.", "Lisbon"],
            [1.0, 1.0, 0.5, 1.0],
        )
    )
