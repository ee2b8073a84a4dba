"""Short answers: the teacher's labels corrected where its words refute them, and made-up pairs.

On pairs of at most five words that share none, the stored partitions say "same" for more than half
("Okapi" and "Pangolin", the digits 1 and 8). A head fitted on that calls 42 and 43 equivalent. So
labels of short pairs are corrected by what the texts say, and pairs are made by putting short
answers to a stored prompt into everyday phrases: the same answer twice, or two different ones.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darling_models.embedded.description import NUMBER
from darling_models.embedded.strings.words import WORD
from darling_models.labelled_data import TeacherGroup
from darling_models.protocol import IntArray

MAX_CORRECTED_WORDS = 15
MAX_WORDLESS_WORDS = 5
COMMON = 0.08
"""Share of texts above which a word carries no answer."""
MAX_ANSWER_WORDS = 4
PAIRS_PER_PROMPT = 24
PHRASES = (
    "{}",
    "{}.",
    "**{}**",
    "The answer is {}.",
    "I'd go with {}.",
    "My pick: {}",
    "Sure! {}",
    "How about {}?",
    "{} is my choice.",
    "I recommend {}.",
    "I would choose {}, without a doubt.",
    "Here is one: {}",
)

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class MadeUpPairs:
    """Pairs of phrases to one prompt, and whether they give the same answer."""

    prompt: str
    texts: list[tuple[str, str]]
    same: list[bool]


def common_words(texts: Iterable[str]) -> frozenset[str]:
    """Words in more than `COMMON` of the texts."""
    counts: Counter[str] = Counter()
    total = 0
    for text in texts:
        counts.update(set(_words(text)))
        total += 1
    return frozenset(word for word, count in counts.items() if count > COMMON * total)


def corrected(group: TeacherGroup, pairs: IntArray, common: frozenset[str]) -> Mask:
    """Whether each pair is of one class by the teacher, or else by its own words, shape (m,)."""
    prompt_words, prompt_numbers = set(_words(group.prompt)), set(NUMBER.findall(group.prompt))
    words = [_words(text) for text in group.texts]
    numbers = [set(NUMBER.findall(text)) - prompt_numbers for text in group.texts]
    content = [set(own) - prompt_words - common for own in words]
    same = []
    for i, j in pairs.tolist():
        longest = max(len(words[i]), len(words[j]))
        verdict = bool(group.partition[i] == group.partition[j])
        if longest <= MAX_CORRECTED_WORDS:
            if words[i] == words[j] and words[i]:
                verdict = True
            elif numbers[i] and numbers[j]:
                verdict = verdict and bool(numbers[i] & numbers[j])
            elif content[i] and content[j]:
                verdict = verdict and bool(content[i] & content[j])
            elif longest <= MAX_WORDLESS_WORDS:
                verdict = verdict and bool(set(words[i]) & set(words[j]))
        same.append(verdict)
    return np.asarray(same, dtype=np.bool_)


def made_up(groups: Sequence[TeacherGroup], seed: int) -> list[MadeUpPairs]:
    """Up to `PAIRS_PER_PROMPT` pairs for each prompt with at least four short answers."""
    random = np.random.default_rng(seed)
    answers: dict[str, dict[str, str]] = {}
    for group in groups:
        for text in group.texts:
            words = _words(text)
            if 0 < len(words) <= MAX_ANSWER_WORDS:
                known = answers.setdefault(group.prompt, {})
                known.setdefault(" ".join(words), text.strip().strip(".*"))
    return [
        _pairs_of(prompt, list(known.values()), random)
        for prompt, known in answers.items()
        if len(known) >= 4
    ]


def _pairs_of(prompt: str, answers: list[str], random: np.random.Generator) -> MadeUpPairs:
    known = set(_words(prompt))
    texts: list[tuple[str, str]] = []
    same: list[bool] = []
    for turn in range(PAIRS_PER_PROMPT):
        a, b = (answers[int(k)] for k in random.integers(len(answers), size=2))
        phrase, other = (PHRASES[int(k)] for k in random.choice(len(PHRASES), 2, replace=False))
        if turn % 2 == 0:
            texts.append((phrase.format(a), other.format(a)))
            same.append(True)
            continue
        own, others = set(_words(a)) - known, set(_words(b)) - known
        if own and others and not own & others:
            # Half of them in the same words but for the answer, which is what misleads.
            texts.append((phrase.format(a), (phrase if turn % 4 == 1 else other).format(b)))
            same.append(False)
    return MadeUpPairs(prompt, texts, same)


def _words(text: str) -> list[str]:
    return [word.lower() for word in WORD.findall(text)]
