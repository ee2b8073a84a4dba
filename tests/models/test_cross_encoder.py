"""Any sequence-classification checkpoint: small ones made here, held against transformers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from darling_models.cross_encoder.classifier import CrossEncoder
from darling_models.errors import ModelError
from darling_models.options import ModelOptions
from darling_models.protocol import all_pairs, classify
from tests.conftest import running

pytestmark = pytest.mark.processor

WORDS = [*"abcdefghijklmnopqrstuvwxyz", "cat", "dog", "sat", "ran", "the"]
TEXTS = ["the cat sat a b c", "a dog ran d e f", "g h i", "dog"]
SIZE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}


def tokenizer(folder: Path, segments: bool = True) -> PreTrainedTokenizerFast:
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(names)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=inner,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=64,
        model_input_names=["input_ids", "attention_mask"] + ["token_type_ids"] * segments,
    )
    fast.save_pretrained(folder)
    return fast


def bert(folder: Path, **config: Any) -> Any:
    torch.manual_seed(1)
    vocabulary = len(tokenizer(folder))
    model: Any = BertForSequenceClassification(
        BertConfig(vocab_size=vocabulary, **SIZE, initializer_range=0.6, **config)
    )
    model.save_pretrained(folder)
    return model.eval()


def roberta(folder: Path, **config: Any) -> Any:
    torch.manual_seed(2)
    vocabulary = len(tokenizer(folder, segments=False))
    size = SIZE | {"max_position_embeddings": 66}
    model: Any = RobertaForSequenceClassification(
        RobertaConfig(vocab_size=vocabulary, **size, type_vocab_size=1, pad_token_id=0, **config)
    )
    model.save_pretrained(folder)
    return model.eval()


@pytest.mark.parametrize("make", [bert, roberta])
@pytest.mark.parametrize("labels", [1, 2])
def test_probabilities_equal_those_of_transformers(
    tmp_path: Path, make: Callable[..., torch.nn.Module], labels: int
) -> None:
    model = make(tmp_path, num_labels=labels)
    pairs = all_pairs(len(TEXTS))
    exact = ModelOptions(runtime="float32")
    found = classify(CrossEncoder(str(tmp_path), exact), "ignored", TEXTS, pairs)
    fast = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    for (i, j), p in zip(pairs.tolist(), found, strict=True):
        a, b = sorted((TEXTS[i], TEXTS[j]))
        inputs = fast(a, b, return_tensors="pt")
        assert ("token_type_ids" in inputs) == (make is bert)
        with torch.inference_mode():
            logits = model(**inputs).logits[0].double()
        expected = torch.sigmoid(logits)[0] if labels == 1 else torch.softmax(logits, 0)[-1]
        assert p == pytest.approx(float(expected), abs=1e-6)


def test_the_label_named_equivalent_is_found_or_chosen(tmp_path: Path) -> None:
    bert(tmp_path, id2label={0: "same", 1: "different"})
    by_name = classify(CrossEncoder(str(tmp_path)), "", TEXTS, all_pairs(4))
    chosen = CrossEncoder(str(tmp_path), ModelOptions(similar_label=1))
    np.testing.assert_allclose(classify(chosen, "", TEXTS, all_pairs(4)), 1 - by_name, atol=1e-9)
    assert chosen.info.revision != CrossEncoder(str(tmp_path)).info.revision


def test_symmetric_and_independent_of_the_batch(tmp_path: Path) -> None:
    bert(tmp_path, num_labels=2)
    classifier = CrossEncoder(str(tmp_path))
    texts = [" ".join(WORDS[: 1 + 3 * k]) for k in range(5)]
    together = classify(classifier, "", texts, all_pairs(5))
    np.testing.assert_array_equal(classify(classifier, "", texts, all_pairs(5)[:, ::-1]), together)
    alone = [classify(classifier, "", texts, pair[None])[0] for pair in all_pairs(5)]
    np.testing.assert_array_equal(alone, together)


def test_what_does_not_fit_is_counted(tmp_path: Path) -> None:
    bert(tmp_path, num_labels=2)
    classifier = CrossEncoder(str(tmp_path), ModelOptions(max_length=16))
    plan = classifier.plan("", ["the cat", "a dog", "the cat " * 20], all_pairs(3))
    results = classifier.run(plan.units)
    assert [result.truncated for result in results] == [False, True, True]
    assert all(result.tokens <= 16 for result in results)


def test_a_checkpoint_without_a_head_is_refused(tmp_path: Path) -> None:
    tokenizer(tmp_path)
    BertModel(BertConfig(vocab_size=40, **SIZE)).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"no trained classification head.*classifier"):
        CrossEncoder(str(tmp_path))


def test_a_missing_folder_and_a_wrong_label_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no folder"):
        CrossEncoder(str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match="cannot load a checkpoint from the folder"):
        CrossEncoder(str(tmp_path))
    bert(tmp_path, num_labels=2)
    with pytest.raises(ModelError, match="similar_label is 2"):
        CrossEncoder(str(tmp_path), ModelOptions(similar_label=2))


def test_a_tokenizer_that_puts_the_second_text_first_is_refused(tmp_path: Path) -> None:
    bert(tmp_path, num_labels=2)
    fast = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    fast.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A", pair="$B [SEP] $A", special_tokens=[("[SEP]", 3)]
    )
    fast.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="not put one text after the other; set pair_template"):
        CrossEncoder(str(tmp_path))
    CrossEncoder(str(tmp_path), ModelOptions(pair_template="[CLS]{a}[SEP]{b}[SEP]"))


def test_it_serves_rewards(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    bert(folder, num_labels=2)
    arguments = ("--model", f"cross-encoder:{folder}")
    with running(tmp_path / "log", *arguments) as service, service.client() as http:
        group = {"prompt": "", "rollouts": TEXTS, "quality": [1, 1, 1, 1]}
        answer = http.post("/v1/rewards", json={"groups": [group]}).json()
    assert answer["model"]["id"] == f"cross-encoder:{folder}"
    assert answer["usage"]["classified"] == 6
