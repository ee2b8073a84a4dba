"""Token ids as text, and as the messages of those who wrote them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from darling_client._types import Response


def decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    """The text of the ids with its special tokens, which mark channels of reasoning and turns. The
    service leaves them out; those that only this tokenizer knows are left out at the end here."""
    text: str = tokenizer.decode(ids, skip_special_tokens=False)
    marks = [getattr(tokenizer, f"{name}_token", None) for name in ("eos", "pad")]
    ends = tuple(str(mark) for mark in marks if mark)
    text = text.rstrip()
    while end := next((end for end in ends if text.endswith(end)), None):
        text = text.removesuffix(end).rstrip()
    return text


def response(tokenizer: Any, ids: Sequence[int], own: Sequence[Any] | None) -> Response:
    """The response in the ids: a text, or messages where tools wrote some of them.

    `own`: for each id whether the policy wrote it; None if it wrote all of them.
    """
    if own is None or all(own) or len(own) != len(ids):
        return decoded(tokenizer, ids)
    runs = groupby(zip(map(bool, own), ids, strict=True), key=itemgetter(0))
    return [
        {
            "role": "assistant" if is_own else "tool",
            "content": decoded(tokenizer, [token for _, token in run]),
        }
        for is_own, run in runs
    ]


def in_turns(turns: Sequence[Response]) -> Response:
    """The response of several turns, of which nobody kept what the environment said between."""
    if len(turns) == 1:
        return turns[0]
    messages: list[Mapping[str, Any]] = []
    for turn in turns:
        between = [{"role": "tool", "content": ""}] if messages else []
        own = [{"role": "assistant", "content": turn}] if isinstance(turn, str) else turn
        messages += [*between, *own]
    return messages
