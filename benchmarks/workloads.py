"""Groups of real prose: the Python language reference, which every Python carries (PSF licence).

Of it only the words: its tables and grammars are several tokens to a word, which rollouts are not.

`diverse` rollouts come from different topics; `collapsed` ones are one passage with a word changed
here and there, so that they are distinct texts of one meaning. No text is made twice.
"""

import random
import re
from dataclasses import dataclass
from functools import cache
from itertools import count
from pydoc_data import topics

SHORT_ANSWER_WORDS = 12
WORD = re.compile(r"[(\"]?[A-Za-z]+(?:['-][A-Za-z]+)*[)\"]?[.,;:?!]?")
_serial = count()


@dataclass(frozen=True, slots=True)
class Workload:
    rollouts: int
    words: int
    collapsed: bool = False

    @property
    def name(self) -> str:
        return f"n={self.rollouts} x {self.words} words{', collapsed' * self.collapsed}"

    def group(self) -> tuple[str, list[str]]:
        """Returns (prompt, rollouts) that were never sent before, so that no cache holds them."""
        source = random.Random(next(_serial))
        if not self.collapsed:
            return "Explain.", [_passage(source, self.words) for _ in range(self.rollouts)]
        words = _passage(source, self.words).split()
        return "Explain.", [_reworded(source, words) for _ in range(self.rollouts)]


@cache
def _prose() -> list[str]:
    whole: list[str] = " ".join(topics.topics.values()).split()
    return [word for word in whole if WORD.fullmatch(word)]


def _passage(source: random.Random, words: int) -> str:
    """A passage from a random place, with `words` words give or take 40 %."""
    length = max(int(words * source.uniform(0.6, 1.4)), 1)
    start = source.randrange(len(_prose()) - length)
    return " ".join(_prose()[start : start + length])


def _reworded(source: random.Random, words: list[str]) -> str:
    changed = list(words)
    for _ in range(max(len(words) // 50, 1)):
        changed[source.randrange(len(words))] = source.choice(_prose())
    return " ".join(changed)
