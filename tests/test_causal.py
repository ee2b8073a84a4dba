"""Decoders read what pairs share once: the same answers as transformers', the same bits always."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import MistralConfig, MistralForSequenceClassification

from models.cross_encoder import CrossEncoder
from models.options import ModelOptions
from models.pairs import pair_unit
from models.protocol import FloatArray, Unit, all_pairs, judge
from tests.checkpoints import QWEN, SIZE, byte_tokenizer, qwen3

TEMPLATE = "{a}<|im_end|>{b}"
OPTIONS = ModelOptions(pair_template=TEMPLATE)


def sliding(folder: Path) -> Any:
    torch.manual_seed(6)
    size = len(byte_tokenizer(folder, QWEN, unk_token="<unk>", pad_token="<|endoftext|>"))
    make: Any = MistralForSequenceClassification
    more: dict[str, Any] = {"sliding_window": 8, "num_key_value_heads": 1, "pad_token_id": 0}
    model = make(MistralConfig(vocab_size=size, **SIZE, **more))
    model.save_pretrained(folder)
    return model.eval()


def texts(seed: int, count: int, longest: int = 150) -> list[str]:
    source = random.Random(seed)
    return ["".join(source.choices("abc de", k=source.randint(1, longest))) for _ in range(count)]


def expected(model: Any, classifier: CrossEncoder, units: Sequence[Unit]) -> FloatArray:
    """By transformers, one whole pair at a time."""
    found = []
    for unit in units:
        ids = torch.from_numpy(classifier._pairs.encode(*unit.inputs).sequence[:1])
        with torch.no_grad():
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0].double()
        found.append(float(torch.softmax(logits, 0)[-1]))
    return np.asarray(found)


def units_of(some: Sequence[str]) -> list[Unit]:
    return [pair_unit(some[i], some[j]) for i, j in all_pairs(len(some)).tolist()]


@contextmanager
def counted(classifier: CrossEncoder) -> Iterator[list[int]]:
    """Tokens that go into the model, call by call."""
    sizes: list[int] = []
    layer = classifier._model.base_model.embed_tokens
    hook = layer.register_forward_hook(lambda _, given, __: sizes.append(given[0].numel()))
    try:
        yield sizes
    finally:
        hook.remove()


@pytest.mark.parametrize("make", [qwen3, sliding])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"side_length": 20},
        {"max_length": 60},
        # Ends in the padding token: transformers classifies the token before.
        {"pair_template": "<|im_start|>{a}<|im_end|>{b}<|endoftext|>"},
    ],
)
def test_probabilities_are_those_of_transformers(
    tmp_path: Path, make: Callable[[Path], Any], more: dict[str, Any]
) -> None:
    model = make(tmp_path)
    classifier = CrossEncoder(str(tmp_path), ModelOptions(**{"pair_template": TEMPLATE} | more))
    units = [*units_of(texts(1, 7)), pair_unit("", ""), pair_unit("", "a")]
    found = [result.probability for result in classifier.run(units)]
    wanted = expected(model, classifier, units)
    assert np.ptp(wanted) > 0.05
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> CrossEncoder:
    folder = tmp_path_factory.mktemp("qwen3")
    qwen3(folder)
    return CrossEncoder(str(folder), OPTIONS)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.data())
def test_company_changes_no_bit(decoder: CrossEncoder, seed: int, data: st.DataObject) -> None:
    units = units_of(texts(seed, 5))
    whole = {unit.key: r.probability for unit, r in zip(units, decoder.run(units), strict=True)}
    some = data.draw(st.lists(st.sampled_from(units), min_size=1, unique=True))
    for unit, result in zip(some, decoder.run(some), strict=True):
        assert result.probability == whole[unit.key]


def test_what_pairs_share_is_read_once(decoder: CrossEncoder, tmp_path: Path) -> None:
    qwen3(tmp_path)
    options = ModelOptions(pair_template=TEMPLATE, runtime="tiles")
    tiles = CrossEncoder(str(tmp_path), options)
    group = [f"{i}" + "x" * 159 for i in range(8)]
    with counted(decoder) as divided, counted(tiles) as whole:
        ours = judge(decoder, "", group, all_pairs(8))
        theirs = judge(tiles, "", group, all_pairs(8))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    # 7 first and 28 second parts of 160 tokens, instead of 28 pairs of 321.
    assert sum(divided) == 7 * 161 + 28 * 160
    assert sum(divided) < 0.65 * 28 * 321 <= sum(whole)
    assert decoder.info.revision != tiles.info.revision


def test_a_sliding_window_is_not_divided(tmp_path: Path) -> None:
    sliding(tmp_path)
    classifier = CrossEncoder(str(tmp_path), OPTIONS)
    with counted(classifier) as sizes:
        judge(classifier, "", ["a" * 40, "a" * 41, "a" * 42], all_pairs(3))
    assert sizes == [96, 96, 96], "whole pairs of 81 to 83 tokens, padded"
