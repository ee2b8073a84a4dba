"""Decoders read a text once for all of its pairs: same answers, same bits, fewer tokens.

Whether they may is for a trial to say, and on some processors it says no, because matrix kernels
round by batch there. So what reading in parts gives is tested with the trial's consent forced
(`consenting`), what reading whole gives with its objection forced (`objecting`), and equality of
bits in any company on whichever way this machine takes, and on the whole-pair tiles everywhere.
"""

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

from darling_models.cross_encoder.classifier import CrossEncoder
from darling_models.cross_encoder.shared_prefix import SharedPrefix
from darling_models.options import ModelOptions
from darling_models.protocol import Unit, all_pairs, classify
from tests.checkpoints import deberta, gpt2, qwen3
from tests.processors.pretence import FINE, row_by_row

pytestmark = pytest.mark.processor

CHAT = "<|im_start|>{a}<|im_end|>{b}<|im_end|>"
OPTIONS = ModelOptions(pair_template=CHAT, runtime="float32")
WHOLE = replace(OPTIONS, runtime="tiles")
BY_BATCH = "its logits depend on what else is in the batch"


def texts(seed: int, lengths: Sequence[int]) -> list[str]:
    """As many tokens as characters."""
    source = random.Random(seed)
    return ["".join(source.choices(string.ascii_letters + " \n", k=n)) for n in lengths]


@pytest.fixture
def consenting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoders are read in parts, however this machine rounds."""
    monkeypatch.setattr(SharedPrefix, "objection", lambda self: None)


@pytest.fixture
def objecting(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read whole, as where the trial finds that logits depend on the batch."""
    monkeypatch.setattr(SharedPrefix, "objection", lambda self: BY_BATCH)


