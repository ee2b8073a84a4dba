"""Fits the costs of `darling-reward size` to some figures of a stored run, and predicts the others.

    python -m benchmarks.stored_sizing [benchmarks/baseline.json]

A stored run (`make bench-full`) has wall-clock seconds of a quiet machine. All of its cores count
as busy, so that the costs are those of a core in a replica with as many.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figures, read
from darling_service.sizing.cost import EncoderCost, PairCost, seconds
from darling_service.sizing.fit import fitted_encoder, fitted_pairs
from darling_service.sizing.work import Groups, PairReader, Work, work_of

TOKENS_OF_A_WORD = 1.45
"""By the figure `n=8 x 400 words: tokens, embedded`: 4,645 for 3,200 words."""
PROMPT_TOKENS = 2


@dataclass(frozen=True, slots=True)
class Run:
    figure: str
    rollouts: int
    words: int
    a_second: bool = False
    """Whether the figure is a rate, and not seconds."""
    unit: float = 1.0
    """Seconds of the figure's unit."""

    def groups(self) -> Groups:
        return Groups(1, self.rollouts, self.words * TOKENS_OF_A_WORD, PROMPT_TOKENS)

    def core_seconds(self, figures: Figures, cores: int) -> float:
        value = figures[self.figure].value * self.unit
        return cores * (1 / value if self.a_second else value)


FITTED = (
    Run("embedded: 8 short answers, new, p50", 8, 12, unit=1e-3),
    Run("n=8 x 50 words: embedded", 8, 50),
    Run("growth, 400 words: n=8", 8, 400),
    Run("growth, 400 words: n=16", 16, 400),
)
PREDICTED = (
    Run("n=8 x 100 words, 64 clients: groups over HTTP", 8, 100, a_second=True),
    Run("n=8 x 400 words, 64 clients: ours over HTTP", 8, 400),
    Run("growth, 400 words: n=32", 32, 400),
    Run("growth, 400 words: n=64", 64, 400),
)
CROSS_ENCODER = (
    Run("n=8 x 50 words: cross-encoder", 8, 50),
    Run("n=8 x 400 words: cross-encoder", 8, 400),
)
PAIR_TOKENS = 512


def costs(figures: Figures, cores: int) -> tuple[EncoderCost, PairCost]:
    """The costs of the default classifier and of the cross-encoder (MiniLM) in a stored run."""
    encoded = [(work_of(run.groups()), run.core_seconds(figures, cores)) for run in FITTED]
    pairs = [(pair_work(run), run.core_seconds(figures, cores)) for run in CROSS_ENCODER]
    return fitted_encoder(encoded), fitted_pairs(pairs, PAIR_TOKENS)


def pair_work(run: Run) -> Work:
    return work_of(run.groups(), encoded=False, pair_reader=PairReader(max_tokens=PAIR_TOKENS))


def predictions(figures: Figures, cores: int) -> dict[str, tuple[float, float]]:
    """(predicted, measured) seconds on one core of a group of each run that no fit has seen."""
    encoder, _ = costs(figures, cores)
    return {
        run.figure: (
            seconds(work_of(run.groups()), encoder, None),
            run.core_seconds(figures, cores),
        )
        for run in PREDICTED
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", default=Path("benchmarks/baseline.json"))
    machine, figures = read(parser.parse_args().file)
    cores = int(machine["cores"])
    print(machine)
    for cost in costs(figures, cores):
        print(cost)
    for name, (predicted, measured) in predictions(figures, cores).items():
        ratio = predicted / measured
        print(f"{name}: {measured:.3f} s, predicted {predicted:.3f} s, {ratio:.2f} times as much")


if __name__ == "__main__":
    main()
