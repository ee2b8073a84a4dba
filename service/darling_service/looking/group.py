"""What is shown of a group: its texts by class, with what each of them earned."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ShownRollout:
    """One rollout; None for what is not known."""

    text: str
    """The compared text."""
    number: int
    """The class, numbered by first occurrence."""
    diversity: float
    quality: float | None = None
    reward: float | None = None


@dataclass(frozen=True, slots=True)
class ShownGroup:
    """One prompt with its classified rollouts."""

    name: str
    """The group's id, or its line in the file."""
    prompt: str
    rollouts: Sequence[ShownRollout]
    model: str | None = None
    """The classifier; None: the classes are the file's own."""
    threshold: float | None = None
    """The probability above which two rollouts count as equivalent, for a classifier's
    classes."""
    probabilities: Sequence[Sequence[float]] | None = None
    """P(equivalent) of every two rollouts, (n, n)."""
    reasoned: int = 0
    """Rollouts of which reasoning was left out."""

    @property
    def sizes(self) -> dict[int, int]:
        """The number of rollouts in each class, largest class first."""
        return dict(Counter(rollout.number for rollout in self.rollouts).most_common())

    @property
    def diversity(self) -> float:
        """Mean diversity of the rollouts."""
        return sum(rollout.diversity for rollout in self.rollouts) / len(self.rollouts)

    @property
    def closest_call(self) -> tuple[int, int, float] | None:
        """The two rollouts whose probability is nearest the threshold, and that probability.

        None where no probability is known, and where all texts are equal.
        """
        if self.probabilities is None or self.threshold is None:
            return None
        pairs = [
            (i, j, self.probabilities[i][j])
            for j in range(len(self.rollouts))
            for i in range(j)
            if self.rollouts[i].text != self.rollouts[j].text
        ]
        threshold = self.threshold
        return min(pairs, key=lambda pair: abs(pair[2] - threshold), default=None)
