"""The embedded classifier: what it reads, what its artefact holds, how its head is trained."""

import json
from pathlib import Path

import numpy as np
import pytest

from darling_models.embedded.classifier import ARTEFACT, Embedded
from darling_models.embedded.encoder import OVERLAP, WINDOW, TextEncoder, wheel_weights
from darling_models.embedded.features import FEATURES, pair_features
from darling_models.embedded.head import PairHead
from darling_models.errors import ModelError
from darling_models.options import ModelOptions
from darling_models.protocol import all_pairs, classify
from darling_models.registry import load
from tests.texts import essay

pytestmark = pytest.mark.processor

PROMPT = "What should a small town do with its old railway station?"


@pytest.fixture(scope="module")
def embedded() -> Embedded:
    return Embedded()


def probability(embedded: Embedded, a: str, b: str, prompt: str = PROMPT) -> float:
    return float(classify(embedded, prompt, [a, b], all_pairs(2))[0])


def test_same_answers_score_above_different_ones(embedded: Embedded) -> None:
    city = "Name a city worth a visit."
    cases = [
        (city, "Lisbon, for its light.", "I would go to Lisbon.", "Kyoto, for its temples."),
        ("What is 6 * 7?", "The answer is 42.", "42", "It is 41."),
        (PROMPT, essay(0, 60), essay(0, 80), essay(4, 70)),
    ]
    for prompt, a, same, other in cases:
        assert probability(embedded, a, same, prompt) > probability(embedded, a, other, prompt)


SAME = [
    ("Solve 3x = 6.", r"\boxed{2}", "The answer is 2."),
    ("What is 17*24?", "17*24 = 408", "408"),
    ("Pick a number.", "19", "My pick is 19, since it is prime and few people think of it."),
    ("Who was the first president of the USA?", "George Washington", "G. Washington"),
    ("Name a city.", "Kyoto", "Sure! I'd go with Kyoto. Let me know if you need more."),
    ("Is it safe?", "Yes.", "Yes, it is safe."),
    ("How many?", "1,000", "1000"),
]
OTHER = [
    ("Solve 3x = 6.", r"\boxed{2}", r"\boxed{4}"),
    ("What is 17*24?", "17*24 = 408", "17*24 = 418"),
    ("Solve x + 7 = 2.", "-5", "5"),
    ("What is it in all?", "a + b", "a - b"),
    ("Pick a number.", "The answer is 19.", "The answer is 91."),
    ("How far?", "5 km", "5 m"),
    ("When?", "at 1:45 AM", "at 1:45 PM"),
    ("Is it safe?", "Yes, it is safe.", "No, it is not safe."),
    ("Who was the first president of the USA?", "George Washington", "John Adams"),
]


@pytest.mark.parametrize(("prompt", "a", "b"), SAME)
def test_one_answer_in_two_forms_is_equivalent(
    embedded: Embedded, prompt: str, a: str, b: str
) -> None:
    assert probability(embedded, a, b, prompt) > embedded.info.threshold


@pytest.mark.parametrize(("prompt", "a", "b"), OTHER)
def test_nearly_one_text_with_another_answer_is_not(
    embedded: Embedded, prompt: str, a: str, b: str
) -> None:
    assert probability(embedded, a, b, prompt) < embedded.info.threshold


@pytest.mark.heavy
def test_the_last_sentence_of_a_long_text_is_read(embedded: Embedded) -> None:
    """8,000 words that differ only at the end: nothing is cut off silently."""
    text = essay(1, 8000)
    units = embedded.plan(PROMPT, [text, text + " However, none of it is true."], all_pairs(2))
    _, plain, longer = embedded.run(units.units)
    assert plain.tokens > 8000
    assert longer.tokens == plain.tokens + 8
    assert not np.array_equal(plain.document, longer.document)
    assert longer.keys.codes[-1] != plain.keys.codes[-1]


def test_windows_keep_the_vector_seen_from_farther_inside() -> None:
    encoder = TextEncoder(wheel_weights())
    (text,) = encoder.tokenize([essay(2, 700)])
    (vectors,) = encoder.token_vectors([text])
    stride = WINDOW - OVERLAP
    first = encoder.tokenize([essay(2, 700)])[0]
    (alone,) = encoder.token_vectors([type(text)(first.ids[stride:][:WINDOW], first.starts)])
    half = OVERLAP // 2
    inside = slice(half, WINDOW - half)
    np.testing.assert_array_equal(vectors[stride:][inside], alone[inside])


