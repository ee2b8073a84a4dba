"""The examples run when copied from examples/README.md, and print what they promise."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import Service

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"


def run(script: str, data: str, *arguments: str) -> str:
    """What `python examples/SCRIPT examples/DATA ...` prints."""
    command = [sys.executable, str(EXAMPLES / script), str(EXAMPLES / data), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def groups(data: str) -> list[dict[str, list[str]]]:
    return [json.loads(line) for line in (EXAMPLES / data).read_text().splitlines()]


def test_every_rollout_of_a_file_is_scored(service: Service) -> None:
    printed = run("score_file.py", "groups.jsonl", service.url)
    for group in groups("groups.jsonl"):
        for text in group["rollouts"]:
            assert re.search(rf"class \d   quality .*   reward [\d.]+   {re.escape(text)}", printed)


def test_a_repeated_idea_earns_less_than_its_quality(service: Service) -> None:
    printed = run("score_file.py", "groups.jsonl", service.url)
    rows = re.findall(r"quality ([\d.]+)   reward ([\d.]+)   (\S+)", printed)
    kyoto = next(row for row in rows if row[2] == "Kyoto,")
    lisbon = next(row for row in rows if row[2] == "Lisbon,")
    assert kyoto[0] == kyoto[1]
    assert float(lisbon[1]) < float(lisbon[0])


def test_a_partition_is_shown_with_a_probability_for_every_pair(service: Service) -> None:
    printed = run("look_at_partition.py", "groups.jsonl", service.url)
    for group in groups("groups.jsonl"):
        n = len(group["rollouts"])
        block = printed[printed.index(str(group["prompt"])) :]
        rows = re.findall(r"^ +\[\d\]((?:  \d\.\d\d)+)$", block, re.M)[:n]
        assert [len(row.split()) for row in rows] == [n] * n
        for index, text in enumerate(group["rollouts"]):
            assert f"    [{index}] {text}" in block


def test_a_classifier_of_ones_own_tells_programs_apart() -> None:
    printed = run("own_classifier.py", "solutions.jsonl")
    assert re.findall(r"\[(\d)\] and \[(\d)\]: equivalent", printed) == [("0", "1")]
    assert printed.count("different") == 5


def test_the_readme_names_every_example() -> None:
    readme = (EXAMPLES / "README.md").read_text()
    for script in EXAMPLES.glob("*.py"):
        assert f"[`{script.name}`]({script.name})" in readme
        assert f"python examples/{script.name} examples/" in readme
