"""Made-up groups of answers that look alike and differ, or differ in looks alone.

One surname with two first names, one quantity in two units, one figure in two units, times of day,
decades, the letters of a choice, and lists of numbers.
"""

from collections.abc import Callable

import numpy as np

from darling_models.labelled_data import TeacherGroup
from darling_models.training.augment.phrases import one_of, some_of, wrap

GROUPS = 240
FIRST_NAMES = "Mary Percy George Martha Emily Charlotte Anne John Robert Jane Thomas William Henry"
FIRST_NAMES += " Linda Susan Ada Frank Ruth Carl Pierre Irene Clara Leo Virginia Elizabeth"
SURNAMES = "Shelley Washington Brontë Adams Browning Austen Kennedy Roosevelt Bush James Curie Bach"
SURNAMES += " Schumann Tolstoy Woolf Taylor Huxley Darwin Miller Morgan Lincoln Dickens Bell Wright"
CREDITS = ("{}", "It was {}.", "That was {}.", "{} did it.", "By {}.", "{} wrote it.")
UNITS = (
    *(("km", "m", 1000), ("m", "cm", 100), ("kg", "g", 1000), ("tonnes", "kg", 1000)),
    *(("hours", "minutes", 60), ("minutes", "seconds", 60), ("days", "hours", 24)),
    *(("weeks", "days", 7), ("years", "months", 12), ("litres", "millilitres", 1000)),
    *(("dollars", "cents", 100), ("feet", "inches", 12), ("decades", "years", 10)),
)
"""A unit, a smaller one, and how many of the smaller one make it."""
AMOUNTS = (0.25, 0.5, 1.5, 2, 2.5, 3, 4, 5, 7.5, 8, 10, 12, 20)
DECADES = "twenties thirties forties fifties sixties seventies eighties nineties"
CHOICES = ("{}", "{}.", "({})", "{})", "**{}**", "Option {}", "The answer is {}.", "It's {}.")
OUTPUTS = ("{}", "The result is {}.", "`{}`", "It returns {}", "**{}**")

Classes = list[list[str]]
"""Texts by class."""
Random = np.random.Generator


def look_alikes(random: Random) -> list[TeacherGroup]:
    """Groups of all kinds; each has two to four classes."""
    kinds, shares = zip(*KINDS.items(), strict=True)
    groups = []
    for k in random.choice(len(kinds), size=GROUPS, p=np.asarray(shares)).tolist():
        prompt, classes = kinds[k](random)
        texts = {text: number for number, wordings in enumerate(classes) for text in wordings}
        groups.append(TeacherGroup(prompt, tuple(texts), np.asarray(list(texts.values()))))
    return groups


def _some_wrapped(texts: list[str], random: Random) -> list[str]:
    return [text if random.random() < 0.5 else wrap(text, random, 0.25) for text in texts]


def _names(random: Random) -> tuple[str, Classes]:
    """A person with and without initials, another of that surname, and another surname."""
    first, second = some_of(FIRST_NAMES.split(), 2, random)
    while first[0] == second[0]:
        second = one_of(FIRST_NAMES.split(), random)
    surname, another = some_of(SURNAMES.split(), 2, random)
    middle = one_of("BCDEFGHJLMRST", random)
    people = [
        [f"{first} {surname}", f"{first[0]}. {surname}", f"{first} {middle}. {surname}"],
        [f"{second} {surname}", f"{second[0]}. {surname}"],
        [f"{first} {another}", f"{first[0]}. {another}"],
    ]
    prompt = one_of(("Who wrote it?", "Who was it?", "Name the person."), random)
    said = [[one_of(CREDITS, random).format(name) for name in person] for person in people]
    return prompt, said


def _quantities(random: Random) -> tuple[str, Classes]:
    """One quantity in two units, the same figure in the other unit, and another figure."""
    unit, smaller, factor = one_of(UNITS, random)
    amount = one_of(AMOUNTS, random)
    classes = [
        [f"{amount:g} {unit}", f"{amount * factor:g} {smaller}", f"{amount * factor:,g} {smaller}"],
        [f"{amount:g} {smaller}"],
        [f"{amount * 10:g} {unit}", f"{amount * 10 * factor:.0f} {smaller}"],
    ]
    prompt = one_of(("How much is it?", "Give the amount.", "What did they measure?"), random)
    return prompt, [_some_wrapped(texts, random) for texts in classes]


def _times(random: Random) -> tuple[str, Classes]:
    hour, minute = int(random.integers(1, 11)), one_of(("00", "05", "15", "20", "30", "45"), random)
    time = f"{hour}:{minute}"
    classes = [
        [f"{time} AM", f"{time} a.m.", f"{hour:02d}:{minute}", f"{time} in the morning"],
        [f"{time} PM", f"{hour + 12}:{minute}", f"{time} in the evening"],
        [f"{hour + 1}:{minute} AM"],
    ]
    return "When does it start?", [_some_wrapped(texts, random) for texts in classes]


def _decades(random: Random) -> tuple[str, Classes]:
    words = dict(zip(range(1920, 2000, 10), DECADES.split(), strict=True))
    first, second = some_of(list(words), 2, random)
    classes = [
        [f"the {first}s", f"in the {first}s", f"the '{first % 100}s", f"the {words[first]}"],
        [f"the {second}s", f"the {words[second]}"],
        [str(first + int(random.integers(1, 10)))],
    ]
    return "When was it?", [_some_wrapped(texts, random) for texts in classes]


def _letters(random: Random) -> tuple[str, Classes]:
    letters = some_of("ABCDE", 3, random)
    prompt = one_of(("Choose a letter.", "Which option is right?"), random)
    return prompt, [[form.format(a) for form in some_of(CHOICES, 3, random)] for a in letters]


def _lists(random: Random) -> tuple[str, Classes]:
    """A list of numbers with and without spaces, one with another number, and its digits alone."""
    numbers = random.choice(900, size=3, replace=False).tolist()
    near = [*numbers[:-1], numbers[-1] + 1000]

    def say(items: list[int]) -> str:
        text = one_of((",", ", "), random).join(map(str, items))
        return one_of(OUTPUTS, random).format(f"[{text}]")

    classes = [[say(items) for _ in range(3)] for items in (numbers, near)]
    return "What does it return?", [*classes, ["".join(map(str, numbers))]]


KINDS: dict[Callable[[Random], tuple[str, Classes]], float] = {
    _names: 0.27,
    _quantities: 0.35,
    _times: 0.07,
    _decades: 0.07,
    _letters: 0.14,
    _lists: 0.1,
}
"""Each kind of group, and its share of the groups."""
