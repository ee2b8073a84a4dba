"""The description of a text: what is found in it, by plain expressions that are slow on some texts.

The expressions say what is meant; on a run of newlines or quotes they take time that grows with the
square of its length. The code that is used takes linear time and must find the same.
"""

import re
import zlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from darling_models.embedded import description
from darling_models.embedded.description import describe
from darling_models.embedded.encoder import TokenizedText
from darling_models.embedded.late_interaction import Lexicon

EMPHASIS = re.compile(r"\*\*(.+?)\*\*|[\"“](.+?)[\"”]")
BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s", re.M)
HEADING = re.compile(r"^\s*#{1,6}\s|^\*\*[^*\n]+\*\*:?\s*$", re.M)

pieces = st.sampled_from(
    [
        *("\n", "\n", "\n\n", " ", "\t", "\r", "\r\n", "\v", "\x85", "\u2028", "\x1c", "\u200b"),
        *('"', "“", "”", "**", "*", "***", "_", "`", "'", "’", ")", "(", "\\", "$", ":"),
        *("- ", "* ", "•", "• ", "1. ", "12) ", "3.", "-", "# ", "### ", "#######", "#"),
        *(".", "!", "?", "。", "！", "？", ". ", '." '),
        *("a", "word", "Word", "two words", "it's", "7", "3.14", "你好", "é", "🦄", "e\u0301"),
        *("**Bold**", "**Head**:", "“quoted”", '"said"', "- item\n", "## Head\n", "\n1. one\n"),
    ]
)
texts = st.lists(pieces, max_size=30).map("".join)


@settings(max_examples=1000)
@given(texts)
def test_linear_code_finds_what_the_plain_expressions_find(text: str) -> None:
    spans = [span for line in text.split("\n") for span in description.emphasised(line)]
    assert spans == [span for match in EMPHASIS.findall(text) for span in match if span]
    assert len(description.BULLET.findall(text)) == len(BULLET.findall(text))
    assert len(description.HEADING.findall(text)) == len(HEADING.findall(text))


def test_headings_bullets_emphasis_and_sentences_are_seen() -> None:
    text = '# Plan\n\n- **one** thing\n  2) "two" things\n**Then:**\nFirst we go. Then we rest.'
    ids = np.arange(len(text))
    width = 4
    lexicon = Lexicon(
        idf=np.ones(len(text), dtype=np.float32),
        token_mean=np.zeros(width, dtype=np.float32),
        projection=np.eye(width, dtype=np.float32),
        salience=np.zeros(width + 1, dtype=np.float32),
    )
    vectors = np.random.default_rng(0).normal(size=(len(text), width)).astype(np.float32)
    described = describe(text, TokenizedText(ids, ids), vectors, lexicon)
    counts = dict(zip(description.SHAPE, np.expm1(described.shape).round().tolist(), strict=True))
    assert (counts["lines"], counts["bullets"], counts["headings"]) == (5, 2, 2)
    words = [zlib.crc32(word.encode()) for word in ("one", "two", "then")]
    assert set(described.sets["emphasis"].tolist()) == set(words)
    assert len(described.keys.codes) == 6
