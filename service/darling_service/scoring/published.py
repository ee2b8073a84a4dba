"""The texts of a group as the published DARLING client sends them to its classifier."""

from collections.abc import Sequence

MAX_WORDS = 2046
"""White-space words of a text that the published client sends: half of its 4,096 tokens, less the
special ones, although it counts words (facebookresearch/darling, partition_reward_vllm_serve.py).
"""


def published_texts(texts: Sequence[str]) -> list[str]:
    """The texts' first 2,046 words with one space between them; reasoning is part of the text."""
    return [" ".join(text.split(maxsplit=MAX_WORDS)[:MAX_WORDS]) for text in texts]
