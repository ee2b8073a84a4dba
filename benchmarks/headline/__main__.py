"""The headline experiment: GRPO with quality alone against DARLING and other rewards.

    python -m benchmarks.headline [--full] [--steps N] [--out DIR] [--only OBJECTIVE ...]

Makes TRL's environment where it is missing, starts the service, and trains every objective from
every seed's warm policy. A finished run leaves a file and is not run again, so an interrupted
experiment goes on. Writes `table.md`, `pass_at_k.png` and `training.png` into DIR.
"""

import argparse
import os
import subprocess
from dataclasses import replace
from pathlib import Path

from benchmarks.headline.objectives import OBJECTIVES
from benchmarks.headline.plot import plot_pass_at_k, plot_training
from benchmarks.headline.results import load, table
from benchmarks.headline.settings import FULL, SMALL, Settings
from benchmarks.load import service
from tests.trainers.environments import CLIENT, ENVIRONMENTS, ROOT, installer_settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="five seeds and 500 steps")
    parser.add_argument("--steps", type=int, help="GRPO steps, where not those of the settings")
    parser.add_argument("--out", type=Path, default=Path("headline/small"))
    parser.add_argument("--only", nargs="*", choices=OBJECTIVES, default=list(OBJECTIVES))
    given = parser.parse_args()
    folder: Path = given.out.resolve()
    settings = FULL if given.full else SMALL
    settings = replace(settings, steps=given.steps or settings.steps)
    prepare(folder, settings)
    environment = ENVIRONMENTS["trl"]
    environment.install(installer_settings())
    if environment.failed.exists():
        raise SystemExit(environment.failed.read_text())
    with service() as (url, _):  # the embedded model; it serves the lexical ones beside it
        for seed in settings.seeds:
            run("warm", [str(seed)], folder, f"warm-{seed}", url)
            for objective in given.only:
                arguments = [objective, str(seed)]
                run("grpo", arguments, folder, f"{objective}-{seed}.json", url)
    runs = load(folder)
    (folder / "table.md").write_text(table(runs))
    print(table(runs))
    plot_pass_at_k(runs, folder / "pass_at_k.png")
    plot_training(runs, folder / "training.png")


def prepare(folder: Path, settings: Settings) -> None:
    """Writes the settings; refuses a folder with runs of other ones."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "settings.json"
    if file.exists() and Settings.read(file) != settings:
        raise SystemExit(f"{folder} holds runs with other settings: give another --out")
    settings.write(file)


def run(step: str, arguments: list[str], folder: Path, leaves: str, url: str) -> None:
    """A module of this folder in TRL's environment, unless what it leaves is there."""
    if (folder / leaves).exists():
        return
    print(f"{step} {' '.join(arguments)}", flush=True)
    command = [str(ENVIRONMENTS["trl"].python), "-m", f"benchmarks.headline.{step}", *arguments]
    with (folder / "log.txt").open("a") as log:
        subprocess.run(
            [*command, str(folder / "settings.json"), str(folder)],
            env=os.environ | {"PYTHONPATH": f"{ROOT}:{CLIENT}", "DARLING_URL": url},
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=True,
        )


if __name__ == "__main__":
    main()
