"""The choice of kernels by trial: the fastest that give a text the same bits in any company.

Kernels of attention decide last bits, so that equal machines must choose alike although no two
measurements are: the default is replaced only where another is `MARGIN` times as fast. Rows and
packs decide no bits as long as a text does not depend on its company.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import starmap
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from darling_models.errors import ModelError
from darling_models.runtime.attention import attend
from darling_models.runtime.kernels import (
    ALONE,
    ANY,
    PACKS,
    ROWS,
    STEP,
    Choice,
    Kernels,
    rows_named,
)

MARGIN = 1.8
"""Times that another kernel of attention must be as fast as the default. On a Zen 3 in float32 none
was by more than 1.45 times, and 1.6 times when 30 processes shared its two cores; with AMX in
bfloat16 fused attention is 2.8 times as fast."""
PACK_MARGIN = 1.1
"""Times that a smaller pack must be as fast as the largest."""
ROUNDS = 9
"""Measurements of each kernel, of which the least counts."""
ATTENTION_S, PACKS_S = 0.1, 0.3
"""Processor seconds after which the kernels of one letter, and packs, are not measured again. Not
wall seconds: on a busy machine measurements must not be fewer."""
TRIAL_ROWS = (16, 32, 48, 64, 96, 128, 192, 256, 368, 512, 768, 1024)
"""Numbers of rows with which products are tried where their most is not limited."""
TOKENS = 512
"""Tokens on which a kernel of attention is tried."""
WHOLE = ((16,), (48, 32), (112, 64), (240, 128), (256, 512))
ODD = ((20, 1, 2, 3, 5, 11, 31), (50, 41, 63), (100, 65, 127), (200, 130, 254), (300, 257))
"""Lengths at which kernels of attention are tried, for each letter of a choice. The first of them
is measured."""

Done = TypeVar("Done")
Name = TypeVar("Name", str, int)


class Candidate(Protocol):
    """An encoder that can be computed by different kernels."""

    dtype: torch.dtype
    heads: int
    head_width: int

    def invariant(self, kernels: Kernels) -> bool:
        """Whether texts get the same bits in any company."""
        ...

    def one_layer(self, kernels: Kernels) -> None:
        """Computes a layer of `PACKS[-1]` tokens in packs of the kernels' size."""
        ...

    def on_worker(self, run: Callable[[], Done]) -> Done:
        """Its result on a thread that computes packs, which has one thread's worth of torch."""
        ...


def choose(encoder: Candidate) -> Choice:
    """The kernels for this machine, and what the trial showed."""
    kernels, reasons = encoder.on_worker(partial(_attention, encoder))
    one_by_one = replace(kernels, whole="ppppp", odd="ppppp")
    tried = [
        replace(own, least_rows=least, most_rows=most)
        for own in (kernels, one_by_one)
        for least, most in ROWS
    ]
    invariant = next((own for own in tried if encoder.invariant(own)), None)
    if invariant is None:
        names = ", ".join(starmap(rows_named, ROWS))
        reason = f"products round by batch, whatever the rows (tried: {names})"
        # Nothing measured decides here: this choice is not kept, and processes must choose alike.
        return Choice(replace(Kernels.default(encoder.dtype), pack=ALONE), reason)
    if (invariant.whole, invariant.odd) != (kernels.whole, kernels.odd):
        reasons = ["attention of several texts rounds by company"]
    if invariant.least_rows != ROWS[0][0]:
        reasons.append(f"products of fewer than {invariant.least_rows} rows round otherwise")
    if invariant.most_rows != ANY:
        reasons.append(f"so do some of more than {invariant.most_rows}")
    kernels = invariant
    sized = {size: replace(kernels, pack=size) for size in PACKS}
    runs = {size: partial(encoder.one_layer, own) for size, own in sized.items()}
    times = encoder.on_worker(partial(seconds, runs, PACKS_S))
    pack = preferred(times, PACKS[-1], PACK_MARGIN)[0]
    if pack != PACKS[-1]:
        gain = times[PACKS[-1]] / times[pack]
        reasons.append(f"packs of {pack} tokens are {gain:.1f} times as fast as of {PACKS[-1]}")
    return Choice(
        sized[pack], "; ".join(reasons) or f"nothing was {MARGIN} times as fast as the default"
    )


