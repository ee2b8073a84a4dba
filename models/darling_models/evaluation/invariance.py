"""Wrapper invariance: whether a classifier pays a policy for talk around one answer.

Rollouts that wrap one short answer are one class, so their diversity is 0. It is measured for
wrappings drawn at random, and for those that a search finds as a policy would: by trying, keeping
what pays, and varying it. The opposite is measured beside: different answers in one wrapping stay
different, whatever their words in common.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np

from darling_models.evaluation.measures import Contenders, sample, shares_equivalent
from darling_models.evaluation.predict import of_groups
from darling_models.evaluation.report import Breakdown, Figures, Section
from darling_models.evaluation.wrapping_search import (
    most_paid,
    one_class,
    partition_diversity,
    wrap_each,
)
from darling_models.evaluation.wrappings import ShortAnswer, draw, wrapped
from darling_models.figures.intervals import mean_interval
from darling_models.figures.metrics import contents
from darling_models.labelled_data import TeacherGroup
from darling_models.progress import progress

ROLLOUTS = 8
"""Wrappings of one answer in a group: as many rollouts as trainers usually sample."""
MAX_DIVERSITY = 0.05
"""Mean diversity up to which talk counts as unpaid; one of eight rollouts in a class of its own
gives 0.25."""
SEARCHED = 12
"""Answers on which wrappings are searched. Fewer find what is peculiar to one answer, and more cost
more."""


def at_random(answers: Sequence[ShortAnswer], seed: int) -> list[TeacherGroup]:
    """A group for each answer, of `ROLLOUTS` wrappings in the answer's own language."""
    random = np.random.default_rng(seed)
    return [one_class(a.prompt, wrapped(random, a, ROLLOUTS)) for a in answers]


def invariance(
    contenders: Contenders, answers: Sequence[ShortAnswer], seed: int
) -> Iterator[Section | Breakdown]:
    """Wrappings at random, different answers in one wrapping, and wrappings that a search finds.

    Raises what the classifiers raise.
    """
    groups = at_random(answers, seed)
    values = {name: _values(contenders, name, groups) for name in contenders}
    yield _section("eight wrappings of one short answer", answers, values)
    categories = sorted({answer.category for answer in answers})
    yield Breakdown(
        "eight wrappings of one short answer by category",
        {
            name: _section(f"eight wrappings, {name}", *_within(name, answers, values))
            for name in categories
        },
        ("diversity",),
    )
    random = np.random.default_rng(seed)
    problems = []
    for prompt, own in groupby(answers, lambda answer: answer.prompt):
        texts = list(own)
        wrapping = draw(random, texts[0].language)
        problems.append((prompt, [wrapping.around(answer.text) for answer in texts]))
    yield shares_equivalent(contenders, problems, "different answers in one wrapping")
    yield from _searched(contenders, answers, seed)


def _searched(
    contenders: Contenders, answers: Sequence[ShortAnswer], seed: int
) -> Iterator[Section]:
    """The diversity of wrappings that a search finds, on the answers it saw and on the others."""
    seen = sample(answers, SEARCHED, seed)
    others = [answer for answer in answers if answer not in seen]
    wrappings = {
        name: most_paid(c, seen, ROLLOUTS, seed)
        for name, c in progress(contenders.items(), desc="search for wrappings")
    }
    measured = next(iter(contenders))
    notes = [f"found for {measured}: {each.around('…')!r}" for each in wrappings[measured]]
    for title, some in (("on the answers searched", seen), ("on other answers", others)):
        if some:
            values = {
                name: _values(contenders, name, wrap_each(some, wrappings[name]))
                for name in contenders
            }
            yield _section(f"wrappings found by a search, {title}", some, values, notes)
            notes = []


def _values(contenders: Contenders, name: str, groups: Sequence[TeacherGroup]) -> list[float]:
    """Each group's mean diversity."""
    classifier = contenders[name]
    matrices = of_groups(classifier, groups, f"wrappings: {name}")
    return [
        partition_diversity(matrix, contents(group.texts), classifier.info)
        for group, matrix in zip(groups, matrices, strict=True)
    ]


def _within(
    category: str, answers: Sequence[ShortAnswer], values: Mapping[str, Sequence[float]]
) -> tuple[list[ShortAnswer], dict[str, list[float]]]:
    """The answers of a category, and each contender's values of them."""
    places = [k for k, answer in enumerate(answers) if answer.category == category]
    own = {name: [diversities[k] for k in places] for name, diversities in values.items()}
    return [answers[k] for k in places], own


def _section(
    title: str,
    answers: Sequence[ShortAnswer],
    values: Mapping[str, Sequence[float]],
    notes: Sequence[str] = (),
) -> Section:
    """The mean diversity of the answers' groups, and the share of them in which talk is unpaid."""
    prompts = [answer.prompt for answer in answers]
    figures: dict[str, Figures] = {
        name: {
            "diversity": mean_interval(diversities, prompts),
            "unpaid": mean_interval([float(d <= MAX_DIVERSITY) for d in diversities], prompts),
        }
        for name, diversities in values.items()
    }
    return Section(title, len(answers), "answers", figures, tuple(notes))
