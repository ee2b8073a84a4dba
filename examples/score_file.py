"""Scores a JSONL file of groups and prints each rollout's reward beside its quality.

    make serve                                    # in another terminal
    python examples/score_file.py examples/groups.jsonl [URL]

A line holds a prompt, its rollouts and their quality. For big files `darling-reward score` does the
same without a service, and picks up where it was interrupted.
"""

import json
import sys
from pathlib import Path

from darling_client import Client, Group


def read_groups(path: str) -> list[Group]:
    """The groups of a JSONL file with the fields `prompt`, `rollouts` and, if known, `quality`."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines if line.strip()]
    return [Group(r["prompt"], r["rollouts"], quality=r.get("quality")) for r in records]


def main(path: str, url: str | None = None) -> None:
    """`url`: by default that of the environment's `DARLING_URL`, else http://127.0.0.1:8000."""
    groups = read_groups(path)
    # A training run waits out a restart of the service; a person wants to hear that none is there.
    with Client(url, patience_s=20) as client:
        answers = client.rewards(groups)
    for group, answer in zip(groups, answers, strict=True):
        assert answer.quality is not None, "every line of the file has it"
        print(f"{group.prompt}\n{answer.num_classes} classes among {len(group.rollouts)} rollouts")
        rows = zip(answer.partition, answer.quality, answer.rewards, group.rollouts, strict=True)
        for number, quality, reward, text in rows:
            print(f"  class {number}   quality {quality:.2f}   reward {reward:.2f}   {text}")
        print()


if __name__ == "__main__":
    main(*sys.argv[1:])
