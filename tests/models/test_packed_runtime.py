"""Which checkpoints run packed, on which devices."""

import logging
from typing import Any

import pytest
import torch
from transformers import (
    DebertaV2ForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
)

from darling_models.cross_encoder import packed_runtime
from darling_models.cross_encoder.packed_runtime import packed_encoder
from darling_models.options import ModelOptions
from darling_models.runtime.gpu_packs import NoPackSize
from tests.models.test_packed_deberta import SMALL, config


def modernbert() -> Any:
    sizes = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
    options: dict[str, Any] = {name: SMALL[name] for name in sizes}
    options |= {f"{name}_token_id": 0 for name in ("pad", "bos", "eos", "cls", "sep")}
    return ModernBertForSequenceClassification(ModernBertConfig(**options))


def deberta() -> Any:
    return DebertaV2ForSequenceClassification(config())


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
@pytest.mark.parametrize("model", [modernbert, deberta])
def test_what_is_made_for_gpus_runs_on_no_cpu(model: Any, device: str) -> None:
    options = ModelOptions(device=device, runtime="bfloat16")
    assert packed_encoder(model().to(torch.bfloat16), options) is None


def test_where_company_decides_bits_a_checkpoint_runs_in_tiles(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def packed(*_: Any) -> None:
        raise NoPackSize("kernels here round by what is in a pack")

    monkeypatch.setattr(packed_runtime, "PackedModernBert", packed)
    options = ModelOptions(device="cuda", runtime="bfloat16")
    with caplog.at_level(logging.WARNING):
        assert packed_encoder(modernbert().to(torch.bfloat16), options) is None
    assert "padded tiles" in caplog.text
