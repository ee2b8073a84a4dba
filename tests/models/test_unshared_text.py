"""Text that both sides share does not pass for agreement, nor does padding change a label."""

import numpy as np
import pytest

from darling_models.embedded.classifier import ARTEFACT, Embedded
from darling_models.embedded.features import FEATURES, pair_features
from darling_models.embedded.head import PairHead
from darling_models.embedded.unshared_text import REMAINS, WHOLE
from darling_models.evaluation.lengthen import neutral_sentences
from darling_models.labelled_data import HumanPair
from darling_models.protocol import all_pairs, classify
from darling_models.training.augment.padding import EVERY, padded, padded_phrases, spread
from darling_models.training.augment.short_answers import MadeUpPairs
from tests.texts import essay

pytestmark = pytest.mark.processor

PROMPT = "What should a small town do with its old railway station?"
PREAMBLE = "Thank you for this good question. Here is what I would say."


@pytest.fixture(scope="module")
def embedded() -> Embedded:
    return Embedded()


def features(embedded: Embedded, a: str, b: str) -> dict[str, float]:
    units = embedded.plan(PROMPT, [a, b], all_pairs(2)).units
    prompt, *described = embedded.run(units)
    (row,) = pair_features(described, prompt, all_pairs(2), PairHead.load(ARTEFACT).lexicon)
    return dict(zip(FEATURES, row.tolist(), strict=True))


def test_a_shared_preamble_is_left_out_of_the_rest(embedded: Embedded) -> None:
    """What is left of the padded pair is what the bare pair is, but for its context."""
    a, b = "Make it a library for children.", "Sell it to the highest bidder!"
    bare = features(embedded, a, b)
    longer = features(embedded, f"{PREAMBLE} {a}", f"{PREAMBLE} {b}")
    assert bare["shared_low"] == 0
    assert 0.5 < longer["shared_low"] < longer["shared_high"] < 1
    for name in ("token_jaccard", "token_containment", "new_token_jaccard"):
        assert longer[f"rest_{name}"] == pytest.approx(bare[name], abs=1e-6)
        assert longer[name] > bare[name] + 0.3
    assert longer["rest_tokens_low"] == pytest.approx(bare["rest_tokens_low"])
    assert longer["rest_document"] < longer["document"]


def test_where_nothing_is_shared_the_rest_is_the_whole(embedded: Embedded) -> None:
    found = features(embedded, essay(0, 20), "Sell it. The school needs the money.")
    assert found["shared_low"] == found["shared_high"] == found["rest_none"] == 0
    for rest, whole in WHOLE.items():
        assert found[rest] == found[whole]


@pytest.mark.parametrize(("a", "b"), [("One. Two three.", "Two three. One."), ("one!\nTwo", "Two")])
def test_a_text_within_the_other_leaves_nothing(embedded: Embedded, a: str, b: str) -> None:
    found = features(embedded, a, b)
    whole = a.split()[-1] != b.split()[-1]
    assert found["shared_high"] == 1
    assert (found["rest_none"], found["rest_one_sided"]) == (float(whole), float(not whole))


def test_every_feature_of_the_rest_is_finite_and_symmetric(embedded: Embedded) -> None:
    texts = ["", "a", "a. b", "b\n\na c. " * 700, "…", "a.\n…", f"{PREAMBLE}\n{essay(1, 200)}"]
    pairs = all_pairs(len(texts))
    prompt, *described = embedded.run(embedded.plan(PROMPT, texts, pairs).units)
    lexicon = PairHead.load(ARTEFACT).lexicon
    forth = pair_features(described, prompt, pairs, lexicon)
    back = pair_features(described, prompt, pairs[:, ::-1], lexicon)
    for name in REMAINS:
        column = FEATURES.index(name)
        assert np.isfinite(forth[:, column]).all()
        np.testing.assert_allclose(forth[:, column], back[:, column], atol=1e-5)


@pytest.mark.parametrize("words", [60, 400, 2000])
def test_shared_filler_hides_neither_difference_nor_agreement(
    embedded: Embedded, words: int
) -> None:
    """Two short answers that differ, and two that agree, in a hay of the same sentences."""
    filler = neutral_sentences(words, seed=3)
    prompt = "Name a city worth a visit."
    texts = ("Kyoto, for its temples.", "Lisbon, for its light.", "I would go to Lisbon.")
    hay = [spread(text, filler) for text in texts]
    other, _, same = classify(embedded, prompt, hay, all_pairs(3)).tolist()
    assert other < embedded.info.threshold < same


def pairs(count: int) -> list[HumanPair]:
    return [
        HumanPair(f"Prompt {k}?", essay(k, 60), essay(k + 1, 70), k % 2 == 0, "ann")
        for k in range(count)
    ]


def test_padding_adds_the_same_foreign_sentences_to_both_sides() -> None:
    originals = pairs(12)
    longer, origin = padded(originals, seed=0)
    assert origin.tolist() == list(range(0, 12, EVERY))
    for pair, k in zip(longer, origin.tolist(), strict=True):
        before = originals[k]
        assert (pair.prompt, pair.similar, pair.labeler) == (
            *(before.prompt, before.similar, before.labeler),
        )
        added_a, added_b = (
            after.replace(text, "").split()
            for after, text in ((pair.a, before.a), (pair.b, before.b))
        )
        assert added_a == added_b
        assert len(added_a) >= 12
    again, _ = padded(originals, seed=0)
    assert again == longer


def test_padded_phrases_keep_their_labels_and_answers() -> None:
    made = MadeUpPairs("A colour?", [("Red.", "Blue.")] * 6, [False] * 6)
    (longer,) = padded_phrases([made], pairs(4), seed=0)
    assert longer.same == made.same
    for k, (a, b) in enumerate(longer.texts):
        assert "Red." in a
        assert "Blue." in b
        assert (a == "Red.") == (k % EVERY != 0)


def test_spread_keeps_the_lines_in_order() -> None:
    assert spread("one\ntwo", ["A.", "B.", "C."]) == "A.\none\nB.\ntwo\nC."
