"""Causal checkpoints: the part of the input that many pairs share goes through the model once.

A decoder reads a pair as the first text and then the second, and its keys and values of the first
do not depend on what follows. So they are computed once for all pairs of a batch that start alike,
and each second text continues from them: about half of a group's tokens need not be read.

A pair gets the same bits in any company: it is always divided at the same place, a first part
always runs alone and unpadded, and second parts run in tiles whose shape depends on their length
and that of the first part only. Padding stands behind a text, where causal attention never looks.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from models.pair_input import EncodedPair
from models.protocol import IntArray
from models.tiles import bucket, tile_rows

log = logging.getLogger(__name__)

TRIAL_LENGTHS = ((40, 7), (3, 90))
TOLERANCE = 1e-3
"""Of a logit in float32, relative to the largest; far below what a wrong mask or position does."""
TOLERANCE_OF_HALF = 0.1


class CausalPairs:
    """A decoder with a classification head over its last token."""

    def __init__(self, model: Any, device: str) -> None:
        self._decoder, self._head = model.base_model, model.score
        self._pad = model.config.pad_token_id
        self._device = device

    @classmethod
    def of(cls, model: Any, device: str) -> "CausalPairs | None":
        """None where the architecture is not known to continue from its own keys and values."""
        kinds = getattr(model.config, "layer_types", None)
        sliding = kinds is None and getattr(model.config, "sliding_window", None)
        if not hasattr(model, "score") or sliding or set(kinds or ()) - {"full_attention"}:
            return None
        made = cls(model, device)
        try:
            agrees = made._agrees_with(model)
        except Exception as error:  # whatever an encoder says to being asked for a cache
            log.debug("no shared prefixes for %s: %s", type(model).__name__, error)
            return None
        return made if agrees else None

    def logits(self, pairs: Sequence[EncodedPair]) -> Iterator[tuple[int, Tensor]]:
        """(index, logits (labels,)) of every pair, in any order."""
        alike: dict[bytes, list[int]] = defaultdict(list)
        parts = [self._divided(pair) for pair in pairs]
        for index, (first, _) in enumerate(parts):
            alike[first.tobytes()].append(index)
        for members in alike.values():
            first = parts[members[0]][0]
            for place, row in self._continued(first, [parts[i][1] for i in members]):
                yield members[place], row

    def _divided(self, pair: EncodedPair) -> tuple[IntArray, IntArray]:
        """(shared part, the rest), which ends with the token that is classified.

        As transformers choose it: the last one that is not padding.
        """
        ids = pair.sequence[0]
        content = np.arange(len(ids)) if self._pad is None else np.flatnonzero(ids != self._pad)
        end = int(content[-1]) + 1 if len(content) else len(ids)
        second = min(pair.second, end - 1)
        return ids[:second], ids[second:end]

    def _continued(
        self, first: IntArray, seconds: Sequence[IntArray]
    ) -> Iterator[tuple[int, Tensor]]:
        """(index, logits) of each second part behind the first one."""
        buckets: dict[int, list[int]] = defaultdict(list)
        for index, second in enumerate(seconds):
            buckets[bucket(len(second))].append(index)
        with torch.inference_mode():
            shared = self._keys_and_values(first)
            for length, members in sorted(buckets.items()):
                rows = tile_rows(length, self._device)
                for start in range(0, len(members), rows):
                    tile = members[start : start + rows]
                    filled = [seconds[i] for i in tile + [tile[0]] * (rows - len(tile))]
                    logits = self._tile(shared, filled, length)
                    yield from zip(tile, logits.double().cpu(), strict=False)

    def _keys_and_values(self, first: IntArray) -> list[tuple[Tensor, Tensor]]:
        """Of each layer, (1, heads, length, width) both; none for no tokens."""
        if not len(first):
            return []
        ids = torch.from_numpy(first[None]).to(self._device)
        cache = self._decoder(input_ids=ids, use_cache=True).past_key_values
        return [(layer.keys, layer.values) for layer in cache.layers]

    def _tile(
        self, shared: Sequence[tuple[Tensor, Tensor]], seconds: Sequence[IntArray], length: int
    ) -> Tensor:
        """(rows, labels), each row from the state of its last token."""
        rows, past = len(seconds), shared[0][0].shape[-2] if shared else 0
        inputs = np.zeros((rows, length), dtype=np.int64)
        for row, second in zip(inputs, seconds, strict=True):
            row[: len(second)] = second
        # Without a mask: what is computed must not depend on whether a row is padded.
        states = self._decoder(
            input_ids=torch.from_numpy(inputs).to(self._device),
            position_ids=torch.arange(past, past + length, device=self._device)[None],
            past_key_values=DynamicCache(
                [(k.expand(rows, -1, -1, -1), v.expand(rows, -1, -1, -1)) for k, v in shared]
            ),
        ).last_hidden_state
        last = torch.tensor([len(second) - 1 for second in seconds], device=self._device)
        found: Tensor = self._head(states[torch.arange(rows, device=self._device), last])
        return found

    def _agrees_with(self, model: Any) -> bool:
        """Whether divided inputs get the logits of whole ones, by the model's own forward pass."""
        source = np.random.default_rng(0)
        half = model.dtype != torch.float32
        for first, second in TRIAL_LENGTHS:
            # Of the last tokens of a vocabulary some may be special, padding among them.
            ids = source.integers(1, model.config.vocab_size // 2, first + second)
            pair = EncodedPair(np.stack([ids, ids]), first, truncated=False)
            ((_, divided),) = self.logits([pair])
            with torch.inference_mode():
                whole = self._whole(model, ids)
            room = (TOLERANCE_OF_HALF if half else TOLERANCE) * max(1.0, float(whole.abs().max()))
            if not torch.allclose(divided, whole, rtol=0, atol=room):
                return False
        return True

    def _whole(self, model: Any, ids: IntArray) -> Tensor:
        given = torch.from_numpy(ids[None]).to(self._device)
        logits: Tensor = model(input_ids=given, attention_mask=torch.ones_like(given)).logits
        return logits[0].double().cpu()
