"""Noisy demonstrations: correct strategies that favour sums, and wrong ones."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.headline.countdown import Problem, shuffled


@dataclass(frozen=True)
class Habit:
    """The habits of the people who write the demonstrations."""

    slips: float = 0.3
    """Share of demonstrations that are a correct expression of a neighbouring target."""
    near: int = 3
    """Greatest distance of that target."""
    products: float = 0.3
    """Factor by which each `*` in a strategy lowers its weight: people think of products less."""


class Demonstrator:
    def __init__(self, problems: Sequence[Problem], habit: Habit) -> None:
        """`problems` are all problems, because a slip answers a neighbour of a problem."""
        self._by_target = {(p.numbers, p.target): p for p in problems}
        self._habit = habit

    def answer(self, problem: Problem, source: random.Random) -> str:
        """One demonstration, right or wrong."""
        habit = self._habit
        if source.random() < habit.slips:
            offset = source.choice([d for d in range(-habit.near, habit.near + 1) if d])
            problem = self._by_target.get((problem.numbers, problem.target + offset), problem)
        weights = [habit.products ** strategy.count("*") for strategy in problem.strategies]
        return shuffled(source.choices(problem.strategies, weights)[0], source)
