"""A sequence-classification checkpoint as Transformers loads it: its model and its tokenizer."""

from inspect import signature
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from darling_models.checkpoints import locate
from darling_models.cross_encoder.presets import Preset
from darling_models.errors import ModelError
from darling_models.options import ModelOptions
from darling_models.runtime.device import require_device
from darling_models.runtime.memory import require_memory
from darling_models.runtime.precision import dtype_of, log_precision, reason


def load_for(path: str, options: ModelOptions, name: str) -> Any:
    """The model `name` in the runtime's format; on a GPU `auto` leaves half precision as saved.

    Raises `ModelError` where `load_model` does.
    """
    dtype, why = dtype_of(options.runtime, options.device), reason(options.runtime, options.device)
    if options.runtime != "auto" or options.device == "cpu":
        model = load_model(path, options.device, dtype)
    else:
        model = load_model(path, options.device, None)
        if model.dtype == torch.float32:
            model = model.to(dtype)
        else:
            why = "its checkpoint was saved so"
    log_precision(name, model.dtype, why)
    return model


def load_model(path: str, device: str, dtype: torch.dtype | None) -> Any:
    """A sequence-classification model in `dtype`, by default as it was saved.

    Raises `ModelError` if there is no such checkpoint or device, or it has no trained head.
    """
    checkpoint = locate(path)
    require_device(device)
    require_memory(checkpoint.source, device)
    try:
        model, report = AutoModelForSequenceClassification.from_pretrained(
            checkpoint.source,
            output_loading_info=True,
            dtype=dtype or "auto",
            local_files_only=checkpoint.cached_only,
            trust_remote_code=False,
        )
    except Exception as error:
        raise checkpoint.failure("a checkpoint", error) from error
    if report["missing_keys"]:
        raise ModelError(
            f"{path!r} has no trained classification head: its weights lack "
            f"{sorted(report['missing_keys'])}. Give a sequence-classification checkpoint."
        )
    return model.eval().to(device)


def load_tokenizer(path: str, preset: Preset | None = None) -> Any:
    """The checkpoint's tokenizer, or its preset's. Raises `ModelError` if there is neither."""
    try:
        return _tokenizer(path)
    except ModelError:
        if preset is None or preset.tokenizer is None:
            raise
    return _tokenizer(preset.tokenizer)


def _tokenizer(path: str) -> Any:
    checkpoint = locate(path)
    try:
        return AutoTokenizer.from_pretrained(
            checkpoint.source, local_files_only=checkpoint.cached_only, trust_remote_code=False
        )
    except Exception as error:
        raise checkpoint.failure("a tokenizer", error) from error


def reads_segments(model: Any, tokenizer: Any, template: str | None) -> bool:
    """Whether the model tells the two texts apart by segment ids."""
    if "token_type_ids" not in signature(model.forward).parameters:
        return False
    if template is None:
        return "token_type_ids" in tokenizer.model_input_names
    return int(getattr(model.config, "type_vocab_size", 0)) > 1
