"""The response in what a trainer sends as one text: prompt and response."""

from itertools import pairwise

from darling_models.texts.special_tokens import ANYWHERE, LEADING, end_of

MIN_OVERLAP_CHARS = 8
"""Characters of a prompt cut from the left by which it is recognised; fewer may match by chance."""


def response_of(query: str, prompt: str) -> str | None:
    """The response in `query`, which is prompt and response as decoded by the trainer.

    The decoded prompt may have other special tokens in front, or be cut from the left. None if even
    so the query does not start with the prompt.
    """
    if query.startswith(prompt):
        return query[len(prompt) :]
    bare_prompt, bare_query = ANYWHERE.sub("", prompt), ANYWHERE.sub("", query)
    bare_prompt = bare_prompt[end_of(LEADING, bare_prompt) :]
    start = end_of(LEADING, bare_query)
    if bare_prompt and bare_query.startswith(bare_prompt, start):
        return query[_place(query, start + len(bare_prompt)) :]
    overlap = _overlap(prompt, query)
    return query[overlap:] if overlap >= MIN_OVERLAP_CHARS else None


def _place(text: str, bare_place: int) -> int:
    """The place in `text` that has so many characters before it beside special tokens."""
    edges = [0, *(edge for token in ANYWHERE.finditer(text) for edge in token.span()), len(text)]
    for start, end in list(pairwise(edges))[::2]:
        if bare_place <= end - start:
            return start + bare_place
        bare_place -= end - start
    return len(text)


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
