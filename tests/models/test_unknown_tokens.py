"""Texts that a tokenizer cannot tell apart: equal tokens do not mean equivalent."""

from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from darling_models.embedded.encoder import wheel_weights
from darling_models.protocol import ONE_PAIR, EquivalenceClassifier, all_pairs, classify
from darling_models.registry import load
from darling_models.unknown_tokens import confused, readings_of
from tests.models.test_cross_encoder import SIZE

UNKNOWN = "[UNK]"
DIFFERENT = [
    ("My favourite today: 🐙", "My favourite today: 🌵"),
    ("🐙", "🌵"),
    ("I like 🐙 and 🎺.", "I like 🎺 and 🐙."),
    ("ឈ្មោះខ្ញុំគឺ សុខា", "ឈ្មោះខ្ញុំគឺ ដារ៉ា"),
    ("key " + "0f" * 60, "key " + "a1" * 60),
    ("कु", "कू"),
    ("a 🐙🐙", "a 🐙"),
]
"""Pairs that MiniLM's tokenizer writes with the same ids."""
ALIKE = [
    ("Lisbon, for its light.", "  lisbon, FOR its\tlight.\n"),
    ("café", "cafe\u0301"),
    ("naïve", "naive"),
    ("🐙", "🐙 "),
    ("❤️ 🐙", "❤ 🐙"),
    ("zero\u200bwidth", "zerowidth"),
    ("10 ﬁles 🐙", "10 ﬁles  🐙"),
]
"""Pairs with the same ids that differ in case, form, white space or what cannot be seen."""


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    wordpieces = Tokenizer.from_file(str(wheel_weights() / "tokenizer.json"))
    wordpieces.no_truncation()
    wordpieces.no_padding()
    return wordpieces


@pytest.mark.parametrize(
    ("pair", "expected"), [(p, True) for p in DIFFERENT] + [(p, False) for p in ALIKE]
)
def test_what_is_lost_tells_texts_apart(
    tokenizer: Tokenizer, pair: tuple[str, str], expected: bool
) -> None:
    readings = readings_of(tokenizer, pair, tokenizer.token_to_id(UNKNOWN))
    a, b = (readings[text] for text in pair)
    assert a.encoding.ids == b.encoding.ids, "the tokenizer does not tell them apart"
    assert confused(a, b) == confused(b, a) == expected


def test_a_tokenizer_may_leave_out_what_it_does_not_know() -> None:
    letters = Tokenizer(models.BPE({letter: i for i, letter in enumerate("abc")}, []))
    letters.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    readings = readings_of(letters, ("a 🐙", "a 🌵", " a  🐙"), None)
    octopus, cactus, spaced = readings.values()
    assert confused(octopus, cactus)
    assert not confused(octopus, spaced)


@pytest.mark.parametrize("name", ["embedded", "embeddings", "cross-encoder"])
def test_no_backend_that_reads_tokens_calls_them_equivalent(tmp_path: Path, name: str) -> None:
    if name == "cross-encoder":
        AutoTokenizer.from_pretrained(wheel_weights()).save_pretrained(tmp_path)
        model: Any = BertForSequenceClassification(BertConfig(vocab_size=30522, **SIZE))
        model.save_pretrained(tmp_path)
        name = f"cross-encoder:{tmp_path}"
    classifier = load(name)
    unlike = 0.5 if name == "embeddings" else 0.0
    assert unlike <= classifier.info.threshold
    for pair in DIFFERENT:
        assert probability(classifier, pair) == probability(classifier, pair[::-1]) == unlike
    for pair in ALIKE:
        assert probability(classifier, pair) not in (0.0, 0.5)


def test_each_of_a_group_is_a_class_of_its_own() -> None:
    texts = [f"My favourite today: {one}" for one in "🐙🌵🎺🦕"]
    assert set(classify(load("embeddings"), "", texts, all_pairs(4))) == {0.5}


def probability(classifier: EquivalenceClassifier, pair: tuple[str, ...]) -> float:
    return float(classify(classifier, "", pair, ONE_PAIR)[0])
