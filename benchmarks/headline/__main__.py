"""Runs the headline experiment: GRPO with quality alone against DARLING and other rewards.

    python -m benchmarks.headline [--full] [--steps N] [--seeds N] [--jobs N] [--out DIR]
                                  [--only OBJECTIVE ...]

It installs TRL's environment where that is missing, starts the service, and trains every objective
from every seed's warm policy. A finished run leaves a file and is not run again, so an interrupted
experiment goes on. The output is `table.md`, `pass_at_k.png` and `training.png` in DIR.

A run has one thread, so that its numbers do not depend on how many runs go on at once.
"""

import argparse
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.headline.objectives import OBJECTIVES
from benchmarks.headline.plot import plot_pass_at_k, plot_training
from benchmarks.headline.results import load, table
from benchmarks.headline.settings import FULL, SMALL, Settings
from benchmarks.load import service
from tests.trainers.environments import CLIENT, ENVIRONMENTS, ROOT, installer_settings

Step = tuple[str, list[str], str]
"""A module of this folder, its arguments, and the file or folder that it leaves."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="five seeds and 500 steps")
    parser.add_argument("--steps", type=int, help="GRPO steps, where not those of the settings")
    parser.add_argument("--seeds", type=int, help="how many, where not those of the settings")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at once")
    parser.add_argument("--out", type=Path, default=Path("headline/small"))
    parser.add_argument("--only", nargs="*", choices=OBJECTIVES, default=list(OBJECTIVES))
    given = parser.parse_args()
    folder: Path = given.out.resolve()
    settings = FULL if given.full else SMALL
    seeds = settings.seeds if given.seeds is None else tuple(range(given.seeds))
    settings = replace(settings, steps=given.steps or settings.steps, seeds=seeds)
    prepare(folder, settings)
    environment = ENVIRONMENTS["trl"]
    environment.install(installer_settings())
    if environment.failed.exists():
        raise SystemExit(environment.failed.read_text())
    warm: list[Step] = [("warm", [str(seed)], f"warm-{seed}") for seed in seeds]
    grpo: list[Step] = [
        ("grpo", [objective, str(seed)], f"{objective}-{seed}.json")
        for seed in seeds
        for objective in given.only
    ]
    # The embedded model is served; the lexical ones stand beside it.
    with service() as (url, _), ThreadPoolExecutor(given.jobs) as pool:
        for steps in (warm, grpo):
            list(pool.map(partial(run, folder=folder, url=url), steps))
    runs = load(folder)
    (folder / "table.md").write_text(table(runs))
    print(table(runs))
    plot_pass_at_k(runs, folder / "pass_at_k.png")
    plot_training(runs, folder / "training.png")


def prepare(folder: Path, settings: Settings) -> None:
    """Writes the settings. Raises `SystemExit` if the folder holds runs with other settings.

    The seeds may differ, so that more of them can be added to finished runs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "settings.json"
    if file.exists() and replace(Settings.read(file), seeds=settings.seeds) != settings:
        raise SystemExit(f"{folder} holds runs with other settings: give another --out")
    settings.write(file)


def run(step: Step, folder: Path, url: str) -> None:
    """Runs a step in TRL's environment, unless the file or folder that it leaves exists."""
    module, arguments, leaves = step
    if (folder / leaves).exists():
        return
    print(module, *arguments, flush=True)
    command = [str(ENVIRONMENTS["trl"].python), "-m", f"benchmarks.headline.{module}", *arguments]
    variables = {"PYTHONPATH": f"{ROOT}:{CLIENT}", "DARLING_URL": url, "OMP_NUM_THREADS": "1"}
    log = folder / f"{Path(leaves).stem}.log"
    with log.open("w") as output:
        ended = subprocess.run(
            [*command, str(folder / "settings.json"), str(folder)],
            env=os.environ | variables,
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    if ended.returncode:
        raise SystemExit(f"{module} {' '.join(arguments)} failed: see {log}")


if __name__ == "__main__":
    main()
