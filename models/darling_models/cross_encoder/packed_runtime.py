"""Which checkpoints run packed, without padding, and on what devices."""

import logging
from typing import TYPE_CHECKING, Any

import torch

from darling_models.errors import ModelError
from darling_models.options import ModelOptions
from darling_models.runtime.bert import Shape
from darling_models.runtime.gpu_packs import NoPackSize
from darling_models.runtime.kernels import AUTO
from darling_models.runtime.packed import PackedEncoder
from darling_models.runtime.packed_modernbert import PackedModernBert

if TYPE_CHECKING:
    from darling_models.runtime.packed_deberta import PackedDeberta

    Packed = PackedEncoder | PackedModernBert | PackedDeberta

log = logging.getLogger(__name__)


def packed_encoder(model: Any, options: ModelOptions) -> "Packed | None":
    """The model's encoder for packed batches; None if it is to run in tiles.

    Raises `ModelError` for kernels that cannot be set.
    """
    shape = None if options.runtime == "tiles" else Shape.read(model.config.to_dict())
    if options.kernels != AUTO and shape is None:
        raise ModelError(
            "the setting kernels is for BERT and RoBERTa checkpoints that run packed, and this one "
            "does not; leave it out"
        )
    if shape is not None:
        weights = model.base_model.state_dict()
        return PackedEncoder(weights, shape, options.device, options.kernels)
    # On a CPU, "cpu:0" included, what these compute rounds by the rows of a pack.
    on_gpu = torch.device(options.device).type == "cuda" and model.dtype != torch.float32
    if not on_gpu or options.runtime == "tiles":
        return None
    try:
        return _for_gpu(model, options.device)
    except NoPackSize as error:
        log.warning("%s: the checkpoint runs in padded tiles, slower", error)
        return None


def _for_gpu(model: Any, device: str) -> "PackedModernBert | PackedDeberta | None":
    """ModernBERT or DeBERTa v3 in packs; None if the checkpoint is neither, or cannot be compiled.

    Raises `NoPackSize` if packs would decide its bits.
    """
    if model.config.model_type == "modernbert":
        return PackedModernBert(model.base_model.state_dict(), model.config, device, None)
    if model.config.model_type != "deberta-v2":
        return None
    # Here, because it imports PyTorch's compiler, for seconds.
    from darling_models.runtime.packed_deberta import PackedDeberta

    if not PackedDeberta.reads(model.config):
        return None
    try:
        return PackedDeberta(model.base_model.state_dict(), model.config, device, None)
    except NoPackSize:
        raise
    except Exception as error:  # the compiler raises types of its own
        log.warning("DeBERTa's attention cannot be compiled for this GPU, slower: %s", error)
        return None
