"""Packs as a GPU runs them: what Transformers computes, and every sequence by itself.

All but the GPU's own kernels runs here on the CPU; `python -m benchmarks.accelerator` compares bits
on a GPU.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import ModernBertConfig, ModernBertModel

from darling_models.runtime.gpu_packs import SIZES, NoPackSize, PackSizes
from darling_models.runtime.packed_modernbert import PackedModernBert
from darling_models.runtime.varlen import FILLER, Packing, attend
from tests.models.test_packed import firsts

LENGTHS = (5, 60, 33, 200, 7, 1)


def modernbert(**options: Any) -> Any:
    torch.manual_seed(0)
    config = ModernBertConfig(
        vocab_size=99,
        hidden_size=64,
        num_hidden_layers=5,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=512,
        local_attention=16,
        initializer_range=0.3,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        cls_token_id=1,
        sep_token_id=2,
        **options,
    )
    return ModernBertModel(config).eval()  # type: ignore[no-untyped-call]


def sequences() -> list[np.ndarray]:
    source = np.random.default_rng(0)
    return [source.integers(0, 99, (2, length)) for length in LENGTHS]


@pytest.mark.parametrize("biases", [False, True], ids=["no biases", "biases"])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_states_equal_those_of_transformers(pooling: str, biases: bool) -> None:
    """Sequences longer than the window of the local layers included."""
    model = modernbert(
        classifier_pooling=pooling, attention_bias=biases, mlp_bias=biases, norm_bias=biases
    )
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    ours = PackedModernBert(model.state_dict(), model.config, "cpu", [64, 256])
    states = firsts(ours, sequences())
    for index, ids in enumerate(sequences()):
        with torch.inference_mode():
            own = model(input_ids=torch.from_numpy(ids[:1])).last_hidden_state[0]
        expected = own[0] if pooling == "cls" else own.mean(0)
        torch.testing.assert_close(states[index], expected, rtol=1e-4, atol=1e-5)


def test_a_missing_weight_is_named() -> None:
    model = modernbert()
    weights = model.state_dict()
    del weights["layers.3.mlp.Wi.weight"]
    with pytest.raises(KeyError, match=r"layers\.3\.mlp\.Wi"):
        PackedModernBert(weights, model.config, "cpu", [64])


@pytest.mark.parametrize("window", [None, 0, 3])
def test_a_sequence_attends_to_itself_alone(window: int | None) -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(3, sum(LENGTHS) + 9, 2, 8)
    packing = Packing.of(LENGTHS, len(query), "cpu")
    together = attend(query, key, value, packing, 0.3, window)
    start = 0
    for length in LENGTHS:
        rows = slice(start, start + length)
        alone = Packing.of([length], length, "cpu")
        own = attend(query[rows], key[rows], value[rows], alone, 0.3, window)
        torch.testing.assert_close(together[rows], own)
        if window == 0:
            torch.testing.assert_close(own, value[rows])
        start += length


@given(st.lists(st.integers(1, 3000), max_size=60), st.sampled_from([(64,), (64, 512), (4096,)]))
def test_packs_hold_every_sequence_in_order_and_fit_unless_one_is_longer(
    lengths: list[int], sizes: tuple[int, ...]
) -> None:
    made = [np.full((1, length), number) for number, length in enumerate(lengths)]
    packs = list(PackSizes(sizes).packs(made))
    assert [index for indices, _ in packs for index in indices] == list(range(len(lengths)))
    for indices, pack in packs:
        assert [int(member[0, 0]) for member in pack] == list(indices)
        tokens = sum(member.shape[1] for member in pack)
        assert len(pack) == 1 or tokens <= sizes[-1]
        rows = PackSizes(sizes).rows(tokens)
        assert rows >= tokens
        assert rows in sizes or rows % sizes[-1] == 0


def test_a_full_pack_runs_before_the_sequences_of_the_next_are_made() -> None:
    made = []

    def sequences() -> Iterator[np.ndarray]:
        for number in range(9):
            made.append(number)
            yield np.zeros((1, 30), dtype=np.int64)

    for indices, _ in PackSizes([64]).packs(sequences()):
        assert len(made) <= indices[-1] + 2


@given(st.lists(st.integers(1, 700), min_size=1, max_size=9), st.integers(0, 1000))
def test_the_rows_behind_the_sequences_are_short_sequences(lengths: list[int], left: int) -> None:
    packing = Packing.of(lengths, sum(lengths) + left, "cpu")
    starts = packing.starts.tolist()
    sizes = [end - start for start, end in pairwise(starts)]
    assert starts[0] == 0
    assert sizes[: len(lengths)] == lengths
    assert sum(sizes) == sum(lengths) + left
    assert all(0 < size <= FILLER for size in sizes[len(lengths) :])
    assert packing.longest == max(sizes)


Company = Callable[[Any], bool]
UNEVEN: dict[str, Company] = {
    "one alone": lambda trial: len(trial) == 1,
    "the longest first": lambda trial: len(trial[0]) > len(trial[-1]),
}


def uneven(company: Company, odd: Sequence[int]) -> Any:
    """Kernels that round otherwise in some company, in packs of some numbers of rows."""

    def run(trial: Any, sizes: PackSizes) -> torch.Tensor:
        rows = sizes.rows(sum(map(len, trial)))
        return torch.full((rows, 1), 1.0 + 1e-6 * (rows in odd and company(trial)))

    return run


@pytest.mark.parametrize("company", UNEVEN.values(), ids=list(UNEVEN))
def test_a_size_in_which_bits_depend_on_company_is_left_out(company: Company) -> None:
    sizes = PackSizes.alike(uneven(company, SIZES[1:3]), 99).sizes
    assert sizes == [size for size in SIZES if size not in SIZES[1:3]]
    with pytest.raises(NoPackSize):
        PackSizes.alike(uneven(company, SIZES), 99)


@pytest.mark.parametrize("odd", SIZES[:-1])
def test_a_size_whose_rows_get_other_bits_is_left_out(odd: int) -> None:
    def run(trial: Any, sizes: PackSizes) -> torch.Tensor:
        rows = sizes.rows(sum(map(len, trial)))
        return torch.full((rows, 1), 1.0 + 1e-7 * (rows == odd))

    assert odd not in PackSizes.alike(run, 99).sizes
    assert len(PackSizes.alike(run, 99).sizes) == len(SIZES) - 1