@pytest.fixture(params=["consenting", "objecting"])
def either_way(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(request.param)


@pytest.mark.usefixtures("consenting")
@pytest.mark.parametrize("make", [qwen3, gpt2])
@pytest.mark.parametrize(
    "options",
    [
        OPTIONS,
        replace(OPTIONS, max_tokens_per_text=9),
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
    found = classify(shared, "", given, pairs)
    np.testing.assert_allclose(found, classify(whole, "", given, pairs), rtol=0, atol=1e-5)
    assert len(np.unique(found.round(4))) > len(pairs) / 2, "they say something"
    assert shared.info.revision != whole.info.revision


@pytest.mark.usefixtures("consenting")
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
        found = classify(joined, "", given, all_pairs(4))
        of_joined = sum(read)
        np.testing.assert_array_equal(classify(templated, "", given, all_pairs(4)), found)
    assert sum(read) == 2 * of_joined


@pytest.mark.usefixtures("either_way")
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
    found = classify(classifier, "", given, all_pairs(3))
    for (i, j), p in zip(all_pairs(3).tolist(), found, strict=True):
        written = template.format(a=given[i], b=given[j])
        ids = torch.tensor([fast.encode(written, add_special_tokens=False)])
        with torch.inference_mode():
            expected = model(input_ids=ids).logits[0].double().softmax(0)[1]
        assert p == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.usefixtures("objecting")
@pytest.mark.parametrize("make", [qwen3, gpt2])
def test_where_the_trial_objects_pairs_are_read_whole(
    tmp_path: Path, make: Callable[[Path], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The answers, the revision and the work of `runtime=tiles`, and a line that says why."""
    make(tmp_path)
    refused = CrossEncoder(str(tmp_path), OPTIONS)
    assert f"reads every pair whole, which is slower: {BY_BATCH}" in caplog.text
    whole = CrossEncoder(str(tmp_path), WHOLE)
    assert refused.info == whole.info
    given = texts(1, [0, 1, 5, 14, 15, 16, 24])
    units = whole.plan("", given, all_pairs(len(given))).units
    with tokens_read() as read:
        expected = whole.run(units)
        of_whole = sum(read)
        assert refused.run(units) == expected
    assert sum(read) == 2 * of_whole


@pytest.fixture(
    scope="module",
    params=[(qwen3, OPTIONS), (gpt2, OPTIONS), (qwen3, WHOLE), (gpt2, WHOLE)],
    ids=["qwen3", "gpt2", "qwen3 whole", "gpt2 whole"],
)
def alone(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[CrossEncoder, list[Unit], list[Any]]:
    """A decoder, pairs of texts that fill a tile's row, nearly, and not, and each one's result.

    It reads in parts if this machine's trial consents, and whole.
    """
    folder = tmp_path_factory.mktemp("decoder")
    make, options = request.param
    make(folder)
    classifier = CrossEncoder(str(folder), options)
    given = texts(3, [1, 2, 2, 14, 15, 15, 28])
    units = classifier.plan("", given, all_pairs(len(given))).units
    return classifier, units, [classifier.run([unit])[0] for unit in units]


@pytest.mark.heavy
@settings(max_examples=12, deadline=None)
@given(order=st.permutations(range(21)), count=st.integers(1, 21))
def test_company_and_order_change_no_bit(
    alone: tuple[CrossEncoder, list[Unit], list[Any]], order: list[int], count: int
) -> None:
    classifier, units, results = alone
    chosen = order[:count]
    assert classifier.run([units[i] for i in chosen]) == [results[i] for i in chosen]


@pytest.mark.usefixtures("consenting")
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
    ("make", "config", "reason"),
    [
        (deberta, {}, None),
        (
            qwen3,
            {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
            "not all of its layers look back at the whole input",
        ),
        (qwen3, {"is_causal": False}, None),
        (
            qwen3,
            {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}},
            "its rotary embedding depends on the length of the input",
        ),
    ],
)
def test_what_cannot_be_read_in_parts_is_read_whole(
    tmp_path: Path,
    make: Callable[..., Any],
    config: dict[str, Any],
    reason: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    make(tmp_path, **config)
    template = "[CLS]{a}[SEP]{b}[SEP]" if make is deberta else CHAT
    options = ModelOptions(pair_template=template, runtime="float32")
    classifier = CrossEncoder(str(tmp_path), options)
    whole = CrossEncoder(str(tmp_path), replace(options, runtime="tiles"))
    given = texts(6, [3, 20, 40])
    found = classify(classifier, "", given, all_pairs(3))
    np.testing.assert_array_equal(found, classify(whole, "", given, all_pairs(3)))
    assert classifier.info.revision == whole.info.revision
    said = f"a qwen3 here reads every pair whole, which is slower: {reason}"
    assert (said in caplog.text) == (reason is not None)
    assert ("reads every pair whole" in caplog.text) == (reason is not None)


@pytest.mark.parametrize("make", [qwen3, gpt2])
def test_the_trial_consents_to_kernels_that_do_not_round_by_batch(
    tmp_path: Path, make: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such are all of them where each row runs by itself."""
    by_row = row_by_row(SharedPrefix._continue, lambda row: 0)
    monkeypatch.setattr(SharedPrefix, "_continue", by_row)
    assert SharedPrefix.of(make(tmp_path), "cpu") is not None


@pytest.mark.parametrize("make", [qwen3, gpt2])
@pytest.mark.parametrize("row", range(1, 8))
def test_the_trial_objects_to_kernels_that_round_one_row_otherwise(
    tmp_path: Path,
    make: Callable[[Path], Any],
    row: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """By a bit that no decision would show, in whichever row of a tile."""
    by_row = row_by_row(SharedPrefix._continue, lambda one: FINE * (one == row))
    monkeypatch.setattr(SharedPrefix, "_continue", by_row)
    assert SharedPrefix.of(make(tmp_path), "cpu") is None
    assert BY_BATCH in caplog.text


def test_the_trial_objects_to_kernels_that_round_by_what_stands_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    by_row = row_by_row(SharedPrefix._continue, lambda row: 0)

    @wraps(by_row)
    def by_company(self: Any, past: Any, inputs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        alike = bool((inputs == inputs[:, :1]).all())
        return by_row(self, past, inputs, mask) * (1 + FINE * alike)

    monkeypatch.setattr(SharedPrefix, "_continue", by_company)
    assert SharedPrefix.of(qwen3(tmp_path), "cpu") is None
    assert BY_BATCH in caplog.text


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
    by_row = row_by_row(SharedPrefix._continue, lambda row: 0)
    monkeypatch.setattr(SharedPrefix, "_continue", by_row)
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
