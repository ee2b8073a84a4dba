"""Samples through ms-swift's own scoring: swift_score.py PLUGIN N < [[prompt, response], ...]."""

import importlib.util
import json
import sys
from types import SimpleNamespace
from typing import Any

import torch
from swift.rewards import orms
from swift.rl_core.data import GRPOSample
from swift.rl_core.grpo_algorithm import score_completions


def scored(orm: Any, n: int, rows: list[tuple[str, str]]) -> list[float | None]:
    samples = [
        GRPOSample.from_row(
            {
                "messages": [
                    {"role": "user", "content": prompt},
                    {"role": "assistant", "content": response},
                ],
                "solution": "blue",
            }
        )
        for prompt, response in rows
    ]
    reward = orm(args=SimpleNamespace(num_generations=n, num_generations_eval=None))
    scores = score_completions(samples, [reward], [None], False, torch.device("cpu"))
    return [None if score != score else score for score in scores.flatten().tolist()]


def main() -> None:
    plugin, n = sys.argv[1], int(sys.argv[2])
    spec = importlib.util.spec_from_file_location("plugin", plugin)
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    scores = scored(orms["darling"], n, json.loads(sys.stdin.read()))
    print()
    print(json.dumps(scores))


if __name__ == "__main__":
    main()
