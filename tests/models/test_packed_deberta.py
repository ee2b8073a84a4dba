"""Packed DeBERTa: what Transformers computes, on the CPU and there without PyTorch's compiler."""

from typing import Any

import numpy as np
import pytest
import torch
from transformers import DebertaV2Config, DebertaV2Model

from benchmarks.classifier_cost import DEBERTA_V3_LARGE
from darling_models.runtime.packed_deberta import BLOCK, Layout, PackedDeberta
from tests.models.test_packed import firsts

pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without")
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "vocab_size": 99,
    "position_buckets": 16,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
}


def config(**options: Any) -> Any:
    return DebertaV2Config(**(DEBERTA_V3_LARGE | SMALL | options))


def sequences() -> list[np.ndarray]:
    source = np.random.default_rng(0)
    return [source.integers(1, 99, (2, length)) for length in (5, BLOCK, 7, 200, 1)]


def test_states_equal_those_of_transformers() -> None:
    """Tokens farther apart than the buckets tell, and full blocks, included."""
    torch.manual_seed(0)
    model = DebertaV2Model(config()).eval()  # type: ignore[no-untyped-call]
    states = firsts(PackedDeberta(model.state_dict(), config(), "cpu", [512]), sequences())
    for index, sequence in enumerate(sequences()):
        ids = torch.from_numpy(sequence[:1])
        with torch.inference_mode():
            own = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        torch.testing.assert_close(states[index], own[0, 0], rtol=1e-4, atol=1e-5)


def test_a_sequence_has_blocks_of_its_own() -> None:
    layout = Layout.of([sequence[0] for sequence in sequences()], 8 * BLOCK, "cpu")
    assert layout.starts.tolist() == [0, BLOCK, 2 * BLOCK, 3 * BLOCK, 5 * BLOCK]
    assert layout.count.tolist() == [[[1, 1, 1, 2, 2, 1, 1, 1]]]
    seen = [layout.order[0, 0, k, : layout.count[0, 0, k]].tolist() for k in range(8)]
    assert seen == [[0], [1], [2], [3, 4], [3, 4], [5], [6], [7]]
    rows = [int((layout.owners == number).sum()) for number in range(5)]
    assert rows == [sequence.shape[1] for sequence in sequences()]


@pytest.mark.parametrize(
    "other",
    [
        {"conv_kernel_size": 3},
        {"position_biased_input": True},
        {"share_att_key": False},
        {"pos_att_type": ["c2p"]},
        {"position_buckets": -1},
        {"type_vocab_size": 2},
        {"norm_rel_ebd": "none"},
        {"hidden_act": "relu"},
    ],
    ids=str,
)
def test_only_the_layers_of_version_3_are_read(other: dict[str, Any]) -> None:
    assert PackedDeberta.reads(config())
    assert not PackedDeberta.reads(config(**other))
