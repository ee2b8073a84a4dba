"""Which kernels compute a packed encoder on a CPU, as one short text that a setting can pin.

    rows=16,pack=1024,whole=fffff,odd=ffppp

`rows`: every matrix has at least so many rows, and a multiple of 16; `rows=48-256`: a larger one is
multiplied in equal blocks of at most 256. `pack`: tokens that are computed together; 1: every text
by itself. `whole` and `odd`: the kernel of attention for lengths that are multiples of
16, and for all others, one letter each for lengths below 32, 64, 128 and 256, and for longer ones:
`f` torch's fused attention, `b` plain products of several texts at once, `p` those of one text.
"""

import logging
import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import starmap
from typing import Self

import torch
from torch import Tensor

from darling_models.runtime.precision import bfloat16_instructions

log = logging.getLogger(__name__)

AUTO = "auto"
"""The setting `kernels` that leaves the choice to a trial."""
STEP = 16
"""Matrices have a multiple of so many rows. And lengths of texts that are multiples of it fill the
vectors of fused attention; the rest of others is computed number by number."""
ANY = 0
"""No limit to the rows of a product."""
ROWS = (
    *((16, ANY), (32, ANY), (48, ANY), (64, ANY), (128, ANY)),
    *((48, 256), (48, 128), (64, 64)),
)
"""Least and most rows of a product, the cheapest first. With fewer, kernels round otherwise: 16
suffice for AVX2 and AVX-512. With AMX, oneDNN adds up a row in another order for some numbers of
rows, such as below 48 and from 384 on. In the last, all products have the same number."""
PACKS = (256, 512, 1024)
"""Tokens that a pack may have: about as much as a processor's cache holds."""
ALONE = 1
"""The pack of kernels that give a text other bits in company."""
BOUNDS = (32, 64, 128, 256)
"""Lengths in tokens at which another kernel of attention may begin."""
WRITTEN = re.compile(
    r"rows=(\d{1,3})(?:-([1-9]\d{1,2}))?,pack=(\d{1,4}),whole=([fbp]{5}),odd=([fbp]{5})"
)


@dataclass(frozen=True, slots=True)
class Kernels:
    least_rows: int
    most_rows: int
    """`ANY`, or a multiple of `STEP`."""
    pack: int
    whole: str
    odd: str

    @classmethod
    def default(cls, dtype: torch.dtype) -> Self:
        """What computes a number format well on this CPU; a trial replaces what is far slower."""
        if dtype == torch.float32:
            return cls(*ROWS[0], PACKS[-1], whole="fffff", odd="ffppp")
        if "amx_bf16" in bfloat16_instructions():
            return cls(*ROWS[0], PACKS[-1], whole="fffff", odd="fffff")
        return cls(*ROWS[0], PACKS[-1], whole="bbbbb", odd="bbbbb")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The kernels that a text names. Raises `ValueError` if it is not of this form."""
        match = WRITTEN.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not of the form {cls.default(torch.float32)}")
        kernels = cls(int(match[1]), int(match[2] or ANY), int(match[3]), match[4], match[5])
        tried = (kernels.least_rows, kernels.most_rows) in ROWS
        if not tried or kernels.pack not in (ALONE, *PACKS):
            raise ValueError(
                f"{text!r} has numbers that nothing is computed with; rows is one of "
                f"{', '.join(starmap(rows_named, ROWS))}, and pack one of "
                f"{', '.join(map(str, (ALONE, *PACKS)))}"
            )
        return kernels

    def __str__(self) -> str:
        rows = rows_named(self.least_rows, self.most_rows)
        return f"rows={rows},pack={self.pack},whole={self.whole},odd={self.odd}"

    @property
    def alone(self) -> bool:
        """Whether every text is computed by itself, which is slow."""
        return self.pack == ALONE

    def blocks(self, rows: int) -> int:
        """In how many products a matrix of so many rows is multiplied."""
        return 1 if self.most_rows == ANY else -(-rows // self.most_rows)

    def filled(self, wanted: int) -> int:
        """The rows of a matrix that holds `wanted`, such that all of its blocks are equal."""
        blocks = self.blocks(wanted)
        return blocks * max(self.least_rows, -(-wanted // (blocks * STEP)) * STEP)

    def in_blocks(self, run: Callable[..., Tensor], *matrices: Tensor) -> Tensor:
        """`run` on matrices of equal numbers of rows, or on blocks of these one after the other."""
        blocks = self.blocks(len(matrices[0]))
        if blocks == 1:
            return run(*matrices)
        parts = zip(*(matrix.chunk(blocks) for matrix in matrices), strict=True)
        return torch.cat([run(*part_of_each) for part_of_each in parts])

    def attention(self, length: int) -> str:
        """The letter of the kernel for texts of this length in tokens."""
        return (self.odd if length % STEP else self.whole)[bisect_right(BOUNDS, length)]


def rows_named(least: int, most: int) -> str:
    """Numbers of rows as a setting names them."""
    return str(least) if most == ANY else f"{least}-{most}"


FUSED = Kernels(*ROWS[0], PACKS[-1], whole="fffff", odd="fffff")
"""Attention on a GPU in float32."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Kernels, and why these."""

    kernels: Kernels
    reason: str

    @property
    def name(self) -> str:
        """The kernels as the setting takes them."""
        return str(self.kernels)


def log_kernels(name: str, choice: Choice | None) -> None:
    """One line when a model is loaded, since kernels decide its speed and its last bits; none for a
    model that has no such choice."""
    if choice is not None:
        level = logging.WARNING if choice.kernels.alone else logging.INFO
        log.log(level, "%s runs with kernels %s: %s", name, choice.name, choice.reason)
