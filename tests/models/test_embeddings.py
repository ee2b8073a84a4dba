"""Sentence vectors, held against sentence-transformers and scikit-learn themselves."""

from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from sklearn.cluster import AgglomerativeClustering

from darling_models.embedded.encoder import wheel_weights
from darling_models.errors import ModelError
from darling_models.options import ModelOptions
from darling_models.partitions.linkage import number_by_first_occurrence, partition
from darling_models.protocol import EquivalenceClassifier, Linkage, all_pairs, classify
from darling_models.registry import load
from tests.conftest import running

pytestmark = pytest.mark.processor

TEXTS = [
    "Lisbon: warm light, steep streets and custard tarts.",
    "I would visit Lisbon, for its hills, sunshine and pastries.",
    "Kyoto, because of its temples and gardens.",
    "The temples and gardens of Kyoto.",
    "x² + 1 = 0 has no real root.",
    "",
]
PAIRS = all_pairs(len(TEXTS))


@pytest.fixture(scope="module")
def minilm() -> EquivalenceClassifier:
    return load("embeddings")


def test_probabilities_are_the_cosines_of_sentence_transformers(
    minilm: EquivalenceClassifier,
) -> None:
    model = SentenceTransformer(str(wheel_weights()), device="cpu")
    cosine = np.asarray(model.similarity(model.encode(TEXTS), model.encode(TEXTS)))
    found = classify(minilm, "never read", TEXTS, PAIRS)
    np.testing.assert_allclose(found, (1 + cosine[PAIRS[:, 0], PAIRS[:, 1]]) / 2, atol=1e-5)
    assert found[0] > 0.75 > found[1], "two on Lisbon are nearer than Lisbon and Kyoto"


def test_a_folder_is_the_same_as_the_wheel(minilm: EquivalenceClassifier) -> None:
    folder = load(f"embeddings:{wheel_weights()}")
    assert folder.info.revision == minilm.info.revision
    np.testing.assert_array_equal(
        classify(folder, "", TEXTS, PAIRS), classify(minilm, "", TEXTS, PAIRS)
    )


@pytest.mark.heavy
def test_symmetric_and_independent_of_the_company(minilm: EquivalenceClassifier) -> None:
    together = classify(minilm, "", TEXTS, PAIRS)
    np.testing.assert_array_equal(classify(minilm, "", TEXTS, PAIRS[:, ::-1]), together)
    alone = [classify(minilm, "", TEXTS, pair[None])[0] for pair in PAIRS]
    np.testing.assert_array_equal(alone, together)
    assert len(minilm.plan("", TEXTS, PAIRS).units) == len(TEXTS), "one unit a text, not a pair"


def test_what_does_not_fit_is_counted() -> None:
    classifier = load("embeddings", ModelOptions(max_length=16))
    plan = classifier.plan("", ["short", "word " * 50], all_pairs(2))
    assert {result.truncated: result.tokens for result in classifier.run(plan.units)} == {
        False: 3,
        True: 16,
    }


@pytest.mark.parametrize("linkage", ["average", "complete"])
@pytest.mark.parametrize("threshold", [0.55, 0.6, 0.7, 0.85])
def test_partitions_are_those_of_scikit_learns_agglomerative_clustering(
    minilm: EquivalenceClassifier, linkage: Linkage, threshold: float
) -> None:
    matrix = np.eye(len(TEXTS))
    matrix[PAIRS[:, 0], PAIRS[:, 1]] = matrix[PAIRS[:, 1], PAIRS[:, 0]] = classify(
        minilm, "", TEXTS, PAIRS
    )
    clustering = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage=linkage, distance_threshold=1 - threshold
    )
    expected = number_by_first_occurrence(clustering.fit_predict(1 - matrix))
    np.testing.assert_array_equal(partition(matrix, threshold, linkage), expected)


def test_a_folder_without_an_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot load a sentence encoder from the folder"):
        load(f"embeddings:{tmp_path}")


def test_it_serves_rewards(tmp_path: Path) -> None:
    arguments = ("--model", "embeddings", "--threshold", "0.75")
    with running(tmp_path / "log", *arguments) as service, service.client() as http:
        group = {"prompt": "", "rollouts": TEXTS[:4], "quality": [1] * 4}
        answer = http.post("/v1/rewards", json={"groups": [group]}).json()
    assert answer["groups"][0]["partition"] == [0, 0, 1, 1]
    assert answer["usage"]["classified"] == 6
