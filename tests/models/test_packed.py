"""Packed encoders: what transformers computes, and the same bits in any company."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

from darling_models.cross_encoder.classifier import CrossEncoder
from darling_models.errors import ModelError
from darling_models.options import ModelOptions, Runtime
from darling_models.protocol import all_pairs, classify
from darling_models.runtime.bert import Shape
from darling_models.runtime.linear import Linear
from darling_models.runtime.packed import PackedEncoder
from darling_models.runtime.packed_deberta import PackedDeberta
from darling_models.runtime.packed_modernbert import PackedModernBert
from darling_models.runtime.precision import dtype_of, has_bfloat16
from tests.models.test_cross_encoder import TEXTS, bert

pytestmark = pytest.mark.processor

SIZE: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "max_position_embeddings": 320,
    "initializer_range": 0.4,
}


def encoder(kind: str) -> Any:
    torch.manual_seed(7)
    if kind == "bert":
        return BertModel(BertConfig(**SIZE), add_pooling_layer=False).eval()  # type: ignore[no-untyped-call]
    config = RobertaConfig(**SIZE, pad_token_id=1, type_vocab_size=1)
    return RobertaModel(config, add_pooling_layer=False).eval()  # type: ignore[no-untyped-call]


def packed(model: Any, dtype: torch.dtype = torch.float32) -> PackedEncoder:
    shape = Shape.read(model.config.to_dict())
    assert shape is not None
    return PackedEncoder({n: w.to(dtype) for n, w in model.state_dict().items()}, shape)


def with_threads(count: int, dtype: torch.dtype) -> PackedEncoder:
    """A BERT with so many workers."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        return packed(encoder("bert"), dtype)
    finally:
        torch.set_num_threads(before)


NATIVE = [torch.float32, *([torch.bfloat16] if has_bfloat16("cpu") else [])]
"""What this machine computes in; a CPU that emulates bfloat16 may need packs of one text."""
BERTS = [with_threads(count, dtype) for count in (1, 3) for dtype in NATIVE]