def pinned(encoder: Candidate, setting: str) -> Choice:
    """The kernels that a setting names. Raises `ModelError` where it names none, or where a text
    would get other bits in other company by them."""
    cure = "leave it out, or copy what /v1/models shows on a machine of this kind"
    try:
        kernels = Kernels.parse(setting)
    except ValueError as error:
        raise ModelError(f"the setting kernels is wrong: {error}; {cure}") from error
    if not (kernels.alone or encoder.invariant(kernels)):
        raise ModelError(
            f"the setting kernels is {setting}, by which a text gets other bits in other company "
            f"on this machine; {cure}"
        )
    return Choice(kernels, "the setting kernels names them")


@torch.inference_mode()
def products_alike(
    products: Callable[[Tensor], Tensor], kernels: Kernels, width: int, dtype: torch.dtype
) -> bool:
    """Whether a row (width,) gets the same bits in products of all numbers of rows that occur."""
    least, most = kernels.least_rows, kernels.most_rows
    sizes = [*range(least, most, STEP), most]
    if most == ANY:
        sizes = [rows for rows in TRIAL_ROWS if rows >= least]
    random = torch.Generator().manual_seed(0)
    x = torch.randn(sizes[-1], width, generator=random).to(dtype)
    expected = products(x)
    return all(torch.equal(products(x[:rows]), expected[:rows]) for rows in sizes)


def seconds(runs: Mapping[Name, Callable[[], object]], budget: float) -> dict[Name, float]:
    """The least processor time of this thread that each took. They take turns, so that a machine
    that slows down slows all of them."""
    times, ends = dict.fromkeys(runs, math.inf), time.thread_time() + budget
    for number in range(ROUNDS + 1):
        for name, run in runs.items():
            started = time.thread_time()
            run()
            if number:  # the first fills caches
                times[name] = min(times[name], time.thread_time() - started)
        if number and time.thread_time() > ends:
            break
    return times


def preferred(times: Mapping[Name, float], default: Name, margin: float) -> list[Name]:
    """All of them, the fastest first; but the default first where none is `margin` times as
    fast."""
    by_time: list[Name] = sorted(times, key=lambda name: times[name])
    if times[by_time[0]] * margin > times[default]:
        by_time.remove(default)
        by_time.insert(0, default)
    return by_time


class Texts:
    """Queries, keys and values of some texts of one length, drawn at random."""

    def __init__(self, encoder: Candidate, length: int) -> None:
        random = torch.Generator().manual_seed(length)
        self.count = max(TOKENS // length, 3)
        shape = (3, self.count * length, encoder.heads, encoder.head_width)
        states = torch.randn(shape, generator=random).to(encoder.dtype)
        self._length, self._queries = length, states[0]
        self._keys_values = states[1:].transpose(0, 1).contiguous()

    def attend(self, letter: str, start: int, end: int, first_only: bool = False) -> Tensor:
        """Attention by a kernel within each text from `start` to before `end`."""
        kernels = Kernels(*ROWS[0], PACKS[-1], whole=letter * 5, odd=letter * 5)
        rows = slice(start * self._length, end * self._length)
        queries = self._queries[rows][:: self._length if first_only else 1].contiguous()
        lengths = [self._length] * (end - start)
        return attend(queries, self._keys_values[rows], lengths, kernels, first_only)

    def alike(self, letter: str) -> bool:
        """Whether the first, a middle and the last text get the bits that each gets alone."""
        for first_only in (False, True):
            together = self.attend(letter, 0, self.count, first_only).chunk(self.count)
            for k in (0, self.count // 2, self.count - 1):
                if not torch.equal(self.attend(letter, k, k + 1, first_only), together[k]):
                    return False
        return True


@torch.inference_mode()
def _attention(encoder: Candidate) -> tuple[Kernels, list[str]]:
    """The default with the fastest invariant kernel of attention for each letter, and why."""
    default = Kernels.default(encoder.dtype)
    letters = "fp" if encoder.dtype == torch.float32 else "fbp"
    reasons: list[str] = []

    def letter_for(lengths: tuple[int, ...]) -> str:
        own, texts = default.attention(lengths[0]), Texts(encoder, lengths[0])
        runs = {k: partial(texts.attend, k, 0, texts.count) for k in letters}
        times = seconds(runs, ATTENTION_S)
        for letter in preferred(times, own, MARGIN):
            if all(Texts(encoder, length).alike(letter) for length in lengths):
                break
        else:
            letter = "p"  # a text by itself; whether that suffices, the whole encoder shows
        if letter != own:
            gain = times[own] / times[letter]
            reasons.append(f"attention at {lengths[0]} tokens: {own} to {letter}, {gain:.1f} times")
        return letter

    whole, odd = ("".join(map(letter_for, cells)) for cells in (WHOLE, ODD))
    return replace(default, whole=whole, odd=odd), reasons
