"""Scores a JSONL file of groups in this process: no service, no HTTP.

    python examples/without_http.py examples/groups.jsonl

The model is loaded once, in some seconds. Use the service where several processes score, or where
the trainer's process should not hold a model.
"""

import json
import sys
from pathlib import Path

from darling_service import score_groups


def main(path: str) -> None:
    groups = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    for group, scored in zip(groups, score_groups(groups), strict=True):
        print(group["prompt"])
        for text, number, reward in zip(
            group["rollouts"], scored.partition, scored.rewards, strict=True
        ):
            print(f"  class {number}   reward {reward:.2f}   {text}")


if __name__ == "__main__":
    main(*sys.argv[1:])