def test_vectors_of_one_window_are_those_of_sentence_transformers() -> None:
    """The same tokens, weights and mean pooling as the library the weights come from."""
    from sentence_transformers import SentenceTransformer

    encoder = TextEncoder(wheel_weights())
    texts = ["Blue is a colour.", essay(3, 90)]
    oracle = SentenceTransformer(str(wheel_weights()), device="cpu")
    expected = oracle.encode(texts, output_value="token_embeddings", convert_to_numpy=False)
    for found, tokens in zip(encoder.token_vectors(encoder.tokenize(texts)), expected, strict=True):
        np.testing.assert_allclose(found, tokens[1:-1].cpu().numpy(), atol=1e-5)


def test_features_are_named_finite_and_symmetric(embedded: Embedded) -> None:
    texts = ["", "no", essay(0, 30), essay(1, 300), "你好 🦄", "- a\n- b\n\n**bold** 12.5"]
    units = embedded.plan(PROMPT, texts, all_pairs(len(texts))).units
    prompt, *described = embedded.run(units)
    lexicon = PairHead.load(ARTEFACT).lexicon
    pairs = all_pairs(len(texts))
    features = pair_features(described, prompt, pairs, lexicon)
    assert features.shape == (len(pairs), len(FEATURES))
    assert np.isfinite(features).all()
    swapped = pair_features(described, prompt, pairs[:, ::-1], lexicon)
    np.testing.assert_allclose(swapped, features, atol=1e-5)


def test_few_pairs_among_many_texts_agree_with_all_pairs(embedded: Embedded) -> None:
    texts = [essay(k, 4 + k % 9) + f" {k}" for k in range(90)]
    chosen = np.asarray([[2 * k, 2 * k + 1] for k in range(45)])
    few = classify(embedded, PROMPT, texts, chosen)
    everything = classify(embedded, PROMPT, texts, all_pairs(90))
    place = {tuple(pair): k for k, pair in enumerate(all_pairs(90).tolist())}
    np.testing.assert_allclose(
        few, [everything[place[tuple(p)]] for p in chosen.tolist()], atol=1e-6
    )


def test_the_artefact_is_small_documented_and_free_of_pickle() -> None:
    files = {path.name: path.stat().st_size for path in ARTEFACT.iterdir()}
    assert set(files) == {
        *("head.safetensors", "head.json", "metrics.json"),
        *("MODEL_CARD.md", "reliability.png", "encoder.safetensors"),
    }
    assert sum(files.values()) < 30e6
    card = (ARTEFACT / "MODEL_CARD.md").read_text()
    figures = json.loads((ARTEFACT / "metrics.json").read_text())["figures"]
    for row in figures.values():
        for figure in row.values():
            assert f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]" in card


def test_settings_override_threshold_and_linkage() -> None:
    info = load("embedded", ModelOptions(threshold=0.9, linkage="complete")).info
    assert (info.threshold, info.linkage) == (0.9, "complete")


def test_a_written_head_can_be_read_by_the_user_of_a_container(tmp_path: Path) -> None:
    PairHead.load(ARTEFACT).save(tmp_path)
    assert oct((tmp_path / "head.safetensors").stat().st_mode & 0o777) == "0o644"


def test_a_folder_without_a_head_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read a pair head"):
        Embedded(artefact=tmp_path)


def test_a_head_of_other_features_is_refused(tmp_path: Path) -> None:
    for name in ("head.safetensors", "head.json"):
        (tmp_path / name).write_bytes((ARTEFACT / name).read_bytes())
    choices = json.loads((tmp_path / "head.json").read_text())
    choices["features"] = choices["features"][::-1]
    (tmp_path / "head.json").write_text(json.dumps(choices))
    with pytest.raises(ModelError, match="train it again"):
        Embedded(artefact=tmp_path)
    (tmp_path / "head.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot read a pair head"):
        Embedded(artefact=tmp_path)