def sequence(length: int, segments: bool = True) -> np.ndarray:
    source = np.random.default_rng(length)
    ids = source.integers(0, 50, length)
    return np.stack([ids, (np.arange(length) > length // 2) * segments]).astype(np.int64)


def firsts(
    bert: PackedEncoder | PackedModernBert | PackedDeberta, sequences: list[np.ndarray]
) -> dict[int, torch.Tensor]:
    """The states that a head reads, by the index of their sequence."""
    packs = bert.first(sequences)
    return {k: row for pack, rows in packs for k, row in zip(pack, rows, strict=True)}


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_states_equal_those_of_transformers(kind: str) -> None:
    """Special tokens and RoBERTa's padding token among the ids included."""
    model = encoder(kind)
    ours = packed(model)
    sequences = [
        sequence(length, segments=kind == "bert") for length in (2, 3, 19, 19, 90, 128, 300)
    ]
    if kind == "roberta":
        sequences[2][0, 5] = 1
    first = firsts(ours, sequences)
    for index, states in ours.hidden(sequences):
        ids, types = (torch.from_numpy(row)[None] for row in sequences[index])
        with torch.inference_mode():
            # Without a mask: what stands in a text is read, whatever its id.
            mask = torch.ones_like(ids)
            expected = model(input_ids=ids, token_type_ids=types, attention_mask=mask)
        torch.testing.assert_close(states, expected.last_hidden_state[0], atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(first[index], states[0], atol=2e-5, rtol=1e-4)


@pytest.mark.heavy
@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=30), st.sampled_from(BERTS))
def test_company_does_not_change_a_bit(lengths: list[int], bert: PackedEncoder) -> None:
    sequences = [sequence(length) for length in lengths]
    together, first = dict(bert.hidden(sequences)), firsts(bert, sequences)
    assert len(together) == len(first) == len(sequences)
    for index, one in enumerate(sequences):
        ((_, alone),) = bert.hidden([one])
        assert torch.equal(together[index], alone)
        assert torch.equal(first[index], firsts(bert, [one])[0])


@pytest.mark.parametrize("dtype", NATIVE)
def test_the_number_of_threads_does_not_change_a_bit(dtype: torch.dtype) -> None:
    sequences = [sequence(length) for length in (3, 17, 90, 128, 300)]
    one, three = (dict(with_threads(count, dtype).hidden(sequences)) for count in (1, 3))
    assert all(torch.equal(one[index], three[index]) for index in one)


@pytest.mark.parametrize("laid_out", [False, True])
def test_a_linear_layer_is_torchs_whichever_way_it_takes(
    laid_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Laying out pays with AVX-512, and in float32 works wherever torch has oneDNN."""
    if laid_out and not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        pytest.skip("torch has no oneDNN on this platform")
    monkeypatch.setattr("darling_models.runtime.linear.prepacks", lambda: laid_out)
    torch.manual_seed(3)
    weight, bias, x = torch.randn(24, 32), torch.randn(24), torch.randn(48, 32)
    residual = torch.randn(48, 24)
    layer, expected = Linear(weight, bias), torch.nn.functional.linear(x, weight, bias)
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        layer.gelu(x), torch.nn.functional.gelu(expected), atol=1e-5, rtol=1e-5
    )
    torch.testing.assert_close(layer.plus(x, residual), expected + residual, atol=1e-5, rtol=1e-5)


def test_kernels_that_round_by_batch_are_noticed_and_worked_around(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the machine itself has chosen for this shape is stored elsewhere.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    class Rounding(PackedEncoder):
        """Adds a little that depends on the pack's size, as some kernels do."""

        def _run(self, sequences: Any, first_only: bool) -> torch.Tensor:
            return super()._run(sequences, first_only) + 1e-3 * len(sequences)

    model = encoder("bert")
    shape = Shape.read(model.config.to_dict())
    assert shape is not None
    rounding = Rounding(model.state_dict(), shape)
    sequences = [sequence(length) for length in (4, 9, 9)]
    for index, states in rounding.hidden(sequences):
        ((_, alone),) = rounding.hidden([sequences[index]])
        assert torch.equal(states, alone)


def test_bfloat16_states_are_near_and_need_a_cpu_that_has_it(tmp_path: Path) -> None:
    model = encoder("bert")
    ((_, exact),), ((_, near),) = (
        packed(model, dtype).hidden([sequence(40)]) for dtype in (torch.float32, torch.bfloat16)
    )
    assert torch.nn.functional.cosine_similarity(exact, near.float()).min() > 0.99
    flags = tmp_path / "cpuinfo"
    flags.write_text("flags : fpu avx2 avx512f avx512_bf16 fsrm\n")
    assert has_bfloat16("cpu", flags)
    flags.write_text("flags : fpu avx2 avx512f fsrm\n")
    assert not has_bfloat16("cpu", flags)
    assert not has_bfloat16("cpu", tmp_path / "missing")
    assert dtype_of("bfloat16", "cuda") == torch.bfloat16


def test_auto_is_bfloat16_where_the_cpu_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for native, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(
            "darling_models.runtime.precision.has_bfloat16", lambda device, native=native: native
        )
        assert dtype_of("auto", "cpu") == dtype
        assert dtype_of("float32", "cpu") == dtype_of("tiles", "cpu") == torch.float32
    with pytest.raises(ModelError, match="no bfloat16 instructions"):
        dtype_of("bfloat16", "cpu")


def test_all_runtimes_agree_and_no_cache_mixes_them(tmp_path: Path) -> None:
    bert(tmp_path, num_labels=2)
    runtimes: list[Runtime] = ["float32", "tiles"]
    if has_bfloat16("cpu"):
        runtimes.append("bfloat16")
    made = [CrossEncoder(str(tmp_path), ModelOptions(runtime=runtime)) for runtime in runtimes]
    packed, tiles, *half = [classify(one, "", TEXTS, all_pairs(4)) for one in made]
    np.testing.assert_allclose(packed, tiles, atol=1e-6)
    for near in half:
        np.testing.assert_allclose(packed, near, atol=0.05)
    assert len({one.info.revision for one in made}) == len(runtimes)
