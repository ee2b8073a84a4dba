"""Comparing in steps: short ones, and the same bits as in one go."""

from collections.abc import Sequence

import numpy as np
import pytest

from darling_models.embedded.classifier import ARTEFACT, Embedded
from darling_models.embedded.features import BLOCK_TEXTS, pair_features, pair_features_in_steps
from darling_models.embedded.head import PairHead
from darling_models.pairs import PairResult, Pairwise
from darling_models.protocol import (
    STEP_PAIRS,
    EquivalenceClassifier,
    ModelInfo,
    Unit,
    all_pairs,
    cosines_of,
    finished,
    probabilities_in_steps,
    probabilities_of,
    run_units,
    text_unit,
)
from darling_models.registry import load
from tests.texts import essay

PROMPT = "What should a small town do with its old railway station?"
TEXTS = sorted(f"{essay(k, 2 + k % 7)} {k}" for k in range(110))


class SameLength(Pairwise):
    info = ModelInfo("same-length", "1", 0.5, "average", "test")

    def run(self, units: Sequence[Unit]) -> list[PairResult]:
        same = (float(len(unit.inputs[0]) == len(unit.inputs[1])) for unit in units)
        return [PairResult(value, 1, truncated=False) for value in same]


@pytest.fixture(scope="module", params=["embedded", "same-length", "exact", "unigram", "ngram"])
def classifier(request: pytest.FixtureRequest) -> EquivalenceClassifier:
    return SameLength() if request.param == "same-length" else load(request.param)


def test_steps_are_many_and_give_the_same_bits(classifier: EquivalenceClassifier) -> None:
    pairs = all_pairs(len(TEXTS))
    results = run_units(classifier, classifier.plan(PROMPT, TEXTS, pairs).units)
    about = (PROMPT, TEXTS, pairs, results)
    steps = probabilities_in_steps(classifier, *about)
    at_once = probabilities_of(classifier, *about)
    for taken in range(len(pairs) // STEP_PAIRS):
        assert next(steps, "ended") is None, f"ended after {taken} steps"
    assert finished(steps).tobytes() == at_once.tobytes()
    none = all_pairs(1)
    assert finished(probabilities_in_steps(classifier, PROMPT, TEXTS, none, {})).shape == (0,)


def test_the_features_of_a_pair_are_the_same_bits_whatever_is_compared_beside_it() -> None:
    embedded, lexicon = Embedded(), PairHead.load(ARTEFACT).lexicon
    pairs = all_pairs(len(TEXTS))
    prompt, *described = embedded.run(embedded.plan(PROMPT, TEXTS, pairs).units)
    features = pair_features(described, prompt, pairs, lexicon)
    side = BLOCK_TEXTS // 2
    across_blocks = [k for k, (i, j) in enumerate(pairs) if side in (i + 1, i, j, j - 1)]
    for k in across_blocks[::9]:
        alone = pair_features(described, prompt, pairs[k : k + 1], lexicon)
        np.testing.assert_array_equal(alone[0], features[k])
    backwards = pair_features(described, prompt, pairs[::-1].copy(), lexicon)
    np.testing.assert_array_equal(backwards, features[::-1])


def test_no_step_compares_more_than_the_pairs_of_one_block() -> None:
    embedded, lexicon = Embedded(), PairHead.load(ARTEFACT).lexicon
    pairs = all_pairs(len(TEXTS))
    prompt, *described = embedded.run(embedded.plan(PROMPT, TEXTS, pairs).units)
    side = BLOCK_TEXTS // 2
    for some, largest in ((pairs, side**2), (pairs[::40], side)):  # dense, and far apart
        steps = sum(1 for _ in pair_features_in_steps(described, prompt, some, lexicon))
        assert steps >= len(some) / largest


def test_cosines_are_the_same_bits_in_any_company() -> None:
    rows = np.random.default_rng(0).normal(size=(60, 384))
    vectors = {text_unit(str(k)).key: rows[k] for k in range(60)}
    texts, pairs = [str(k) for k in range(60)], all_pairs(60)
    together = cosines_of(vectors, texts, pairs)
    assert len(pairs) > STEP_PAIRS
    for k in range(0, len(pairs), 97):
        i, j = pairs[k].tolist()
        assert together[k] == float(np.sum(rows[i] * rows[j]))
        assert cosines_of(vectors, texts, pairs[k : k + 1, ::-1])[0] == together[k]
