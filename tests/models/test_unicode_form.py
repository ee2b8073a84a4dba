"""The compatibility form of words is Unicode's, also where a long word is normalised in pieces."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from darling_models.lexical import Exact
from darling_models.unicode_form import MAX_MARKS, PIECE_CHARS, compatible

letters = st.sampled_from(
    [
        *(
            "a",
            "é",
            "e\u0301",
            "q\u0307\u0323",
            "ﬁ",
            "①",
            "㎏",
            "\ufdfa",
            "你",
            "ｶﾞ",
            "가",
            "\u1112",
        ),
        *(
            "\u1161",
            "\u11ab",
            "\uffa1",
            "\uffc2",
            "\u09c7\u09be",
            "\u0e33",
            "\u0344",
            "🦄",
            "\u200d",
        ),
        *("\u00a8", "\u00b4", "\uff9e", "\u3099", "\u0301", "\u0316"),
    ]
)


@given(st.lists(letters, max_size=12).map("".join), st.integers(1, 40), st.integers(0, PIECE_CHARS))
def test_a_long_word_has_the_form_that_unicode_gives_it(unit: str, times: int, before: int) -> None:
    word = "x" * before + unit * times
    marks = [bool(unicodedata.combining(c)) for c in unicodedata.normalize("NFKD", word)]
    runs = "".join("m" if mark else " " for mark in marks).split()
    if max(map(len, runs), default=0) <= MAX_MARKS:
        assert compatible(word) == unicodedata.normalize("NFKC", word)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_exact_compares_the_form_of_the_whole_text(text: str) -> None:
    whole = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    assert Exact().features(text) == whole
