"""Noisy demonstrations: correct strategies with a habit, and slips."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.headline.countdown import Problem, shuffled


@dataclass(frozen=True)
class Habit:
    """How people who write demonstrations go about it."""

    slips: float = 0.3
    """Share of demonstrations that are a correct expression of a neighbouring target."""
    near: int = 3
    """How far away that target is at most."""
    products: float = 0.3
    """Weight of a strategy for each `*` in it: few come to people's minds."""


class Demonstrator:
    def __init__(self, problems: Sequence[Problem], habit: Habit) -> None:
        """`problems`: all there are, as slips answer the neighbours of a problem."""
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
