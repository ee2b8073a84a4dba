"""A group through verifiers' `score_group`: verifiers_group.py < [[prompt, response], ...]."""

import asyncio
import json
import sys
from typing import Any

import verifiers as vf


def scored(rubric: Any, rollouts: list[tuple[str, str]]) -> list[dict[str, float]]:
    states = [
        vf.State(
            prompt=[{"role": "user", "content": prompt}],
            completion=[{"role": "assistant", "content": response}],
            answer="blue",
            task="default",
            info={},
            timing=None,
            trajectory=[],
        )
        for prompt, response in rollouts
    ]
    asyncio.run(rubric.score_group(states))
    return [{"reward": state["reward"], "advantage": state["advantage"]} for state in states]


if __name__ == "__main__":
    from verifiers_rubric import rubric

    print(json.dumps(scored(rubric, json.loads(sys.stdin.read()))))
