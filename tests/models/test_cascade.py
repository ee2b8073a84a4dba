"""A cascade: clear pairs by the embedded head, the others by a cross-encoder, and nothing else."""

from pathlib import Path

import numpy as np
import pytest

from darling_models.errors import ModelError
from darling_models.protocol import all_pairs, classify
from darling_models.registry import load
from tests.models.test_cross_encoder import bert
from tests.texts import essay

pytestmark = pytest.mark.processor

PROMPT = "What should a small town do with its old railway station?"


def texts() -> list[str]:
    """Some nearly equal, some far apart, some between."""
    essays = [essay(k, words) for k, words in ((0, 30), (0, 34), (1, 30), (2, 60), (2, 45))]
    museums = ["A museum.", "A museum, with a cafe.", "Turn it into a museum of trains."]
    return [*essays, essays[0] + " Indeed.", *museums]


def test_each_pair_is_answered_by_the_stage_it_belongs_to(tmp_path: Path) -> None:
    bert(tmp_path, num_labels=2)
    first, second = load("embedded"), load(f"cross-encoder:{tmp_path}")
    cascade = load(f"cascade:cross-encoder:{tmp_path}")
    low, high = (first.info.operating_points[name] for name in ("recall", "precision"))
    pairs = all_pairs(len(texts()))
    likely, asked, found = (
        classify(model, PROMPT, texts(), pairs) for model in (first, second, cascade)
    )
    # The head's last bits may depend on what it compares at once.
    clear = np.minimum(np.abs(likely - low), np.abs(likely - high)) > 1e-5
    expected = np.where(likely > high, 1.0, np.where(likely > low, asked, 0.0))
    np.testing.assert_array_equal(found[clear], expected[clear])
    assert {0.0, 1.0} <= set(expected)
    assert ((likely > low) & (likely <= high)).any(), "some pairs reached the second model"
    assert cascade.info.threshold == second.info.threshold
    assert cascade.info.revision not in (first.info.revision, second.info.revision)

    alone = [classify(cascade, PROMPT, texts(), pair[None])[0] for pair in pairs]
    np.testing.assert_array_equal(alone, found)
    np.testing.assert_array_equal(classify(cascade, PROMPT, texts(), pairs[:, ::-1]), found)


def test_tokens_are_those_of_the_second_model(tmp_path: Path) -> None:
    bert(tmp_path, num_labels=2)
    cascade = load(f"cascade:cross-encoder:{tmp_path}")
    plan = cascade.plan(PROMPT, texts(), all_pairs(len(texts())))
    results = cascade.run(plan.units)
    values = cascade.probabilities(
        PROMPT,
        texts(),
        all_pairs(len(texts())),
        {unit.key: result for unit, result in zip(plan.units, results, strict=True)},
    )
    assert [result.tokens == 0 for result in results] == [p in (0.0, 1.0) for p in values]


def test_a_model_that_reads_no_pairs_cannot_end_a_cascade() -> None:
    with pytest.raises(ModelError, match="ngram reads no pairs"):
        load("cascade:ngram")
