"""Samples through ms-swift's own scoring: swift_score.py PLUGIN N < [[prompt, response], ...]."""

import importlib.util
import json
import sys
from types import SimpleNamespace

import torch
from swift.rewards import orms
from swift.rl_core.data import GRPOSample
from swift.rl_core.grpo_algorithm import score_completions

plugin, n = sys.argv[1], int(sys.argv[2])
spec = importlib.util.spec_from_file_location("plugin", plugin)
assert spec is not None
assert spec.loader is not None
spec.loader.exec_module(importlib.util.module_from_spec(spec))

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
    for prompt, response in json.loads(sys.stdin.read())
]
reward = orms["darling"](args=SimpleNamespace(num_generations=n, num_generations_eval=None))
scores = score_completions(samples, [reward], [None], False, torch.device("cpu"))
print()
print(json.dumps([None if score != score else score for score in scores.flatten().tolist()]))
