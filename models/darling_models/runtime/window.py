"""How long an input a checkpoint reads."""

import re
from typing import Any

import torch

from darling_models.errors import ModelError

MAX_INPUT_TOKENS = 8192
"""Tokens of an input when neither the checkpoint nor the settings give a limit, and at most when
only the checkpoint does: attention over more takes minutes on a CPU."""
POSITIONS = re.compile(r"(^|_)(positions?|pos)(_|$)|^wpe$")
"""Names of the tables in which architectures keep learned positions."""


def longest_input(tokenizer: Any, model: torch.nn.Module, wanted: int | None = None) -> int:
    """Tokens of the longest input, special tokens included: `wanted`, or what the checkpoint says.

    Raises `ModelError` if the model has learned fewer positions than are wanted.
    """
    learned = learned_positions(model)
    if wanted is not None:
        if learned is not None and wanted > learned:
            raise ModelError(
                f"max_length is {wanted}, and the checkpoint has positions for {learned} tokens; "
                "set max_length to at most that, or leave it out"
            )
        return wanted
    config: Any = model.config
    positions = learned or getattr(config.get_text_config(), "max_position_embeddings", None)
    # A tokenizer that knows no limit says 10**30, and some configurations say 0 or -1.
    limits = (MAX_INPUT_TOKENS, positions, tokenizer.model_max_length)
    return min(int(limit) for limit in limits if isinstance(limit, int | float) and limit > 0)


def learned_positions(model: torch.nn.Module) -> int | None:
    """Tokens for which the model has learned positions; None where it computes them."""
    tables = [
        _usable(module)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Embedding) and POSITIONS.search(name.rpartition(".")[2])
    ]
    return min(tables, default=None)


def _usable(table: torch.nn.Embedding) -> int:
    """Rows of the table that stand for positions of tokens."""
    if table.padding_idx is not None:
        # RoBERTa and its kin count positions from behind the padding token's id.
        return table.num_embeddings - table.padding_idx - 1
    return table.num_embeddings - int(getattr(table, "offset", 0))  # OPT and BART: 2
