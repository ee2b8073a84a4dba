"""A text as the published DARLING client sends it to its classifier."""

MAX_WORDS = 2046
"""White-space words of a text that the published client sends: half of its 4,096 tokens, less the
special ones, although it counts words (facebookresearch/darling, partition_reward_vllm_serve.py).
"""


def published_text(text: str) -> str:
    """The text's first 2,046 words with one space between them; reasoning is part of the text."""
    return " ".join(text.split(maxsplit=MAX_WORDS)[:MAX_WORDS])
