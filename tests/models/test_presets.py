"""The published classifiers' input, cut and threshold, on small checkpoints of their architectures.

Each is held against a forward pass written out by hand from the published code: special tokens
around the raw tokens of each side, one sequence at a time, no padding.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from darling_models.errors import ModelError
from darling_models.options import ModelOptions
from darling_models.protocol import all_pairs, classify
from darling_models.registry import load
from tests.checkpoints import byte_tokenizer, deberta, modernbert, qwen3
from tests.conftest import running

pytestmark = pytest.mark.processor

EXACT = ModelOptions(runtime="float32")
TEXTS = ["Two  spaces\n\tand a tab", "Two spaces and a tab", "x", "long " * 60]
BERT = ("[CLS]", "[SEP]", "[SEP]")
QWEN = ("<|im_start|>", "<|im_end|>", "<|im_end|>")
PUBLISHED = pytest.mark.parametrize(
    ("preset", "make", "special", "side", "threshold"),
    [
        ("noveltybench-deberta", deberta, BERT, 128, 0.102),
        ("darling-modernbert", modernbert, BERT, 1022, 0.32),
        ("darling-qwen3", qwen3, QWEN, 2046, 0.5),
    ],
)


def by_hand(model: Any, folder: Path, special: tuple[str, ...], side: int, a: str, b: str) -> float:
    fast = PreTrainedTokenizerFast.from_pretrained(folder)
    cls, sep, end = fast.convert_tokens_to_ids(list(special))
    first = fast.encode(a, add_special_tokens=False)[:side]
    second = fast.encode(b, add_special_tokens=False)[:side]
    ids = [cls, *first, sep, *second, end]
    given = {"input_ids": torch.tensor([ids])}
    if model.config.model_type == "deberta-v2":
        segments = [0] * (len(first) + 2) + [1] * (len(second) + 1)
        given["token_type_ids"] = torch.tensor([segments])
    with torch.inference_mode():
        return float(model(**given).logits[0].double().softmax(0)[1])


@PUBLISHED
def test_a_preset_equals_the_published_forward(
    tmp_path: Path,
    preset: str,
    make: Callable[[Path], Any],
    special: tuple[str, ...],
    side: int,
    threshold: float,
) -> None:
    model = make(tmp_path)
    classifier = load(f"{preset}:{tmp_path}", EXACT)
    found = classify(classifier, "never read", TEXTS, all_pairs(4))
    for (i, j), p in zip(all_pairs(4).tolist(), found, strict=True):
        a, b = sorted((TEXTS[i], TEXTS[j]))
        assert p == pytest.approx(by_hand(model, tmp_path, special, side, a, b), abs=5e-6)
    assert len(np.unique(found.round(6))) == 6, "white space counts, and so does every text"
    assert classifier.info.threshold == threshold
    assert classifier.info.id == f"{preset}:{tmp_path}"


@PUBLISHED
def test_company_in_the_batch_changes_nothing(
    tmp_path: Path,
    preset: str,
    make: Callable[[Path], Any],
    special: Any,
    side: int,
    threshold: Any,
) -> None:
    make(tmp_path)
    classifier = load(f"{preset}:{tmp_path}")
    together = classify(classifier, "", TEXTS, all_pairs(4))
    alone = [classify(classifier, "", TEXTS, pair[None])[0] for pair in all_pairs(4)]
    np.testing.assert_array_equal(alone, together)
    np.testing.assert_array_equal(classify(classifier, "", TEXTS, all_pairs(4)[:, ::-1]), together)


def test_each_side_is_cut_on_its_own_and_counted(tmp_path: Path) -> None:
    deberta(tmp_path)
    classifier = load(f"noveltybench-deberta:{tmp_path}")
    texts = ["a" * 128, "b" * 129, "c" * 900]
    results = classifier.run(classifier.plan("", texts, all_pairs(3)).units)
    assert [result.truncated for result in results] == [True, True, True]
    assert [result.tokens for result in results] == [128 + 128 + 3] * 3
    same = classify(classifier, "", ["c" * 128, "c" * 900, "d"], np.array([[0, 2], [1, 2]]))
    assert same[0] == same[1], "what was cut off is not read"


def test_the_pair_budget_takes_from_the_longer_side(tmp_path: Path) -> None:
    modernbert(tmp_path)
    classifier = load(f"darling-modernbert:{tmp_path}", ModelOptions(max_length=53))
    cut = classify(classifier, "", ["a" * 10, "b" * 100], all_pairs(2))
    by_budget = classify(classifier, "", ["a" * 10, "b" * 40], all_pairs(2))
    assert cut == by_budget


def test_settings_beat_the_preset_and_the_preset_beats_the_config(tmp_path: Path) -> None:
    modernbert(tmp_path, equivalence_threshold=0.9, equivalence_max_tokens_per_text=3)
    assert load(f"darling-modernbert:{tmp_path}").info.threshold == 0.32
    chosen = ModelOptions(threshold=0.6, max_tokens_per_text=5)
    classifier = load(f"darling-modernbert:{tmp_path}", chosen)
    assert classifier.info.threshold == 0.6
    result = classifier.run(classifier.plan("", ["a" * 9, "b" * 9], all_pairs(2)).units)[0]
    assert result.tokens == 5 + 5 + 3


def test_a_config_says_how_its_checkpoint_is_used(tmp_path: Path) -> None:
    modernbert(
        tmp_path,
        equivalence_template="[CLS]{a}[SEP]{b}[SEP]",
        equivalence_max_tokens_per_text=7,
        equivalence_label=0,
        equivalence_threshold=0.25,
    )
    classifier = load(f"cross-encoder:{tmp_path}")
    published = load(f"darling-modernbert:{tmp_path}", ModelOptions(max_tokens_per_text=7))
    np.testing.assert_allclose(
        classify(classifier, "", TEXTS, all_pairs(4)),
        1 - classify(published, "", TEXTS, all_pairs(4)),
        atol=1e-9,
    )
    assert classifier.info.threshold == 0.25


def test_a_decoder_without_a_padding_token_reads_its_last_token(tmp_path: Path) -> None:
    model = qwen3(tmp_path)
    assert model.config.pad_token_id is None
    byte_tokenizer(tmp_path, ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<unk>"])
    template = "<|im_start|>{a}<|im_end|>{b}<|endoftext|>"
    classifier = load(f"cross-encoder:{tmp_path}", replace(EXACT, pair_template=template))
    special = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")
    found = classify(classifier, "", ["a", "b" * 20], all_pairs(2))
    assert found[0] == pytest.approx(by_hand(model, tmp_path, special, 99, "a", "b" * 20), abs=5e-6)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("darling-modernbert", "is incomplete; write darling-modernbert:PATH_OR_ID"),
        ("darling-qwen3:/nowhere/at/all", "there is no folder '/nowhere/at/all'; check the path"),
        ("darling-llama:/x", "unknown model 'darling-llama:/x'; choose one of"),
    ],
)
def test_what_cannot_be_loaded_says_why(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load(name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ModelOptions(), "nothing would separate the two texts.*pair_template"),
        (ModelOptions(pair_template="{b} then {a}"), "needs {a} and, after it, {b}"),
    ],
)
def test_a_pair_that_cannot_be_told_apart_is_refused(
    tmp_path: Path, options: ModelOptions, message: str
) -> None:
    qwen3(tmp_path)
    with pytest.raises(ModelError, match=message):
        load(f"cross-encoder:{tmp_path}", options)


def test_the_one_with_published_weights_looks_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "empty"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    arguments = ("--model", "noveltybench-deberta")
    with running(tmp_path / "log", *arguments, wait_ready=False) as service:
        assert service.process.wait(timeout=120) == 2
        said = service.log.read_text()
    assert "there is no folder 'yimingzhang/deberta-v3-large-generation-similarity'" in said
    assert "HF_HUB_OFFLINE is set" in said


def test_a_preset_serves_rewards(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    qwen3(folder)
    arguments = ("--model", f"darling-qwen3:{folder}")
    with running(tmp_path / "log", *arguments) as service, service.client() as http:
        group = {"prompt": "", "rollouts": TEXTS, "quality": [1, 1, 1, 1]}
        answer = http.post("/v1/rewards", json={"groups": [group]}).json()
    assert answer["model"]["id"] == f"darling-qwen3:{folder}"
    assert answer["usage"]["classified"] == 6
