"""Scores every stored NoveltyBench group and compares the partitions with the stored ones.

    python -m benchmarks.noveltybench noveltybench_groups.jsonl.gz [--model embedded]

Prints, for each linkage, pair agreement and adjusted Rand index (means over groups), and the wall
time and peak memory of the scoring process. The objective is `diversity`, since 69 of the groups
have no scores. The embedded head was fitted on these groups; what it does on unseen prompts is in
its model card.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from darling_models.figures.metrics import PARTITION_METRICS, agreement, contents
from darling_models.labelled_data import read_groups
from darling_models.partitions.linkage import LINKAGES, partition

OPTIONS = {"reward": {"objective": "diversity"}, "return_probabilities": True}


def score(source: Path, target: Path, model: str) -> tuple[float, float]:
    """Scores the file and returns (wall seconds, peak memory in MiB)."""
    command = [
        *(sys.executable, "-m", "darling_service.cli", "score", "--model", model),
        *("--rollouts-field", "generations", "--quality-field", "generation_scores"),
        *("--options", json.dumps(OPTIONS)),
        *(str(source), str(target)),
    ]
    started = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"scoring ended with status {status}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", type=Path)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--threshold", type=float, help="default: the model's own")
    parser.add_argument("--out", type=Path, help="keep the answers, or go on with them")
    given = parser.parse_args()
    groups = read_groups(given.groups)
    with tempfile.TemporaryDirectory() as folder:
        target = given.out or Path(folder) / "scored.jsonl"
        seconds, peak = score(given.groups, target, given.model)
        scored = [json.loads(line) for line in target.read_text().splitlines()]
    threshold = given.threshold or own_threshold(given.model)
    print(f"{len(scored)} groups in {seconds:.0f} s, peak memory {peak:.0f} MiB")
    print(f"threshold {threshold}")
    for linkage in LINKAGES:
        rows = np.asarray(
            [
                agreement(
                    partition(
                        np.asarray(line["probabilities"]), threshold, linkage, contents(group.texts)
                    ),
                    group.partition,
                )
                for line, group in zip(scored, groups, strict=True)
            ]
        )
        means = zip(PARTITION_METRICS, rows.mean(axis=0), strict=True)
        print(f"{linkage:9}", "  ".join(f"{name} {value:.3f}" for name, value in means))


def own_threshold(model: str) -> float:
    from darling_models.registry import load

    return load(model).info.threshold


if __name__ == "__main__":
    main()
