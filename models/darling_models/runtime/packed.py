"""BERT-style encoders on packed batches: every token is a row of one matrix, and none is padding.

Only attention looks beyond a token, so it alone runs per sequence (those of one length together);
everything else is one product for the whole pack. A sequence gets the same bits in any company:

- matrix kernels add up a row's products in one order, if the number of rows is within limits; a
  pack is filled up to the least, and multiplied in blocks of at most the most;
- a pack is one thread's (`pack_threads`), so that their number decides nothing either;
- attention sees one sequence at a time (`attention`).

That is a property of the kernels and not a law. So when a model is loaded on a CPU, kernels are
tried and the fastest that have it are chosen (`kernel_trial`), once for each kind of machine
(`kernel_cache`). Where none have it, each sequence is a pack of its own.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import asdict, replace
from functools import partial
from hashlib import blake2b
from operator import itemgetter
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from darling_models.errors import ModelError
from darling_models.protocol import IntArray
from darling_models.runtime import varlen
from darling_models.runtime.attention import attend
from darling_models.runtime.bert import Layer, Shape, normed, read
from darling_models.runtime.gpu_packs import SIZES, NoPackSize, PackSizes
from darling_models.runtime.kernel_cache import cached
from darling_models.runtime.kernel_trial import choose, pinned, products_alike
from darling_models.runtime.kernels import ALONE, AUTO, FUSED, PACKS, Choice, Kernels
from darling_models.runtime.linear import prepacks
from darling_models.runtime.overlap import fetched, moved
from darling_models.runtime.pack_threads import Workers, balanced

log = logging.getLogger(__name__)

TRIAL_LENGTHS = (1, 2, 3, 4, 9, 17, 17, 31, 41, 64, 100, 130, 300)
"""Lengths of the sequences with which kernels are tried."""
TRIAL_LAYERS = 2
"""Layers that are computed in a trial of kernels; all have the same shapes."""
TYPICAL_LENGTH = 128
"""Tokens of each sequence when the sizes of packs are tried."""
BITS_LENGTHS = (17, 64, 130)
"""Lengths of the sequences whose states tell one machine's arithmetic from another's."""

Done = TypeVar("Done")


class PackedEncoder:
    """Read-only after it is made; weights have the names of `transformers.BertModel`."""

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        shape: Shape,
        device: str = "cpu",
        kernels: str | Choice = AUTO,
    ) -> None:
        """Computes in the weights' own precision. `kernels`: for a CPU, what the setting says, or
        the choice of another encoder of this shape.

        Raises `KeyError` if a weight is missing, and `ModelError` for kernels that cannot be set.
        """
        self._shape = shape
        self._device = device
        self._tables, self._norm, self._layers = read(weights, shape, device)
        self.dtype = self._tables.words.dtype
        self.heads = shape.heads
        self.width = int(self._tables.words.shape[1])
        self.head_width = self.width // shape.heads
        self.vocabulary = int(self._tables.words.shape[0])
        self._workers = Workers(torch.get_num_threads() if device == "cpu" else 1)
        self._sizes: PackSizes | None = None
        self._kernels = FUSED
        self.choice: Choice | None = None
        """On a CPU, the kernels that compute, and why these."""
        if device == "cpu":
            self.choice = self._chosen(kernels)
            self._kernels = self.choice.kernels
        elif kernels != AUTO:
            raise ModelError(
                f"the setting kernels is for CPUs, and device is {device}; leave it out"
            )
        else:
            self._fit_to_gpu()

    def _fit_to_gpu(self) -> None:
        alike = True
        if self._tables.words.is_cuda:
            try:
                self._sizes = PackSizes.alike(self._tried, self.vocabulary)
                log.info("%s", self._sizes)
            except NoPackSize:
                alike, self._sizes = False, PackSizes(SIZES)
        if not alike or not self.invariant(FUSED):
            log.warning("matrix kernels here round by batch: every text runs by itself, slower")
            self._kernels = replace(FUSED, pack=ALONE)

    def _chosen(self, kernels: str | Choice) -> Choice:
        if isinstance(kernels, Choice):
            return kernels
        if kernels == AUTO:
            own = {
                "width": self.width,
                "inner": self._layers[0].after.up.outputs,
                "format": str(self.dtype),
                "laid_out": prepacks(),
            }
            return cached(lambda: choose(self), {**asdict(self._shape), **own}, self.invariant)
        return pinned(self, kernels)

    def invariant(self, kernels: Kernels) -> bool:
        """Whether sequences in one pack get the bits that each gets alone."""
        view = self._by(kernels)
        products = partial(
            products_alike, view._layers[0].products, kernels, self.width, self.dtype
        )
        if not self.on_worker(products):
            return False
        trial = self._drawn(TRIAL_LENGTHS)
        packs = [trial, trial[::2], *([sequence] for sequence in trial)]

        for first_only in (False, True):
            all_of_them, half, *alone = self._workers.map(
                partial(view._run, first_only=first_only), packs
            )
            if not torch.equal(all_of_them, torch.cat(alone)):
                return False
            if not torch.equal(half, torch.cat(alone[::2])):
                return False
        return True

    @torch.inference_mode()
    def one_layer(self, kernels: Kernels) -> None:
        """Computes a layer of `PACKS[-1]` tokens in packs of the kernels' size."""
        view, layer = self._by(kernels), self._layers[0]
        x = torch.ones(kernels.pack, self.width, dtype=self.dtype)
        lengths = [TYPICAL_LENGTH] * (kernels.pack // TYPICAL_LENGTH)
        for _ in range(PACKS[-1] // kernels.pack):
            view._finish(layer, x, view._attend(layer, x, lengths))

    def on_worker(self, run: Callable[[], Done]) -> Done:
        """Its result on a thread that computes packs, which has one thread's worth of torch."""
        return next(self._workers.map(lambda _: run(), [None]))

    def bits(self) -> str:
        """Differs between machines whose arithmetic gives a text different bits."""
        digest = blake2b(digest_size=8)
        for _, states in sorted(self.hidden(self._drawn(BITS_LENGTHS)), key=itemgetter(0)):
            digest.update(states.float().cpu().numpy().tobytes())
        limit = self._kernels.most_rows
        return f"{self._kernels.whole} {self._kernels.odd} {limit} {digest.hexdigest()}"

    def _by(self, kernels: Kernels) -> "PackedEncoder":
        """This encoder's last layers, computed by other kernels."""
        view = copy(self)
        view._kernels, view._layers = kernels, self._layers[-TRIAL_LAYERS:]
        return view

    def _drawn(self, lengths: Sequence[int]) -> list[IntArray]:
        """Sequences of these lengths, as far as there are positions, the same in every process."""
        source = np.random.default_rng(0)
        longest = len(self._tables.places) - 1 - (self._shape.pad or 0)
        return [source.integers(0, self.vocabulary, (1, min(n, longest))) for n in lengths]

    def _tried(self, sequences: Sequence[IntArray], sizes: PackSizes) -> Tensor:
        self._sizes = sizes
        return self._run([ids[None] for ids in sequences], first_only=False)

    def hidden(self, sequences: Sequence[IntArray]) -> Iterator[tuple[int, Tensor]]:
        """Yields (index, last hidden states (length, hidden)) for every sequence.

        A sequence has shape (channels, length): token ids, and segment ids where there are any.
        """
        for pack, rows in fetched(self._each(sequences, first_only=False)):
            lengths = [sequences[index].shape[1] for index in pack]
            yield from zip(pack, torch.split(rows, lengths), strict=True)

    def first(self, sequences: Iterable[IntArray]) -> Iterator[tuple[Sequence[int], Tensor]]:
        """Yields (indices, last hidden states (sequences, hidden) of the first tokens) for every
        pack, with less work. On a GPU they may still be in the making."""
        return self._each(sequences, first_only=True)

    def _each(
        self, sequences: Iterable[IntArray], first_only: bool
    ) -> Iterator[tuple[Sequence[int], Tensor]]:
        """Yields (indices, result) of every pack."""
        if self._sizes is not None and not self._kernels.alone:
            for indices, members in self._sizes.packs(sequences):
                yield indices, self._run(members, first_only)
            return
        known = list(sequences)
        most, count = self._kernels.pack, self._workers.count
        # Less than twice the least rows would be filled up by too much.
        least = 1 if self._kernels.alone else 2 * self._kernels.least_rows
        packs = balanced([ids.shape[1] for ids in known], most, least, count)
        members_of_all = [[known[index] for index in pack] for pack in packs]
        results = self._workers.map(partial(self._run, first_only=first_only), members_of_all)
        yield from zip(packs, results, strict=True)

    @torch.inference_mode()
    def _run(self, sequences: Sequence[IntArray], first_only: bool) -> Tensor:
        """(tokens, hidden) of the pack, or (sequences, hidden) of the first tokens."""
        lengths = [sequence.shape[1] for sequence in sequences]
        x = self._embed(sequences, sum(lengths))
        if self._sizes:
            return self._run_on_gpu(x, lengths, first_only)
        for layer in self._layers[:-1]:
            x = self._finish(layer, x, self._attend(layer, x, lengths))
        last = self._layers[-1]
        if not first_only:
            return self._finish(last, x, self._attend(last, x, lengths))[: sum(lengths)]
        firsts = np.zeros(self._rows(len(lengths)), dtype=np.int64)
        firsts[: len(lengths)] = np.cumsum([0, *lengths[:-1]])
        first = x[torch.from_numpy(firsts).to(self._device)]
        mixed = self._attend(last, x, lengths, first)
        return self._finish(last, first, mixed)[: len(lengths)]

    def _run_on_gpu(self, x: Tensor, lengths: Sequence[int], first_only: bool) -> Tensor:
        """Every row of the last layer is computed: a product of few rows rounds otherwise."""
        packing = None
        if x.dtype != torch.float32:
            packing = varlen.Packing.of(lengths, len(x), self._device)
        for layer in self._layers:
            x = self._finish(layer, x, self._attend(layer, x, lengths, packing=packing))
        if not first_only:
            return x[: sum(lengths)]
        return x[moved(np.cumsum([0, *lengths[:-1]]), self._device)]

    def _embed(self, sequences: Sequence[IntArray], tokens: int) -> Tensor:
        inputs = np.zeros((3, self._rows(tokens)), dtype=np.int64)
        ids, types, places = inputs[:, :tokens]
        ids[:] = np.concatenate([sequence[0] for sequence in sequences])
        if len(sequences[0]) > 1:
            types[:] = np.concatenate([sequence[1] for sequence in sequences])
        places[:] = np.concatenate([self._positions(sequence[0]) for sequence in sequences])
        tensors = moved(inputs, self._device)
        x = functional.embedding(tensors[0], self._tables.words)
        x += functional.embedding(tensors[1], self._tables.segments)
        x += functional.embedding(tensors[2], self._tables.places)
        return normed(x, self._norm, self._shape.epsilon)

    def _positions(self, ids: IntArray) -> IntArray:
        if self._shape.pad is None:
            return np.arange(len(ids))
        held = ids != self._shape.pad
        places: IntArray = np.cumsum(held) * held + self._shape.pad
        return places

    def _attend(
        self,
        layer: Layer,
        x: Tensor,
        lengths: Sequence[int],
        first: Tensor | None = None,
        packing: varlen.Packing | None = None,
    ) -> Tensor:
        """Attention's mixes of values, (rows, hidden): one for each token, or with `first`, which
        holds one row of each sequence, for each of these."""
        query_rows = x if first is None else first
        queries = self._kernels.in_blocks(layer.query, query_rows).view(
            len(query_rows), self.heads, -1
        )
        keys_values = self._kernels.in_blocks(layer.key_value, x).view(len(x), 2, self.heads, -1)
        if packing is None:
            mixed = attend(queries, keys_values, lengths, self._kernels, first is not None)
        else:
            keys, values = keys_values.unbind(1)
            scale = self.head_width**-0.5
            mixed = varlen.attend(queries, keys, values, packing, scale)
        return mixed.view_as(query_rows)

    def _finish(self, layer: Layer, x: Tensor, mixed: Tensor) -> Tensor:
        """The layer's result from its input and the mixes of values, each (rows, hidden)."""
        return self._kernels.in_blocks(layer.after.finish, x, mixed)

    def _rows(self, wanted: int) -> int:
        """Rows of a matrix that holds `wanted`: so many that kernels do not round by them."""
        return self._kernels.filled(wanted) if self._sizes is None else self._sizes.rows(wanted)
