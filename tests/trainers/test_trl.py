"""TRL's own GRPOTrainer, on a CPU, with rewards from a running service over HTTP."""

import ast
import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Service
from tests.trainers.conftest import DRIVERS, EXAMPLES, need, run, variables, whole_group
from tests.trainers.environments import ROOT

N = 4
COLOURS = {"blue", "red", "green", "yellow", "violet", "white"}


def calls(folder: Path) -> list[list[dict[str, Any]]]:
    """Every call of the reward function, as each rank in turn saw it."""
    ranks = [
        [json.loads(line) for line in file.read_text().splitlines()]
        for file in sorted(folder.glob("rank-*.jsonl"))
    ]
    return [list(call) for call in zip(*ranks, strict=True)]


def quality(text: str) -> float:
    words = text.split()
    return sum(word in COLOURS for word in words) / max(len(words), 1)


def check(service: Service, call: list[dict[str, Any]], size: int) -> int:
    """That all ranks' rewards of a call are those of whole groups; how many were not distinct."""
    prompts, texts, rewards = (
        [value for rank in call for value in rank[column]]
        for column in ("prompts", "completions", "rewards")
    )
    duplicates = 0
    for start in range(0, len(prompts), size):
        rows = slice(start, start + size)
        assert len(set(prompts[rows])) == 1
        judged = [quality(text) for text in texts[rows]]
        whole = whole_group(service, prompts[start], texts[rows], judged)
        assert rewards[rows] == pytest.approx(whole["rewards"])
        duplicates += size - whole["num_classes"]
    return duplicates


@pytest.mark.parametrize("kind", [[], ["async"]], ids=["blocking", "async"])
def test_a_grpo_run(words: Service, tmp_path: Path, kind: list[str]) -> None:
    python = need("trl", "trl")
    driver = str(DRIVERS / "trl_run.py")
    command = [*python, driver, str(tmp_path), "8", str(N), "3", *kind]
    told = run(command, url=words.url, folder=tmp_path)
    *training, evaluation = calls(tmp_path)
    assert len(training) == 3
    assert sum(check(words, call, N) for call in training) > 0, "some group had duplicates"
    check(words, evaluation, 1)
    for call, logged in zip(training, told["log"], strict=False):
        (rank,) = call
        assert logged["reward"] == pytest.approx(sum(rank["rewards"]) / len(rank["rewards"]))
        assert 1 <= logged["darling/num_classes"] <= N
        assert 0 <= logged["darling/diversity"] <= 1
        assert 0 <= logged["darling/collapsed"] <= 1
        assert logged["darling/unanswered"] == 0
    (rank,) = evaluation
    assert rank["rewards"] == pytest.approx([quality(text) for text in rank["completions"]])


def shown_commands() -> list[list[str]]:
    """The commands in the example's docstring that start it, as words."""
    documented = ast.get_docstring(ast.parse((EXAMPLES / "trl_grpo.py").read_text())) or ""
    lines = re.findall(r"^    (.*trl_grpo\.py.*)$", documented, re.M)
    assert len(lines) == 2
    return [shlex.split(line) for line in lines]


def test_the_snippet_of_the_readme_is_darlings_configuration() -> None:
    """TRL knows its options; with them the advantage is the reward minus the group's mean."""
    python = need("trl", "trl")
    readme = (ROOT / "README.md").read_text()
    shown = re.search(r"GRPOConfig\((.*?)\),\n", readme)
    assert shown is not None
    options = {keyword.arg for keyword in ast.parse(f"f({shown[1]})").body[0].value.keywords}  # type: ignore[attr-defined]
    assert {"scale_rewards", "loss_type"} <= options
    script = "import json, trl; print(json.dumps(list(trl.GRPOConfig.__dataclass_fields__)))"
    listed = subprocess.run([*python, "-c", script], capture_output=True, text=True, check=True)
    assert options <= set(json.loads(listed.stdout.splitlines()[-1]))


