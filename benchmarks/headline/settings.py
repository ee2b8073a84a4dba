"""The settings of the experiment, in full and small."""

import json
import random
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

from benchmarks.headline.countdown import Problem, problems
from benchmarks.headline.demonstrations import Habit


@dataclass(frozen=True)
class Settings:
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    held_out: int = 128
    """Number of problems that neither the demonstrations nor the RL show."""
    trained: int = 1000
    """Number of problems in the RL, all of them among those demonstrated."""

    habit: Habit = field(default_factory=Habit)
    width: int = 128
    layers: int = 2
    warm_steps: int = 800
    warm_batch: int = 128

    group: int = 8
    prompts: int = 24
    """Groups per step."""
    steps: int = 500
    rate: float = 1.5e-4

    samples: int = 128
    """Samples of each held-out problem for the final figures."""
    watched_samples: int = 32
    watch_every: int = 50

    def split(self, seed: int) -> tuple[list[Problem], list[Problem]]:
        """Returns (problems to train on, held-out problems), a different split for each seed."""
        every = list(problems())
        random.Random(seed).shuffle(every)
        return every[self.held_out :], every[: self.held_out]

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, file: Path) -> Self:
        stored = json.loads(file.read_text())
        return cls(**stored | {"habit": Habit(**stored["habit"]), "seeds": tuple(stored["seeds"])})


FULL = Settings()
SMALL = replace(
    FULL,
    seeds=(0, 1, 2),
    warm_steps=600,
    steps=100,
    samples=64,
    watched_samples=16,
    watch_every=25,
)
