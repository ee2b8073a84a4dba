"""Ours beside sentence-transformers in each setting: bfloat16, ONNX, ONNX in int8, OpenVINO.

    python3.11 -m venv ONNX && ONNX/bin/pip install torch==2.13.0 'sentence-transformers[onnx]'
    python3.11 -m venv OV && OV/bin/pip install torch==2.13.0 'sentence-transformers[openvino]'
    PEERS_ONNX=ONNX/bin/python PEERS_OPENVINO=OV/bin/python python -m benchmarks.peers_at_best

All contenders take the same groups one after the other in each round, and each setting is a process
of its own (`benchmarks.at_best`). Agreement is with the decisions of sentence-transformers in
float32: a probability above 0.5, a cosine above 0.7. With `--cpu` the figures are CPU seconds, for
a machine that others use.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.figures import Figure, Figures, ratio
from benchmarks.machine import description
from benchmarks.peers import Group, checkpoint_of_pairs, judged, pairs_of
from benchmarks.workloads import Workload
from darling_models.embedded.encoder import wheel_weights
from darling_models.registry import load
from darling_models.runtime.precision import CPU_INFO, has_bfloat16

PROGRAM = Path(__file__).with_name("at_best.py")
Kind = Literal["pairs", "texts"]
THRESHOLDS: dict[Kind, float] = {"pairs": 0.5, "texts": 0.7}
REFERENCE = "float32"


@dataclass(frozen=True)
class Setting:
    name: str
    backend: str
    interpreter: str
    """Environment variable with the path of an interpreter; empty: this one."""
    quantized: str = ""
    dtype: str = ""


def settings() -> list[Setting]:
    """The settings that this machine can compute in."""
    flags = CPU_INFO.read_text().split() if CPU_INFO.exists() else []
    int8 = "avx512_vnni" if "avx512_vnni" in flags else "avx2"
    bfloat16 = [Setting("bfloat16", "torch", "", dtype="bfloat16")] if has_bfloat16("cpu") else []
    return [
        Setting(REFERENCE, "torch", "", dtype="float32"),
        *bfloat16,
        Setting("ONNX", "onnx", "PEERS_ONNX"),
        Setting(f"ONNX int8 ({int8})", "onnx", "PEERS_ONNX", quantized=int8),
        Setting("OpenVINO", "openvino", "PEERS_OPENVINO"),
    ]


class Contender:
    """A running process of `benchmarks.at_best`."""

    def __init__(self, process: "subprocess.Popen[str]", question: dict[str, Any]) -> None:
        self._process = process
        self.versions: dict[str, str] = self._answer(question)["versions"]

    def run(self, items: Sequence[Any]) -> dict[str, Any]:
        """Seconds by both clocks, and values."""
        return self._answer(items)

    def _answer(self, question: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the peer ended; its words are above")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def contender(setting: Setting, kind: Kind, checkpoint: Path) -> Iterator[Contender]:
    python = os.environ[setting.interpreter] if setting.interpreter else sys.executable
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    process = subprocess.Popen(
        [python, "-P", str(PROGRAM)],  # -P: our http.py would shadow Python's
        env=environment | {"HF_HUB_OFFLINE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Contender(
            process,
            {"kind": kind, "checkpoint": str(checkpoint), **asdict(setting)},
        )
    finally:
        process.kill()
        process.wait()


def race(kind: Kind, workload: Workload, groups: int, rounds: int, clock: str) -> Figures:
    """Seconds a group, as multiples of ours, and the agreement with float32."""
    usable = [one for one in settings() if not one.interpreter or one.interpreter in os.environ]
    chosen = [workload.group() for _ in range(groups)]
    seconds: dict[str, list[float]] = {}
    values: dict[str, list[NDArray[np.float64]]] = {}
    label = f"{workload.name}, {kind}"
    figures: Figures = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        original = folder / "original"
        if kind == "pairs":
            checkpoint_of_pairs(original)
        else:
            shutil.copytree(wheel_weights(), original)
        ours = load(f"cross-encoder:{original}" if kind == "pairs" else "embedded")
        running = {}
        for number, setting in enumerate(usable):
            own = shutil.copytree(original, folder / str(number))  # exports are written into it
            running[setting.name] = stack.enter_context(contender(setting, kind, own))
            print(f"{label}: {setting.name}: {running[setting.name].versions}", flush=True)
        for turn in range(rounds + 1):
            timed = _timed(lambda: [judged(ours, group) for group in chosen], clock)
            if turn:  # the first does not count
                seconds.setdefault("ours", []).append(timed / groups)
            for name, one in running.items():
                answers = [one.run(_items(kind, group)) for group in chosen]
                if turn:
                    seconds.setdefault(name, []).append(sum(a[clock] for a in answers) / groups)
                values[name] = [np.asarray(answer["values"]) for answer in answers]
    above = THRESHOLDS[kind]
    right = np.concatenate([one.ravel() > above for one in values[REFERENCE]])
    for name, taken in seconds.items():
        figures[f"{label}: {name}"] = Figure.of(taken, f"{clock} s a group")
        if name != "ours":
            figures[f"{label}: {name} / ours"] = ratio(taken, seconds["ours"])
            decisions = np.concatenate([one.ravel() > above for one in values[name]])
            agreement = [float(np.mean(decisions == right))]
            figures[f"{label}: {name}, decisions as float32"] = Figure.of(
                agreement, "of 1", "higher"
            )
    return figures


def _items(kind: Kind, group: Group) -> Sequence[Any]:
    return pairs_of(group) if kind == "pairs" else group[1]


def _timed(work: Callable[[], object], clock: str) -> float:
    now = time.perf_counter if clock == "wall" else time.process_time
    started = now()
    work()
    return now() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--groups", type=int, default=2)
    parser.add_argument("--words", type=int, default=400)
    parser.add_argument("--kind", choices=["pairs", "texts"], help="one of them; default: both")
    parser.add_argument("--cpu", action="store_true", help="CPU seconds instead of wall seconds")
    given = parser.parse_args()
    torch.manual_seed(0)
    print(description())
    clock = "cpu" if given.cpu else "wall"
    kinds: list[Kind] = [given.kind] if given.kind else ["texts", "pairs"]
    for kind in kinds:
        figures = race(kind, Workload(8, given.words), given.groups, given.rounds, clock)
        for label, figure in figures.items():
            print(f"{label:70s} {figure}", flush=True)


if __name__ == "__main__":
    main()
