"""Two texts as one input of a cross-encoder: special tokens once, white space kept, each side cut.

With a template, its special tokens are written around the texts exactly as it says; without one the
checkpoint's own tokenizer joins the pair. Each text is cut on its own, in tokens.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from models.options import ModelError
from models.protocol import IntArray


@dataclass(frozen=True, slots=True)
class EncodedPair:
    sequence: IntArray
    """Token ids and segment ids, shape (2, length)."""
    truncated: bool
    split: int
    """Tokens in front of the second text."""


class PairEncoder:
    def __init__(
        self, tokenizer: Any, template: str | None, side_length: int | None, max_length: int
    ) -> None:
        """Raises `ModelError` if the tokenizer or the template cannot make one input of two."""
        if not tokenizer.is_fast:
            raise ModelError("the checkpoint has no fast tokenizer; save it with a tokenizer.json")
        self._tokenizer = tokenizer.backend_tokenizer
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._pieces = None if template is None else self._parse(template)
        self._side_length = side_length
        special = (
            self._tokenizer.num_special_tokens_to_add(is_pair=True)
            if self._pieces is None
            else sum(map(len, self._pieces))
        )
        if special == 0:
            raise ModelError(
                "nothing would separate the two texts: the tokenizer joins pairs without a special "
                "token. Set pair_template, or equivalence_template in the checkpoint's config"
            )
        self.max_length = max_length
        self._room = max_length - special
        if self._room < 2:
            raise ModelError(f"max_length {max_length} leaves no room for two texts")

    def encode(self, a: str, b: str) -> EncodedPair:
        first, second = self._tokenizer.encode_batch([a, b], add_special_tokens=False)
        whole = len(first), len(second)
        kept = self._fit(*whole)
        first.truncate(kept[0])
        second.truncate(kept[1])
        if self._pieces is None:
            joined = self._tokenizer.post_process(first, second, add_special_tokens=True)
            sequence = np.asarray([joined.ids, joined.type_ids], dtype=np.int64)
            split = [*joined.sequence_ids, 1].index(1)
        else:
            before, between, after = self._pieces
            left = [*before, *first.ids, *between]
            right = [*second.ids, *after]
            segments = [0] * len(left) + [1] * len(right)
            sequence = np.asarray([left + right, segments], dtype=np.int64)
            split = len(left)
        return EncodedPair(sequence, kept != whole, split)

    def _parse(self, template: str) -> tuple[list[int], list[int], list[int]]:
        before, found_a, rest = template.partition("{a}")
        between, found_b, after = rest.partition("{b}")
        if not (found_a and found_b):
            raise ModelError(f"the pair template {template!r} needs {{a}} and, after it, {{b}}")
        pieces = (
            self._tokenizer.encode(piece, add_special_tokens=False).ids
            for piece in (before, between, after)
        )
        before_ids, between_ids, after_ids = pieces
        return before_ids, between_ids, after_ids

    def _fit(self, a: int, b: int) -> tuple[int, int]:
        """Tokens kept of each side: its own budget, then the longer one gives way.

        As tokenizers' `longest_first` does it, to the token: an odd one goes to the longer side.
        """
        if self._side_length is not None:
            a, b = min(a, self._side_length), min(b, self._side_length)
        if a + b <= self._room:
            return a, b
        shorter = min(a, b, self._room // 2)
        longer = self._room - shorter
        return (longer, shorter) if a > b else (shorter, longer)
