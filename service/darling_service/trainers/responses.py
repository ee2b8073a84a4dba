"""The response in what a trainer sends, without the prompt and without special tokens."""

import re

ANYWHERE = re.compile(r"<\|[^|<>\s]{1,40}\|>|<｜[^｜<>\s]{1,40}｜>")
"""Special tokens that are removed everywhere, such as <|im_end|>: nobody writes them by hand."""
AT_AN_END = re.compile(
    r"(?:</?s>|<(?:pad|unk|bos|eos|cls|sep)>|<(?:start|end)_of_turn>|\[(?:PAD|CLS|SEP|EOS|BOS)\])"
)
"""Special tokens that are removed only at the ends of a text: inside they may belong to it, as
HTML's <s> does."""
MIN_OVERLAP_CHARS = 8
"""Characters of a prompt cut from the left by which it is recognised; fewer may match by chance."""


def clean(text: str) -> str:
    """The text without special tokens."""
    text = ANYWHERE.sub("", text)
    while True:
        stripped = text.strip()
        if token := AT_AN_END.match(stripped):
            text = stripped[token.end() :]
        elif (last := _last(stripped)) is not None:
            text = stripped[:last]
        else:
            return stripped


def response_of(query: str, prompt: str) -> str | None:
    """The clean response in `query`, which is prompt and response as decoded by the trainer.

    The decoded prompt may have other special tokens in front, or be cut from the left. None if even
    so the query does not start with the prompt.
    """
    if query.startswith(prompt):
        return clean(query[len(prompt) :])
    bare_query, bare_prompt = (ANYWHERE.sub("", text).lstrip() for text in (query, prompt))
    while token := AT_AN_END.match(bare_query):
        bare_query = bare_query[token.end() :].lstrip()
    while token := AT_AN_END.match(bare_prompt):
        bare_prompt = bare_prompt[token.end() :].lstrip()
    if bare_prompt and bare_query.startswith(bare_prompt):
        return clean(bare_query[len(bare_prompt) :])
    overlap = _overlap(prompt, query)
    return clean(query[overlap:]) if overlap >= MIN_OVERLAP_CHARS else None


def _last(text: str) -> int | None:
    """Index at which a special token at the end of the text begins; None if there is none."""
    tail = text[-16:]
    for token in AT_AN_END.finditer(tail):
        if token.end() == len(tail):
            return len(text) - len(tail) + token.start()
    return None


def _overlap(prompt: str, query: str) -> int:
    """Length of the longest end of `prompt` that `query` starts with (Knuth-Morris-Pratt)."""
    pattern = query[: len(prompt)]
    if not pattern:
        return 0
    fallback = [0] * len(pattern)
    k = 0
    for i in range(1, len(pattern)):
        while k and pattern[i] != pattern[k]:
            k = fallback[k - 1]
        k += pattern[i] == pattern[k]
        fallback[i] = k
    k = 0
    for character in prompt:
        while k and (k == len(pattern) or character != pattern[k]):
            k = fallback[k - 1]
        k += character == pattern[k]
    return k
