"""Decoders read a text once for all of its pairs: same answers, same bits, fewer tokens."""

import random
import string
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers.processors import TemplateProcessing
from torch.nn.modules.module import register_module_forward_hook
from transformers import PreTrainedTokenizerFast, Qwen3Model

from models.cross_encoder import CrossEncoder
from models.options import ModelOptions
from models.protocol import Unit, all_pairs, judge
from tests.checkpoints import deberta, gpt2, qwen3

CHAT = "<|im_start|>{a}<|im_end|>{b}<|im_end|>"
OPTIONS = ModelOptions(pair_template=CHAT, runtime="float32")
WHOLE = replace(OPTIONS, runtime="tiles")


def texts(seed: int, lengths: Sequence[int]) -> list[str]:
    """As many tokens as characters."""
    source = random.Random(seed)
    return ["".join(source.choices(string.ascii_letters + " \n", k=n)) for n in lengths]


@pytest.mark.parametrize("make", [qwen3, gpt2])
@pytest.mark.parametrize(
    "options",
    [
        OPTIONS,
        replace(OPTIONS, side_length=9),
        replace(OPTIONS, max_length=40),
        replace(OPTIONS, pair_template="{a}<|im_end|>{b}"),
        replace(OPTIONS, pair_template="{a}{b}<|im_end|>"),
    ],
)
def test_probabilities_equal_those_of_whole_pairs(
    tmp_path: Path, make: Callable[[Path], Any], options: ModelOptions
) -> None:
    make(tmp_path)
    shared = CrossEncoder(str(tmp_path), options)
    whole = CrossEncoder(str(tmp_path), replace(options, runtime="tiles"))
    given = texts(1, [0, 1, 5, 14, 15, 16, 29, 33, 40, 70])
    pairs = all_pairs(len(given))
    found = judge(shared, "", given, pairs)
    np.testing.assert_allclose(found, judge(whole, "", given, pairs), rtol=0, atol=1e-5)
    assert len(np.unique(found.round(4))) > len(pairs) / 2, "they say something"
    assert shared.info.revision != whole.info.revision


def test_a_pair_joined_by_the_tokenizer_is_parted_too(tmp_path: Path) -> None:
    qwen3(tmp_path)
    fast = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    fast.backend_tokenizer.post_processor = TemplateProcessing(
        single="$A", pair="$A <|im_end|> $B:1 <|im_end|>:1", special_tokens=[("<|im_end|>", 2)]
    )
    fast.save_pretrained(tmp_path)
    given = texts(2, [0, 3, 20, 50])
    joined, templated = (
        CrossEncoder(str(tmp_path), ModelOptions(pair_template=template))
        for template in (None, "{a}<|im_end|>{b}<|im_end|>")
    )
    with tokens_read() as read:
        found = judge(joined, "", given, all_pairs(4))
        of_joined = sum(read)
        np.testing.assert_array_equal(judge(templated, "", given, all_pairs(4)), found)
    assert sum(read) == 2 * of_joined


@pytest.mark.parametrize("make", [qwen3, gpt2])
def test_what_ends_in_padding_is_read_where_transformers_reads_it(
    tmp_path: Path, make: Callable[..., Any]
) -> None:
    """At the last token that is not padding, be it before the second text."""
    model = make(tmp_path, pad_token_id=0)
    template = "{a}<|im_end|>{b}<|endoftext|><|endoftext|>"
    options = ModelOptions(pair_template=template, runtime="float32")
    classifier = CrossEncoder(str(tmp_path), options)
    fast = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    given = ["", "ab", "abc<|endoftext|>"]
    found = judge(classifier, "", given, all_pairs(3))
    for (i, j), p in zip(all_pairs(3).tolist(), found, strict=True):
        written = template.format(a=given[i], b=given[j])
        ids = torch.tensor([fast.encode(written, add_special_tokens=False)])
        with torch.inference_mode():
            expected = model(input_ids=ids).logits[0].double().softmax(0)[1]
        assert p == pytest.approx(float(expected), abs=1e-6)


