"""docs/classifier.md, walked: its commands, in its order, on the real rollouts."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import running

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("DARLING_DATA", ROOT.parent / "shared" / "data"))
DOCUMENT = (ROOT / "docs/classifier.md").read_text()


@pytest.mark.slow
@pytest.mark.skipif(
    not (DATA / "math_rollouts.jsonl.gz").exists(),
    reason="the rollouts are not in the repository: set DARLING_DATA to their folder",
)
def test_label_train_evaluate_and_serve(tmp_path: Path) -> None:
    block = re.search(r"```sh\n(.*?)```", DOCUMENT, re.S)
    assert block is not None
    estimate, label, train, evaluate, serve = block.group(1).splitlines()
    assert "60 pairs to label" in walk(estimate, tmp_path)
    assert "60 pairs labelled in labels.jsonl" in walk(label, tmp_path)
    assert len((tmp_path / "labels.jsonl").read_text().splitlines()) == 60
    assert "written to my-classifier" in walk(train, tmp_path)
    card = (tmp_path / "my-classifier/MODEL_CARD.md").read_text()
    assert "60 labelled pairs" in card
    assert "NoveltyBench" not in card, "not what this head was trained on"
    found = walk(evaluate, tmp_path)
    assert "IN-SAMPLE: embedded:my-classifier was trained on the prompts of about 100%" in found
    document = json.loads((tmp_path / "figures/evaluation.json").read_text())
    assert document["sections"][0]["figures"]["embedded"]["auc"]["value"] > 0.9

    flags = shlex.split(serve)[2:]
    flags[flags.index("embedded:my-classifier")] = f"embedded:{tmp_path / 'my-classifier'}"
    with running(tmp_path / "log", *flags) as service, service.client() as http:
        group = {"prompt": "What is 2 + 2?", "rollouts": ["It is 4.", "It is 4.", "Look it up."]}
        answer = http.post("/v1/partitions", json={"groups": [group]}).json()
    assert answer["model"]["id"] == "embedded"
    assert answer["groups"][0]["partition"][:2] == [0, 0]


def walk(line: str, folder: Path) -> str:
    """What a command of the document prints."""
    program, *arguments = shlex.split(line.replace("$DARLING_DATA", shlex.quote(str(DATA))))
    assert program == "darling-reward"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DARLING_")}
    run = subprocess.run(
        [sys.executable, "-m", "darling_service.cli", *arguments],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout
