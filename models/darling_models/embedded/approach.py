r"""The notion `approach` of the embedded classifier: two texts use the same method.

The encoder that was tuned for answers says little about methods, so the published one reads each
text again: its mean token vector tells what a solution speaks of. Beside it stand the words of the
working. What belongs to the final answer is left out of these: sentences from "the answer is", an
"answer:" or a `\boxed{}` on, and every number; and so are the words of the prompt. Nothing was
trained for this: the weights below are of a logistic map of two numbers, fitted on half of
`tests/behaviours/approach.jsonl`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from darling_models.embedded.encoder import TextEncoder, TokenizedText, Vectors, wheel_weights
from darling_models.embedded.set_overlap import codes_of
from darling_models.embedded.strings.chat_words import STOPWORDS
from darling_models.embedded.strings.facts import SENTENCE
from darling_models.embedded.strings.words import WORD, stem
from darling_models.final_answers.extraction import BOX, PHRASE
from darling_models.final_answers.plain_form import folded
from darling_models.keys import content_key
from darling_models.options import Runtime
from darling_models.protocol import (
    STEP_PAIRS,
    FloatArray,
    IntArray,
    Steps,
    Unit,
    estimate_tokens,
)
from darling_models.runtime.kernels import AUTO, Choice

THRESHOLD = 0.5
"""Probability above which two texts use the same method: the fit gave both labels equal weight."""
MIN_WORDS = 2
"""Words beyond those of the prompt that show a working; short answers have fewer."""
CONCLUDING = (
    "conclude concluding conclusion final finally hence overall result results therefore thus total"
)
"""Words around a final answer, which belong to no method."""
NO_WORKING = STOPWORDS | frozenset(CONCLUDING.split())
SHARED, COSINE, BIAS = 1.91, 6.40, -4.18
"""Weights of the share of the shorter working's words that the other holds, and of the cosine of
the texts' mean vectors; and the constant."""
BALANCED_ACCURACY, WITHIN_ONE_ANSWER = 0.71, 0.64
"""Mean of the shares of same and of different pairs that are decided rightly, on the half of
`tests/behaviours/approach.jsonl` on which nothing was fitted; and the same for its groups whose
rollouts all have one answer."""
COMMAND = re.compile(r"\\[A-Za-z]+")
"""A LaTeX command."""


@dataclass(frozen=True, slots=True)
class Working:
    """How a text comes to its answer."""

    words: IntArray
    """Sorted distinct codes of its words, without those of the final answer."""
    direction: Vectors
    """Unit mean token vector by the published encoder, shape (hidden,)."""

    @property
    def nbytes(self) -> int:
        return self.words.nbytes + self.direction.nbytes


class PublishedEncoder:
    """all-MiniLM-L6-v2 as published, loaded when it is first needed: by this notion alone."""

    def __init__(self, device: str, runtime: Runtime, kernels: Choice | None) -> None:
        """`kernels`: those of the tuned encoder, which has the same shape."""
        self._device, self._runtime, self._kernels = device, runtime, kernels or AUTO

    @cached_property
    def _encoder(self) -> TextEncoder:
        return TextEncoder(
            wheel_weights(), self._device, runtime=self._runtime, kernels=self._kernels
        )

    def workings(self, texts: Sequence[str], tokenized: Sequence[TokenizedText]) -> list[Working]:
        """How each text comes to its answer."""
        means = [rows.mean(axis=0) for rows in self._encoder.token_vectors(tokenized)]
        return [
            Working(working_words(text), mean / max(float(np.linalg.norm(mean)), 1e-6))
            for text, mean in zip(texts, means, strict=True)
        ]


def unit_of(text: str) -> Unit:
    """The unit of a text whose working is wanted, too, which costs a second reading."""
    return Unit(content_key(text, "approach"), (text, "approach"), 2 * estimate_tokens(text))


def wants_working(unit: Unit) -> bool:
    """Whether the unit is one of `unit_of`."""
    return len(unit.inputs) > 1


def working_words(text: str) -> IntArray:
    """Sorted distinct codes of the words of a text that say how it comes to its answer."""
    before_answers = " ".join(map(_before_answer, SENTENCE.split(folded(text).replace("’", "'"))))
    words = WORD.findall(COMMAND.sub(" ", before_answers).lower())
    return codes_of(
        stem(word)
        for word in words
        if word not in NO_WORKING and not any(character.isdigit() for character in word)
    )


def same_approach_in_steps(
    workings: Sequence[Working], prompt_words: IntArray, pairs: IntArray
) -> Steps[tuple[FloatArray, NDArray[np.bool_]]]:
    """P(same method) of `pairs` (m, 2) of indices into `workings`, and whether both texts of the
    pair show a working, so that the probability means something; shapes (m,)."""
    own = [one.words[~np.isin(one.words, prompt_words)] for one in workings]
    sizes = np.asarray([len(codes) for codes in own])
    known, columns = np.unique(np.concatenate(own), return_inverse=True)
    held = csr_matrix(
        (np.ones(len(columns)), columns, np.concatenate([[0], np.cumsum(sizes)])),
        shape=(len(own), max(len(known), 1)),
    )
    directions = np.stack([one.direction for one in workings]).astype(np.float64)
    same = np.empty(len(pairs))
    for start in range(0, len(pairs), STEP_PAIRS):
        rows, others = pairs[start : start + STEP_PAIRS].T
        common = np.asarray(held[rows].multiply(held[others]).sum(axis=1)).ravel()
        shared = common / np.maximum(np.minimum(sizes[rows], sizes[others]), 1)
        # Products commute and each row is summed by itself, so (a, b) and (b, a) are the same bits.
        cosine = (directions[rows] * directions[others]).sum(axis=1)
        logit = SHARED * shared + COSINE * cosine + BIAS
        same[start : start + STEP_PAIRS] = 1 / (1 + np.exp(-logit))
        yield
    shown = np.minimum(*sizes[pairs.T]) >= MIN_WORDS
    return same, shown


def _before_answer(sentence: str) -> str:
    """A sentence up to where it states the final answer."""
    marks = [mark.start() for mark in (PHRASE.search(sentence), BOX.search(sentence)) if mark]
    return sentence[: min(marks, default=len(sentence))]
