"""Two texts as one input of a cross-encoder: special tokens once, white space kept, each side cut.

With a template, its special tokens are written around the texts exactly as it says; without one the
checkpoint's own tokenizer joins the pair. Each text is cut on its own, in tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from darling_models.errors import ModelError
from darling_models.protocol import IntArray
from darling_models.unknown_tokens import confused, readings_of


@dataclass(frozen=True, slots=True)
class EncodedPair:
    sequence: IntArray
    """Token ids and segment ids, shape (2, length)."""
    truncated: bool
    split: int
    """Tokens in front of the second text."""
    confused: bool = False
    """Whether the tokens of the two texts are equal only because the tokenizer lost what is not."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The special tokens around two texts: token and segment ids, each (2, length)."""

    before: IntArray
    between: IntArray
    after: IntArray
    segments: tuple[int, int]
    """Segment ids of the two texts' own tokens."""

    @property
    def tokens(self) -> int:
        return sum(piece.shape[1] for piece in (self.before, self.between, self.after))

    @classmethod
    def of_template(cls, template: str, tokenizer: Tokenizer) -> "Frame":
        """Raises `ModelError` if the template has no places for two texts."""
        before, found_a, rest = template.partition("{a}")
        between, found_b, after = rest.partition("{b}")
        if not (found_a and found_b):
            raise ModelError(f"the pair template {template!r} needs {{a}} and, after it, {{b}}")
        encodings = tokenizer.encode_batch([before, between, after], add_special_tokens=False)
        left, middle, right = (
            _piece(encoding.ids, [side] * len(encoding.ids))
            for encoding, side in zip(encodings, (0, 0, 1), strict=True)
        )
        return cls(left, middle, right, segments=(0, 1))

    @classmethod
    def of_tokenizer(cls, tokenizer: Tokenizer) -> "Frame":
        """As the checkpoint's tokenizer joins pairs, read off two texts of a token or so.

        Raises `ModelError` if it does not put one text after the other.
        """
        words = ("a", *tokenizer.get_vocab())
        word = next(w for w in words if tokenizer.encode(w, add_special_tokens=False).ids)
        own = len(tokenizer.encode(word, add_special_tokens=False).ids)
        joined = tokenizer.encode(word, word)
        if [side for side, _ in groupby(joined.sequence_ids) if side is not None] != [0, 1]:
            raise ModelError(
                "the tokenizer does not put one text after the other; set pair_template"
            )
        both = _piece(joined.ids, joined.type_ids)
        start, middle = (joined.sequence_ids.index(side) for side in (0, 1))
        return cls(
            before=both[:, :start],
            between=both[:, start + own : middle],
            after=both[:, middle + own :],
            segments=(int(both[1, start]), int(both[1, middle])),
        )


class PairEncoder:
    def __init__(
        self, tokenizer: Any, template: str | None, max_tokens_per_text: int | None, max_length: int
    ) -> None:
        """Raises `ModelError` if the tokenizer or the template cannot make one input of two."""
        if not tokenizer.is_fast:
            raise ModelError("the checkpoint has no fast tokenizer; save it with a tokenizer.json")
        self._tokenizer: Tokenizer = tokenizer.backend_tokenizer
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._unknown: int | None = tokenizer.unk_token_id
        self._max_tokens_per_text = max_tokens_per_text
        self._frame = (
            Frame.of_tokenizer(self._tokenizer)
            if template is None
            else Frame.of_template(template, self._tokenizer)
        )
        if self._frame.tokens == 0:
            raise ModelError(
                "nothing would separate the two texts: the tokenizer joins pairs without a special "
                "token. Set pair_template, or equivalence_template in the checkpoint's config"
            )
        self.max_length = max_length
        self._room = max_length - self._frame.tokens
        if self._room < 2:
            raise ModelError(
                f"max_length is {max_length}: special tokens leave no room for two texts; raise it"
            )

    def encode(
        self, pairs: Sequence[tuple[str, str]], ids: dict[str, IntArray] | None = None
    ) -> list[EncodedPair]:
        """Each distinct text is cut into tokens once.

        `ids`: the tokens of texts that were cut before; those of the others are put in.
        """
        ids = {} if ids is None else ids
        texts = list(dict.fromkeys(text for pair in pairs for text in pair if text not in ids))
        encodings = self._tokenizer.encode_batch(texts, add_special_tokens=False)
        for text, encoding in zip(texts, encodings, strict=True):
            ids[text] = np.asarray(encoding.ids, dtype=np.int64)
        alike = [a != b and np.array_equal(ids[a], ids[b]) for a, b in pairs]
        suspects = {text for pair, same in zip(pairs, alike, strict=True) if same for text in pair}
        readings = readings_of(self._tokenizer, suspects, self._unknown)
        return [
            self._joined(ids[a], ids[b], same and confused(readings[a], readings[b]))
            for (a, b), same in zip(pairs, alike, strict=True)
        ]

    def _joined(self, a: IntArray, b: IntArray, confused: bool) -> EncodedPair:
        frame = self._frame
        whole = len(a), len(b)
        kept = self._fit(*whole)
        start = frame.before.shape[1]
        end = start + kept[0]
        split = end + frame.between.shape[1]
        sequence = np.empty((2, sum(kept) + frame.tokens), dtype=np.int64)
        sequence[:, :start] = frame.before
        sequence[0, start:end] = a[: kept[0]]
        sequence[:, end:split] = frame.between
        sequence[0, split : split + kept[1]] = b[: kept[1]]
        sequence[:, split + kept[1] :] = frame.after
        sequence[1, start:end], sequence[1, split : split + kept[1]] = frame.segments
        return EncodedPair(sequence, kept != whole, split, confused)

    def _fit(self, a: int, b: int) -> tuple[int, int]:
        """Tokens kept of each side: its own budget, then the longer one gives way.

        The same cut as tokenizers' `longest_first`: an odd token goes to the longer side.
        """
        if self._max_tokens_per_text is not None:
            a, b = min(a, self._max_tokens_per_text), min(b, self._max_tokens_per_text)
        if a + b <= self._room:
            return a, b
        shorter = min(a, b, self._room // 2)
        longer = self._room - shorter
        return (longer, shorter) if a > b else (shorter, longer)


def _piece(ids: Sequence[int], segments: Sequence[int]) -> IntArray:
    return np.asarray([ids, segments], dtype=np.int64)
