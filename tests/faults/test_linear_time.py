"""No text costs more than its length: tenfold characters, at most fifteen times the CPU time."""

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest

from darling_models.embedded.approach import working_words
from darling_models.embedded.classifier import ARTEFACT
from darling_models.embedded.description import Description, describe
from darling_models.embedded.encoder import TextEncoder, TokenizedText, wheel_weights
from darling_models.embedded.features import pair_features
from darling_models.embedded.head import PairHead
from darling_models.embedded.strings.facts import facts
from darling_models.evaluation.regimes import is_maths
from darling_models.final_answers.equality import matches_label
from darling_models.final_answers.extraction import final_answer
from darling_models.final_answers.plain_form import plain_form
from darling_models.lexical import BASELINES, short_answers_equivalent
from darling_models.options import DEFAULT_OPTIONS
from darling_models.pairs import pair_unit
from darling_models.protocol import all_pairs, classify, text_unit
from darling_models.reasoning import part_reasoning
from darling_models.texts.chat_templates import Turn, read_prompt, rollout_turns
from darling_models.texts.rule import TextRule, compared_text, own_answer, own_text
from darling_models.texts.special_tokens import is_blank, without_special_tokens
from darling_models.texts.tool_calls import with_plain_calls
from darling_service.rewards.diversity import ngram_diversity
from darling_service.trainers.classify import pair_in
from darling_service.trainers.responses import response_of
from tests.cpu_time import too_dear
from tests.faults.hostile import SHAPES, text_of

CHARACTERS = 2_500
"""Length of the shorter text. The longer one, of ten times as many, is long enough for a function
of quadratic time to show itself and short enough for all shapes to take a minute."""

ENCODER = TextEncoder(wheel_weights())
HEAD = PairHead.load(ARTEFACT)
WIDTH = len(HEAD.lexicon.token_mean)


def described(text: str) -> Description:
    """The description with one token for two characters, all of one vector: no model runs."""
    starts = np.arange(0, max(len(text), 1), 2)
    vectors = np.ones((len(starts), WIDTH), dtype=np.float32)
    ids = starts % len(HEAD.lexicon.idf)
    return describe(text, TokenizedText(ids, starts), vectors, HEAD.lexicon)


def compared(text: str) -> object:
    texts = [described(text), described(text[1:])]
    return pair_features(texts, texts[0], all_pairs(2), HEAD.lexicon)


def lexical(name: str) -> Callable[[str], object]:
    classifier = BASELINES[name](DEFAULT_OPTIONS)
    return lambda text: classify(classifier, "", [text, text[1:]], all_pairs(2))


def by_rule(rule: TextRule) -> Callable[[str], object]:
    return lambda text: compared_text([Turn("assistant", text), Turn("tool", text)], rule)


FUNCTIONS: dict[str, Callable[[str], object]] = {
    "strings": facts,
    "working": working_words,
    "calculates": is_maths,
    "tokens": lambda text: ENCODER.tokenize([text]),
    "description and features": compared,
    **{name: lexical(name) for name in BASELINES},
    "short-answer rule": lambda text: short_answers_equivalent(text, text[1:]),
    "keys": lambda text: (text_unit(text), pair_unit(text, text[1:], text)),
    "n-gram diversity": lambda text: ngram_diversity([text, text[1:]]),
    "answers compared": plain_form,
    "final answers": final_answer,
    "labels": lambda text: matches_label(text, "42"),
    "reasoning": part_reasoning,
    "turns of a rollout": rollout_turns,
    "prompt": read_prompt,
    "special tokens": without_special_tokens,
    "blank": is_blank,
    "tool calls": with_plain_calls,
    "own text": lambda text: own_text([Turn("assistant", text), Turn("tool", text)] * 2),
    "own answer": lambda text: own_answer([Turn("assistant", text), Turn("tool", text)] * 2),
    **{f"text by rule {rule}": by_rule(rule) for rule in get_args(TextRule)},
    "response in a query": lambda text: response_of(text, text[3:] + "x"),
    "pair in an input": lambda text: pair_in(f"[CLS] {text} [SEP] {text} [SEP]"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_ten_times_the_characters_take_at_most_fifteen_times_as_long(name: str) -> None:
    function = FUNCTIONS[name]
    function(text_of("plain words", CHARACTERS))  # imports, tables
    slow = {
        shape: measured
        for shape in SHAPES
        if (
            measured := too_dear(
                function, text_of(shape, CHARACTERS), text_of(shape, 10 * CHARACTERS)
            )
        )
    }
    assert not slow