RANKS = [["python"], ["torchrun", "--nproc-per-node", "2"]]
DEFAULTS = [[*ranks, "clients/examples/trl_grpo.py"] for ranks in RANKS]


@pytest.mark.parametrize("command", [*shown_commands(), *DEFAULTS], ids=" ".join)
def test_the_example_runs_as_its_docstring_says_and_with_its_defaults(
    words: Service, tmp_path: Path, command: list[str]
) -> None:
    (python,) = need("trl", "trl")
    program = {"python": [python], "torchrun": [python, "-m", "torch.distributed.run"]}
    rendezvous = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    words_before_script = [*program[command[0]], *(rendezvous if "torchrun" in command else [])]
    done = subprocess.run(
        [*words_before_script, *command[1:], "--output", str(tmp_path)],
        env=variables(DARLING_URL=words.url),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    steps = int(command[command.index("--steps") + 1]) if "--steps" in command else 4
    printed = [
        ast.literal_eval(line) for line in re.findall(r"^\{'reward'.*\}$", done.stdout, re.M)
    ]
    assert len(printed) == steps
    for figures in printed:
        assert 0 <= figures["reward"] <= figures["darling/quality"] <= 1
        assert 1 <= figures["darling/num_classes"] <= N


@pytest.mark.parametrize("kind", [[], ["async"]], ids=["blocking", "async"])
def test_groups_that_straddle_two_ranks(words: Service, tmp_path: Path, kind: list[str]) -> None:
    python = need("trl", "trl")
    torchrun = [*python, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    rendezvous = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    driver = [str(DRIVERS / "trl_run.py"), str(tmp_path), "6", str(N), "2", *kind]
    run([*torchrun, *rendezvous, *driver], url=words.url, folder=tmp_path)
    *training, evaluation = calls(tmp_path)
    assert len(training) == 2
    for call in training:
        assert len(call) == 2
        assert len(call[0]["prompts"]) == 6, "rank 0 has a group and a half"
        check(words, call, N)
    check(words, evaluation, 1)


def test_an_outage_leaves_steps_without_signal_and_the_run_goes_on(tmp_path: Path) -> None:
    python = need("trl", "trl")
    driver = str(DRIVERS / "trl_run.py")
    command = [*python, driver, str(tmp_path), "8", str(N), "2"]
    environment = variables(DARLING_URL="http://127.0.0.1:9", PATIENCE_S="0.5")
    environment["PYTHONPATH"] = str(DRIVERS.parents[2] / "clients/examples")
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "no reward for 2 of 2 groups" in done.stderr
    for call in calls(tmp_path):
        assert {reward for rank in call for reward in rank["rewards"]} == {None}
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert [one["darling/unanswered"] for one in told["log"][:2]] == [1, 1]


def test_a_refused_request_ends_the_run_on_every_rank(words: Service, tmp_path: Path) -> None:
    python = need("trl", "trl")
    torchrun = [*python, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    rendezvous = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    script = tmp_path / "wrong.py"
    script.write_text(
        """
import os, sys
from pathlib import Path
from darling_client.trainers.trl import DarlingReward
from trl_grpo import quality, train

reward = DarlingReward(quality, num_generations=4, model="elsewhere")
try:
    train(reward, sys.argv[1], 1, 6, 4)
except Exception as error:
    Path("ended-" + os.environ["RANK"]).write_text(type(error).__name__)
"""
    )
    environment = variables(DARLING_URL=words.url)
    environment["PYTHONPATH"] = str(DRIVERS.parents[2] / "clients/examples")
    done = subprocess.run(
        [*torchrun, *rendezvous, str(script), str(tmp_path / "out")],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    # A file of each rank: what two of them print at once comes out interleaved.
    ended = {file.name: file.read_text() for file in tmp_path.glob("ended-*")}
    assert ended == dict.fromkeys(("ended-0", "ended-1"), "BadRequest"), done.stderr[-3000:]
