"""The comparison of two runs in words."""

from collections.abc import Mapping, Sequence

from darling_models.figures.comparison import Comparison
from darling_service.evaluation.measure import LOWER_IS_BETTER

LEVEL = 0.05
"""A difference with a smaller p-value counts as clear."""


def verdict(first: str, second: str, comparisons: Mapping[str, Comparison]) -> str:
    """In which figures the second run is clearly better than the first, and in which worse."""
    if not comparisons:
        return (
            f"nothing is compared: no figure is known of the same prompt in {first} and in {second}"
        )
    prompts = max(comparison.prompts for comparison in comparisons.values())
    count = len(comparisons)
    on = f"on {prompts} shared prompt{'' if prompts == 1 else 's'}"
    least = min(comparison.least_p for comparison in comparisons.values())
    if least >= LEVEL:
        return (
            f"too few prompts to tell: {on}, no p-value can be below {least:.3g}; compare "
            f"{second} with {first} on more"
        )
    better: list[str] = []
    worse: list[str] = []
    for name, comparison in comparisons.items():
        if comparison.p_value < LEVEL:
            gain = comparison.difference.value * (-1 if name in LOWER_IS_BETTER else 1)
            (better if gain > 0 else worse).append(f"{name} ({comparison.difference.value:+.3g})")
    rest = count - len(better) - len(worse)
    if rest == count:
        return f"{on}, {second} differs clearly from {first} in none of {count} figures"
    return (
        f"{on}, {second} is clearly better than {first} in {_listed(better)}; clearly worse in "
        f"{_listed(worse)}; not clearly different in {rest or 'none'}. Clear means p < {LEVEL:g}, "
        f"which about {max(round(LEVEL * count), 1)} of {count} figures reach by chance alone"
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
