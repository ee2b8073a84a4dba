"""Shared prefix: a decoder reads a text once for all the pairs in which it comes first.

What a decoder computes for a token depends only on the tokens before it. So the part before the
second text is run once, and each second text continues from its keys and values: of a group's
n (n - 1) / 2 first texts, n - 1 are read. A pair gets the same bits whatever else is in the batch:

- it is split where its second text begins, even when it is alone;
- the first part is run by itself, and the second parts in tiles of one shape (`runtime.tiles`);
- padding stands to the right, where causal attention does not look, so there is no mask: attention
  would choose its kernel by the mask's content.

A trial when a checkpoint is loaded decides whether it is read so; any other runs whole, in tiles.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

from darling_models.cross_encoder.pair_input import EncodedPair
from darling_models.protocol import IntArray
from darling_models.runtime.tiles import bucket, run_in_tiles, tile_rows

log = logging.getLogger(__name__)

Past = list[tuple[Tensor, Tensor]]
"""Keys and values of each layer, (1, heads, tokens, width)."""

TRIAL_PREFIX = 20
"""Tokens of the first text in the trial."""
TRIAL_REST = (3, 16)
"""Tokens of the second texts in the trial. They alternate in one tile, whose rows the shorter one
fills only in part."""
TOLERANCE = {torch.float32: 1e-4}
"""Largest error of a logit that the trial accepts, as a share of the largest logit, by format."""
TOLERANCE_BELOW = 5e-2
"""The same for formats of less precision, such as bfloat16."""
TURN_WITH_LENGTH = ("dynamic", "longrope")
"""Rotary embeddings by which a long input moves the tokens at its start too."""


class SharedPrefix:
    """A decoder with a `score` head. Keeps the last prefix: a group takes several batches."""

    def __init__(self, model: Any, device: str, tile_tokens: int | None = None) -> None:
        self._model = model
        self._device = device
        self._tile_tokens = tile_tokens
        self._pad = model.config.pad_token_id
        self._last: tuple[bytes, Past] | None = None

    @classmethod
    def of(cls, model: Any, device: str, tile_tokens: int | None = None) -> "SharedPrefix | None":
        """None if the model is no decoder, or reads a pair in parts otherwise than as a whole.

        `tile_tokens`: as for `run_in_tiles`.
        """
        accepted = signature(model.base_model.forward).parameters
        causal = getattr(model.config, "is_causal", True) and "past_key_values" in accepted
        if not causal or not hasattr(model, "score"):
            return None
        shared = cls(model, device, tile_tokens)
        try:
            reason = shared.objection()
        except Exception as error:  # whatever an architecture that is not known here may raise
            reason = str(error)
        if reason is None:
            return shared
        kind = model.config.model_type
        log.warning("a %s here reads every pair whole, which is slower: %s", kind, reason)
        return None

    def objection(self) -> str | None:
        """What speaks against reading in parts; None if a trial gives the logits that it should."""
        turned = {str(getattr(module, "rope_type", "")) for module in self._model.modules()}
        if any(name in kind for kind in turned for name in TURN_WITH_LENGTH):
            return "its rotary embedding depends on the length of the input"
        vocabulary = self._model.get_input_embeddings().weight.shape[0]
        source = np.random.default_rng(0)
        ids = source.integers(0, vocabulary, (1, TRIAL_PREFIX + max(TRIAL_REST)))
        ends = [TRIAL_PREFIX + rest for rest in TRIAL_REST]
        trial = [EncodedPair(ids[:, :end], False, TRIAL_PREFIX) for end in ends]
        rows = tile_rows(bucket(max(TRIAL_REST)), self._device, self._tile_tokens)
        together = dict(self.logits((trial * rows)[:rows]))  # a full tile: kernels may tell rows
        for index, pair in enumerate(trial):
            ((_, alone),) = self.logits([pair])
            if not all(torch.equal(alone, together[row]) for row in range(index, rows, len(trial))):
                return "its logits depend on what else is in the batch"
            with torch.inference_mode():
                inputs = torch.from_numpy(pair.sequence).to(self._device)
                whole = self._model(input_ids=inputs).logits[0].double().cpu()
            near = TOLERANCE.get(self._model.dtype, TOLERANCE_BELOW) * whole.abs().max().clamp(1)
            if not bool(((alone - whole).abs() <= near).all()):
                return "its logits are others when the second text is read after the first"
        return None

    def logits(self, pairs: Sequence[EncodedPair]) -> Iterator[tuple[int, Tensor]]:
        """Yields (index, logits (labels,)) of every pair, those of one prefix after each other."""
        parts = [self._parts(pair) for pair in pairs]
        alike: dict[bytes, list[int]] = defaultdict(list)
        for index, (prefix, _) in enumerate(parts):
            alike[prefix.tobytes()].append(index)
        for members in alike.values():
            members_parts = [parts[index] for index in members]
            for number, logits in self._of_one_prefix(members_parts):
                yield members[number], logits

    def _parts(self, pair: EncodedPair) -> tuple[IntArray, IntArray]:
        """Ids before the second text, (n,), and from there to the one that the head reads, (1, m).

        That is the last one that is not the checkpoint's padding token, if it has one.
        """
        ids = pair.sequence[0]
        held = np.arange(len(ids)) if self._pad is None else np.flatnonzero(ids != self._pad)
        last = int(held[-1]) if len(held) else 0
        split = min(pair.split, last)
        return ids[:split], ids[None, split : last + 1]

    def _of_one_prefix(
        self, parts: Sequence[tuple[IntArray, IntArray]]
    ) -> Iterator[tuple[int, Tensor]]:
        forward = partial(self._continue, self._past(parts[0][0]))
        return run_in_tiles(
            forward, [rest for _, rest in parts], 0, self._device, tokens=self._tile_tokens
        )

    def _past(self, prefix: IntArray) -> Past:
        key = prefix.tobytes()
        kept = self._last
        if kept is None or kept[0] != key:
            kept = self._last = None  # before the next is made: they are big
            kept = self._last = (key, self._read(prefix))
        return kept[1]

    def _read(self, prefix: IntArray) -> Past:
        """Raises `TypeError` if the model keeps anything but all keys and values."""
        if not len(prefix):
            return []
        with torch.inference_mode():
            ids = torch.from_numpy(prefix[None]).to(self._device)
            cache = self._model.base_model(input_ids=ids, use_cache=True).past_key_values
        if any(type(layer) is not DynamicLayer for layer in cache.layers):
            raise TypeError("not all of its layers look back at the whole input")
        return [(layer.keys, layer.values) for layer in cache.layers]

    def _continue(self, past: Past, inputs: Tensor, mask: Tensor) -> Tensor:
        rows = len(mask)
        cache = DynamicCache()
        for number, (keys, values) in enumerate(past):
            shape = (rows, -1, -1, -1)
            cache.update(keys.expand(shape), values.expand(shape), number)
        # Padding gets the last token's position: the next ones may be more than the model has.
        places = mask.cumsum(1) - 1 + cache.get_seq_length()
        states = self._model.base_model(
            input_ids=inputs[0], position_ids=places, past_key_values=cache, use_cache=True
        ).last_hidden_state
        read = states[torch.arange(rows, device=states.device), mask.sum(1) - 1]
        logits: Tensor = self._model.score(read)
        return logits.double().cpu()