@pytest.fixture(scope="module", params=[qwen3, gpt2])
def alone(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[CrossEncoder, list[Unit], list[Any]]:
    """A decoder, pairs of texts that fill a tile's row, nearly, and not, and each one's result."""
    folder = tmp_path_factory.mktemp("decoder")
    request.param(folder)
    classifier = CrossEncoder(str(folder), OPTIONS)
    given = texts(3, [1, 2, 2, 14, 15, 15, 28])
    units = classifier.plan("", given, all_pairs(len(given))).units
    return classifier, units, [classifier.run([unit])[0] for unit in units]


@pytest.mark.heavy
@settings(max_examples=40, deadline=None)
@given(order=st.permutations(range(21)), count=st.integers(1, 21))
def test_company_and_order_change_no_bit(
    alone: tuple[CrossEncoder, list[Unit], list[Any]], order: list[int], count: int
) -> None:
    classifier, units, results = alone
    chosen = order[:count]
    assert classifier.run([units[i] for i in chosen]) == [results[i] for i in chosen]


def test_the_tokens_of_a_first_text_are_read_once(tmp_path: Path) -> None:
    """For a whole group: in one batch, in any order of its pairs, and over many batches."""
    qwen3(tmp_path)
    shared, whole = (CrossEncoder(str(tmp_path), options) for options in (OPTIONS, WHOLE))
    units = shared.plan("", sorted(texts(4, [400] * 8)), all_pairs(8)).units
    with tokens_read() as read:
        whole.run(units)
        of_whole = sum(read)
        read.clear()
        results = shared.run(random.Random(5).sample(units, len(units)))
        of_shared = sum(read)
        read.clear()
        for start in range(0, len(units), 2):
            shared.run(units[start : start + 2])
    assert of_shared <= 0.6 * of_whole
    assert sum(read) == of_shared
    assert {result.tokens for result in results} == {803}, "whatever else was in the batch"


@pytest.mark.parametrize(
    ("make", "config"),
    [
        (deberta, {}),
        (qwen3, {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}),
        (qwen3, {"is_causal": False}),
        (qwen3, {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}}),
    ],
)
def test_what_cannot_be_read_in_parts_is_read_whole(
    tmp_path: Path,
    make: Callable[..., Any],
    config: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    make(tmp_path, **config)
    template = "[CLS]{a}[SEP]{b}[SEP]" if make is deberta else CHAT
    options = ModelOptions(pair_template=template, runtime="float32")
    classifier = CrossEncoder(str(tmp_path), options)
    whole = CrossEncoder(str(tmp_path), replace(options, runtime="tiles"))
    given = texts(6, [3, 20, 40])
    found = judge(classifier, "", given, all_pairs(3))
    np.testing.assert_array_equal(found, judge(whole, "", given, all_pairs(3)))
    assert classifier.info.revision == whole.info.revision
    refused = make is qwen3 and config != {"is_causal": False}
    assert ("a qwen3 here reads every pair whole" in caplog.text) == refused


def test_a_trial_finds_a_decoder_that_is_no_prefix_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Here every state knows how many tokens are read at once, padding included."""
    forward = Qwen3Model.forward

    @wraps(forward)
    def counting(*args: Any, **given: Any) -> Any:
        output = forward(*args, **given)
        output.last_hidden_state = (
            output.last_hidden_state + 0.01 * output.last_hidden_state.shape[1]
        )
        return output

    qwen3(tmp_path)
    monkeypatch.setattr(Qwen3Model, "forward", counting)
    classifier, whole = (CrossEncoder(str(tmp_path), options) for options in (OPTIONS, WHOLE))
    assert classifier.info.revision == whole.info.revision
    assert "its logits are others when the second text is read after the first" in caplog.text


@contextmanager
def tokens_read() -> Iterator[list[int]]:
    """Tokens that enter any model meanwhile, padding included: an entry for each pass."""
    read: list[int] = []

    def count(module: torch.nn.Module, inputs: tuple[Any, ...], output: object) -> None:
        if isinstance(module, torch.nn.Embedding):
            read.append(inputs[0].numel())

    hook = register_module_forward_hook(count)
    try:
        yield read
    finally:
        hook.remove()
