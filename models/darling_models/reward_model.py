"""A reward model: any Hugging Face sequence-classification checkpoint, scoring responses.

The score is the logit of a model with one label, and the probability of the last label of a model
with several. Prompt and response are written by the tokenizer's chat template; without one they are
joined as the tokenizer joins a pair.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from darling_models.cross_encoder.classifier import (
    load_model,
    load_tokenizer,
    unused_token,
)
from darling_models.protocol import IntArray
from darling_models.runtime.tiles import run_in_tiles
from darling_models.runtime.window import learned_positions, longest_input


class RewardModel:
    def __init__(self, path: str, device: str = "cpu", max_length: int | None = None) -> None:
        """`path`: a local folder or a hub id. Raises `ModelError` if it cannot be loaded."""
        # A score is the reward itself: it is not rounded for speed.
        self._model = load_model(path, device, torch.float32 if device == "cpu" else None)
        self._tokenizer = load_tokenizer(path)
        self._device = device
        self._pad = self._model.config.pad_token_id
        self._max_length = longest_input(self._tokenizer, self._model, max_length)
        self._positions = learned_positions(self._model)

    def encode(self, messages: Sequence[Mapping[str, str]], response: str) -> IntArray:
        """Token ids of a prompt's messages and a response, shape (1, length)."""
        if getattr(self._tokenizer, "chat_template", None) is not None:
            turns = [*messages, {"role": "assistant", "content": response}]
            return self.encode_written(self._tokenizer.apply_chat_template(turns, tokenize=False))
        prompt = "\n\n".join(message["content"] for message in messages)
        return self._kept(self._tokenizer(prompt, response)["input_ids"])

    def encode_written(self, text: str) -> IntArray:
        """Token ids of a conversation that holds its special tokens already, shape (1, length)."""
        return self._kept(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def scores(self, sequences: Sequence[IntArray]) -> list[float]:
        """One score for each sequence, which does not depend on the others."""
        # A decoder scores the last token that is not padding: it needs a padding token.
        pad = unused_token(sequences) if self._pad is None else self._pad
        self._model.config.pad_token_id = pad
        logits = dict(run_in_tiles(self._forward, sequences, pad, self._device, self._positions))
        return [_score(logits[index]) for index in range(len(sequences))]

    def _kept(self, ids: Sequence[int]) -> IntArray:
        """The end of an input that does not fit, since the response is there."""
        return np.asarray([ids[-self._max_length :]], dtype=np.int64)

    def _forward(self, inputs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self._model(input_ids=inputs[0], attention_mask=mask).logits
        return logits.double().cpu()


def _score(logits: torch.Tensor) -> float:
    if len(logits) == 1:
        return float(logits[0])
    return float(torch.softmax(logits, dim=0)[-1])
