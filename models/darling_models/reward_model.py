"""A reward model: any Hugging Face sequence-classification checkpoint, scoring responses.

The score is the logit of a model with one label, and the probability of the last label of a model
with several. Prompt and response are written by the tokenizer's chat template; without one they are
joined as the tokenizer joins a pair. An input that does not fit loses the beginning of its prompt,
and never the special tokens that the model reads its score from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer

from darling_models.cross_encoder.loading import load_model, load_tokenizer, reads_segments
from darling_models.cross_encoder.pair_input import Frame
from darling_models.errors import ModelError
from darling_models.protocol import IntArray
from darling_models.runtime.tiles import Tiles
from darling_models.runtime.window import longest_input

WARM_UP_TOKENS = 1024
"""Tokens of the longest input that is scored at the start, which shows a window that is stated too
wide: all models with learned positions have less, and longer inputs take long on a CPU."""


@dataclass(frozen=True, slots=True)
class ModelInput:
    """A prompt and a response as a reward model reads them."""

    sequence: IntArray
    """Token ids and segment ids, shape (2, length)."""
    truncated: bool
    """Whether something was cut because the whole does not fit the model."""


class RewardModel:
    def __init__(self, path: str, device: str = "cpu", max_length: int | None = None) -> None:
        """`path`: a local folder or a hub id.

        Raises `ModelError` if it cannot be loaded, or gives scores that are not finite.
        """
        # A score is the reward itself: it is not rounded for speed.
        self._model = load_model(path, device, torch.float32 if device == "cpu" else None)
        self._tokenizer = load_tokenizer(path)
        if not self._tokenizer.is_fast:
            raise ModelError(f"{path!r} has no fast tokenizer; save it with a tokenizer.json")
        self._backend: Tokenizer = self._tokenizer.backend_tokenizer
        self._backend.no_truncation()
        self._backend.no_padding()
        self._max_length = longest_input(self._tokenizer, self._model, max_length)
        self._has_template = getattr(self._tokenizer, "chat_template", None) is not None
        self._segments = reads_segments(self._model, self._tokenizer, None)
        self._before, self._after = self._frame_of_one()
        self._pair = None if self._has_template else Frame.of_tokenizer(self._backend)
        frame = len(self._before) + len(self._after) if self._pair is None else self._pair.tokens
        if self._max_length <= frame:
            raise ModelError(
                f"max_length is {self._max_length}: special tokens leave no room for a text; raise "
                "it"
            )
        self._tiles = Tiles(self._model, self._forward, device)
        self._warm_up(path)
        self._tiles.try_rows()

    def encode(self, messages: Sequence[Mapping[str, str]], response: str) -> ModelInput:
        """A prompt's messages and a response, as the checkpoint was trained to read them."""
        if self._has_template:
            turns = [*messages, {"role": "assistant", "content": response}]
            return self.encode_written(self._tokenizer.apply_chat_template(turns, tokenize=False))
        assert self._pair is not None
        prompt = "\n\n".join(message["content"] for message in messages)
        ids = [self._ids(text) for text in (prompt, response)]
        room = self._max_length - self._pair.tokens
        second = _end(ids[1], room)
        first = _end(ids[0], room - len(second))
        pieces = [
            self._pair.before,
            _segment(first, self._pair.segments[0]),
            self._pair.between,
            _segment(second, self._pair.segments[1]),
            self._pair.after,
        ]
        truncated = len(first) + len(second) < sum(map(len, ids))
        return self._input(np.concatenate(pieces, axis=1), truncated)

    def encode_written(self, text: str) -> ModelInput:
        """A conversation that holds its special tokens already. Only those that an encoder reads
        its score from are added where they are missing."""
        ids = self._ids(text)
        before, after = self._before, self._after
        bare = ids[len(before) :] if ids[: len(before)] == before else ids
        if after and bare[-len(after) :] == after:
            bare = bare[: -len(after)]
        if not before and ids[:1] == [self._tokenizer.bos_token_id]:
            before, bare = ids[:1], ids[1:]
        kept = _end(bare, self._max_length - len(before) - len(after))
        return self._input(_segment([*before, *kept, *after], 0), len(kept) < len(bare))

    def scores(self, inputs: Sequence[ModelInput]) -> list[float]:
        """One score for each input, which does not depend on the others."""
        channels = 2 if self._segments else 1
        logits = dict(self._tiles.run([one.sequence[:channels] for one in inputs]))
        return [_score(logits[index]) for index in range(len(inputs))]

    def _input(self, sequence: IntArray, truncated: bool) -> ModelInput:
        """An input of at least one token: of nothing, a decoder reads its end of text."""
        if not sequence.shape[1]:
            tokenizer = self._tokenizer
            sequence = _segment([tokenizer.eos_token_id or tokenizer.pad_token_id or 0], 0)
        return ModelInput(sequence, truncated)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._backend.encode(text, add_special_tokens=False).ids
        return ids

    def _frame_of_one(self) -> tuple[list[int], list[int]]:
        """The tokens that an encoder's tokenizer writes before and after one text; ([], []) for a
        decoder, whose conversations are written whole."""
        if self._tokenizer.cls_token_id is None:
            return [], []
        encoding = self._backend.encode("a")
        own = [place for place, text in enumerate(encoding.sequence_ids) if text is not None]
        if not own or self._tokenizer.cls_token_id not in encoding.ids[: own[0]]:
            return [], []
        return encoding.ids[: own[0]], encoding.ids[own[-1] + 1 :]

    def _warm_up(self, path: str) -> None:
        user, filler = (
            [{"role": "user", "content": "a"}],
            "a " * min(self._max_length, WARM_UP_TOKENS),
        )
        try:
            scores = self.scores([self.encode(user, "a"), self.encode_written(filler)])
        except Exception as error:
            raise ModelError(
                f"{path!r} cannot score an input of {min(self._max_length, WARM_UP_TOKENS)} "
                f"tokens ({error}); set max_length to what it can read"
            ) from error
        if not np.isfinite(scores).all():
            raise ModelError(
                f"{path!r} gives scores that are not finite ({scores[0]}); its weights are broken, "
                "or overflow in their number format"
            )

    def _forward(self, inputs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        segments = {"token_type_ids": inputs[1]} if self._segments else {}
        output = self._model(input_ids=inputs[0], attention_mask=mask, **segments)
        logits: torch.Tensor = output.logits
        return logits.double().cpu()


def _end(ids: list[int], room: int) -> list[int]:
    """The last `room` tokens: what is near the response, or its own end."""
    return ids[max(len(ids) - room, 0) :]


def _segment(ids: Sequence[int], segment: int) -> IntArray:
    return np.asarray([ids, [segment] * len(ids)], dtype=np.int64).reshape(2, -1)


def _score(logits: torch.Tensor) -> float:
    if len(logits) == 1:
        return float(logits[0])
    return float(torch.softmax(logits, dim=0)[-1])
