"""Batches of fixed shape, so that a sequence's result is the same bits whatever its company.

Matrix kernels may add in another order when the shape of a batch changes, and near a threshold the
last bit decides. Here every sequence is padded to the bucket of its own length, and a bucket always
runs in tiles of one shape, the last one filled up with copies; rows of one tile never mix. What
stands beside a sequence is then arithmetic on other rows of the same-shaped matrices. Where kernels
round by the row in which a sequence stands, too, as some of MKL's do for narrow layers,
`Tiles.try_rows` gives each sequence a tile of its own.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from darling_models.protocol import IntArray
from darling_models.runtime.window import learned_positions

TILE_TOKENS = 128
"""Tokens of a tile on a CPU; a longer sequence fills a tile by itself, and bigger tiles are not
faster."""
TILE_TOKENS_ELSEWHERE = 8192
"""Tokens of a tile on a GPU, which small ones would leave idle."""

ONE_ROW = 1
"""Tokens of a tile that holds one sequence, whatever its length."""
TRIAL_LENGTHS = (16, 32, 48, 64)
"""Padded lengths of which a CPU's tile holds several."""

Forward = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Maps (channels, rows, length) inputs and a (rows, length) mask, both int64, to (rows, ...)."""


def bucket(length: int, longest: int | None = None) -> int:
    """The padded length for a sequence: multiples of 16 to 128, of 32 to 512, then of 128.

    It is at most `longest`, the number of positions that a model has learned.
    """
    step = 16 if length <= 128 else 32 if length <= 512 else 128
    padded = -(-length // step) * step
    return padded if longest is None else min(padded, longest)


def tile_rows(length: int, device: str, tokens: int | None = None) -> int:
    """The number of sequences in a tile whose sequences are padded to `length`.

    `tokens`: of a tile, by default what suits the device.
    """
    if tokens is None:
        tokens = TILE_TOKENS if device == "cpu" else TILE_TOKENS_ELSEWHERE
    return max(tokens // length, 1)


class Tiles:
    """A checkpoint's forward pass, run in tiles."""

    def __init__(self, model: Any, forward: Forward, device: str) -> None:
        self._model, self._forward, self._device = model, forward, device
        self._pad: int | None = model.config.pad_token_id
        self._longest = learned_positions(model)
        self.tokens: int | None = None
        """Tokens of a tile; None: what suits the device."""

    def run(self, sequences: Sequence[IntArray]) -> Iterator[tuple[int, torch.Tensor]]:
        """As `run_in_tiles`."""
        config = self._model.config
        # A decoder reads the last token that is not padding: without a padding token of its own, it
        # gets one that none of these inputs holds.
        pad = unused_token(sequences) if self._pad is None else self._pad
        config.pad_token_id = pad
        try:
            yield from run_in_tiles(
                self._forward, sequences, pad, self._device, self._longest, self.tokens
            )
        finally:
            config.pad_token_id = self._pad

    def try_rows(self) -> None:
        """Gives each sequence a tile of its own where kernels round by a CPU's row of a tile."""
        if self._device == "cpu" and not self._rows_agree():
            self.tokens = ONE_ROW

    def _rows_agree(self) -> bool:
        source = np.random.default_rng(0)
        vocabulary = self._model.get_input_embeddings().weight.shape[0]
        for length in TRIAL_LENGTHS:
            sequence = np.zeros((2, min(length, self._longest or length)), dtype=np.int64)
            sequence[0] = source.integers(0, vocabulary, sequence.shape[1])
            first, *others = (row for _, row in self.run([sequence] * tile_rows(length, "cpu")))
            if not all(torch.equal(row, first) for row in others):
                return False
        return True


def unused_token(sequences: Sequence[IntArray]) -> int:
    """A token id that no sequence holds."""
    used = set(np.unique(np.concatenate([sequence[0] for sequence in sequences])).tolist())
    return next(token for token in range(len(used) + 1) if token not in used)


def run_in_tiles(
    forward: Forward,
    sequences: Sequence[IntArray],
    pad: int,
    device: str = "cpu",
    longest: int | None = None,
    tokens: int | None = None,
) -> Iterator[tuple[int, torch.Tensor]]:
    """Yields (index, output row) for every sequence, shortest bucket first.

    A sequence has shape (channels, length): token ids, and segment ids where the model has them.
    `longest` is the number of positions that the model has learned, if it has. `tokens`: of a tile,
    by default what suits the device.
    """
    buckets: dict[int, list[int]] = defaultdict(list)
    for index, sequence in enumerate(sequences):
        buckets[bucket(sequence.shape[1], longest)].append(index)
    for length in sorted(buckets):
        rows = tile_rows(length, device, tokens)
        members = buckets[length]
        for start in range(0, len(members), rows):
            tile = members[start : start + rows]
            channels = len(sequences[tile[0]])
            inputs = np.zeros((channels, rows, length), dtype=np.int64)
            inputs[0] = pad
            mask = np.zeros((rows, length), dtype=np.int64)
            for row, index in enumerate(tile + [tile[0]] * (rows - len(tile))):
                sequence = sequences[index]
                inputs[:, row, : sequence.shape[1]] = sequence
                mask[row, : sequence.shape[1]] = 1
            with torch.inference_mode():
                output = forward(
                    torch.from_numpy(inputs).to(device), torch.from_numpy(mask).to(device)
                )
            yield from zip(tile, output, strict=False)
