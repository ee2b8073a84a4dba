"""Text that both sides share does not pass for agreement, nor does padding change a label."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from darling_models.embedded.classifier import ARTEFACT, Embedded
from darling_models.embedded.description import Description
from darling_models.embedded.features import FEATURES
from darling_models.embedded.head import SLICE, PairHead
from darling_models.embedded.late_interaction import (
    LATE_FEATURES,
    MAX_KEYS,
    Keys,
    late_features,
    unit,
)
from darling_models.evaluation.lengthen import neutral_sentences
from darling_models.protocol import ONE_PAIR, all_pairs, classify
from darling_models.training.augment.padding import spread
from tests.cpu_time import too_dear
from tests.texts import essay

pytestmark = pytest.mark.processor

PROMPT = "What should a small town do with its old railway station?"
PREAMBLE = "Thank you for this good question. Here is what I would say."


@pytest.fixture(scope="module")
def embedded() -> Embedded:
    return Embedded()


def compared(embedded: Embedded, *texts: str) -> dict[str, list[float]]:
    """The late features of all pairs of texts."""
    pairs = all_pairs(len(texts))
    prompt, *described = embedded.run(embedded.plan(PROMPT, texts, pairs).units)
    values = late_features(described, prompt.sets["token"], *pairs.T)
    return {name: column.tolist() for name, column in values.items()}


def test_a_shared_preamble_is_left_out(embedded: Embedded) -> None:
    """What is left of the padded pair is what the bare pair is, but for its context."""
    a, b = "Make it a library for children.", "Sell it to the highest bidder!"
    bare = compared(embedded, a, b)
    longer = compared(embedded, f"{PREAMBLE} {a}", f"{PREAMBLE} {b}")
    for name in ("late_low", "late_cosine"):
        assert longer[name][0] == pytest.approx(bare[name][0], abs=0.1)


@pytest.mark.parametrize(("a", "b"), [("One. Two three.", "Two three. One."), ("one!\nTwo", "Two")])
def test_a_text_within_the_other_is_compared_whole(embedded: Embedded, a: str, b: str) -> None:
    values = compared(embedded, a, b)
    assert values["late_high"][0] > 0.7
    assert np.isfinite([values[name][0] for name in LATE_FEATURES]).all()


@dataclass(frozen=True)
class Text:
    keys: Keys


def made_up_texts(count: int, seed: int) -> list[Text]:
    """Texts of 1 to `MAX_KEYS` keys in sentences of which others hold some."""
    random = np.random.default_rng(seed)
    texts = []
    for length in random.integers(1, MAX_KEYS + 1, count).tolist():
        sentences = 1 + length // 9
        keys = Keys(
            vectors=unit(random.normal(size=(length, 16))),
            whole=random.normal(size=(length, 24)).astype(np.float16),
            weights=random.random(length).astype(np.float32),
            ids=random.integers(0, 50, length),
            sentence=np.sort(random.integers(0, sentences, length)),
            rest=random.normal(size=24).astype(np.float32),
            codes=random.integers(0, 40, sentences),
        )
        texts.append(Text(keys))
    return texts


def plainly(a: Keys, b: Keys, prompt_ids: list[int]) -> list[float]:
    """The late features of one pair, token by token."""
    sides = []
    shared = set(a.codes.tolist()) & set(b.codes.tolist())
    own = [[k for k, s in enumerate(x.sentence) if x.codes[s] not in shared] for x in (a, b)]
    partly = bool(shared) and all(own)
    for x, kept in zip((a, b), own, strict=True):
        kept = kept if partly else list(range(len(x.ids)))
        weights = [x.weights[k] * (0.3 if x.ids[k] in prompt_ids else 1) for k in kept]
        total = np.zeros(24) if partly else x.rest.astype(np.float64)
        for weight, k in zip(weights, kept, strict=True):
            total = total + weight * x.whole[k].astype(np.float64)
        sides.append((x.vectors[kept], np.asarray(weights), total / np.linalg.norm(total)))
    (left, left_weights, left_sum), (right, right_weights, right_sum) = sides
    similar = left.astype(np.float64) @ right.T
    means = [
        float(similar.max(axis=1) @ left_weights / left_weights.sum()),
        float(similar.max(axis=0) @ right_weights / right_weights.sum()),
    ]
    cosine = float(left_sum @ right_sum)
    return [min(means), max(means), cosine, min(means) * cosine]


@pytest.mark.parametrize("seed", range(3))
def test_pairs_compared_together_are_those_compared_plainly(seed: int) -> None:
    texts = made_up_texts(14, seed)
    pairs = all_pairs(14)
    together = late_features(texts, np.arange(9), *pairs.T)
    for k, (i, j) in enumerate(pairs.tolist()):
        expected = plainly(texts[i].keys, texts[j].keys, list(range(9)))
        assert [together[name][k] for name in LATE_FEATURES] == pytest.approx(expected, abs=1e-4)


def test_a_pair_has_the_same_bits_among_few_and_many() -> None:
    texts = made_up_texts(70, 3)
    pairs = all_pairs(70)
    together = late_features(texts, np.arange(9), *pairs.T)
    for k in range(0, len(pairs), 17):
        two = [texts[i] for i in pairs[k]]
        alone = late_features(two, np.arange(9), np.asarray([0]), np.asarray([1]))
        assert [alone[name][0] for name in alone] == [together[name][k] for name in alone]


def test_lines_that_repeat_cost_no_more_than_lines_that_do_not(embedded: Embedded) -> None:
    """A looping policy's rollouts: CPU time of comparing, the best of three."""
    prompt, *described = embedded.run(
        embedded.plan(
            PROMPT,
            texts := [
                *(
                    f"{'I will try again.' * (k + 1)}\n" + "I will try again.\n" * 1000
                    for k in range(6)
                ),
                *("".join(f"Attempt {n} of {k}.\n" for n in range(1000)) for k in range(6)),
            ],
            all_pairs(len(texts)),
        ).units
    )
    pairs = all_pairs(6)

    def compare(rollouts: Sequence[Description]) -> None:
        late_features(rollouts, prompt.sets["token"], *pairs.T)

    assert not too_dear(compare, described[6:], described[:6], at_most=3)


def test_the_number_of_pairs_changes_no_bit(embedded: Embedded) -> None:
    """Features are standardised in slices and multiplied in blocks."""
    head = PairHead.load(ARTEFACT)
    rows = np.random.default_rng(3).normal(size=(2 * SLICE + 5, len(FEATURES))).astype(np.float32)
    together = head.probabilities(rows)
    for k in (0, 31, 32, SLICE - 1, SLICE, 2 * SLICE + 4):
        assert head.probabilities(rows[k : k + 1])[0] == together[k]
    assert head.probabilities(rows[:0]).shape == (0,)


def test_a_pair_is_compared_alike_in_any_company_bit_for_bit(embedded: Embedded) -> None:
    texts = ["", "a", "a. b", "b\n\na c. " * 70, "…", "a.\n…", f"{PREAMBLE}\n{essay(1, 200)}"]
    pairs = all_pairs(len(texts))
    together = classify(embedded, PROMPT, texts, pairs)
    for (i, j), probability in zip(pairs.tolist(), together.tolist(), strict=True):
        for own in ([texts[i], texts[j]], [texts[j], texts[i]]):
            assert classify(embedded, PROMPT, own, ONE_PAIR)[0] == probability


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


def test_spread_keeps_the_lines_in_order() -> None:
    assert spread("one\ntwo", ["A.", "B.", "C."]) == "A.\none\nB.\ntwo\nC."
