"""Shows which rollouts share a class, and how sure the classifier is of each pair.

    make serve                                    # in another terminal
    python examples/look_at_partition.py examples/groups.jsonl [URL]

Look at some of your own groups like this before you train with them: if the classes are not the
ones that you would make, another threshold, linkage or classifier will suit you better.
"""

import json
import sys
from pathlib import Path

from darling_client import Client, Group


def main(path: str, url: str | None = None) -> None:
    """`url`: by default that of the environment's `DARLING_URL`, else http://127.0.0.1:8000."""
    records = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    groups = [Group(record["prompt"], record["rollouts"]) for record in records]
    # A training run waits out a restart of the service; a person wants to hear that none is there.
    with Client(url, patience_s=20) as client:
        answers = client.partitions(groups, return_probabilities=True)
    for group, answer in zip(groups, answers, strict=True):
        assert answer.probabilities is not None, "they were asked for"
        print(group.prompt)
        for number in range(answer.num_classes):
            print(f"  class {number}")
            for index, (member, text) in enumerate(
                zip(answer.partition, group.rollouts, strict=True)
            ):
                if member == number:
                    print(f"    [{index}] {text}")
        print(f"  P(equivalent); above {answer.model.threshold:.2f} two rollouts count as equal")
        print("      " + "".join(f"{f'[{j}]':>6}" for j in range(len(answer.partition))))
        for i, row in enumerate(answer.probabilities):
            print(f"{f'[{i}]':>6}" + "".join(f"{probability:6.2f}" for probability in row))
        print()


if __name__ == "__main__":
    main(*sys.argv[1:])
