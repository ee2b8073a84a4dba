"""Trains the warm policy of a seed, which all objectives start from.

    python -m benchmarks.headline.warm SEED SETTINGS.json FOLDER

It runs in TRL's environment and leaves `FOLDER/warm-SEED/`.
"""

import sys
from pathlib import Path

from benchmarks.headline.demonstrations import Demonstrator
from benchmarks.headline.policy import warmed
from benchmarks.headline.settings import Settings


def main() -> None:
    seed, settings, folder = int(sys.argv[1]), Settings.read(Path(sys.argv[2])), Path(sys.argv[3])
    training, held_out = settings.split(seed)
    model = warmed(
        training,
        Demonstrator(training + held_out, settings.habit),
        seed=seed,
        width=settings.width,
        layers=settings.layers,
        steps=settings.warm_steps,
        batch=settings.warm_batch,
    )
    partial = folder / f"warm-{seed}.partial"
    model.save_pretrained(partial)
    partial.rename(folder / f"warm-{seed}")


if __name__ == "__main__":
    main()
