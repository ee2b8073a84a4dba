"""Types of values that requests and files have in common: unions told apart by tags, and lists."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import Field

# Tags of unions. They occur in pydantic's error paths; `faults.faults_of` drops them.
TEXT, MESSAGES, OBJECT, NUMBER, PARTS = "#text", "#messages", "#object", "#number", "#parts"
TAGS = frozenset({TEXT, MESSAGES, OBJECT, NUMBER, PARTS})

Item = TypeVar("Item")
Items = Annotated[list[Item], Field(fail_fast=True)]
"""A list that is left at its first bad item, so that a million bad ones are one error."""


def text_or(tag: str) -> Callable[[Any], str]:
    """A discriminator of two alternatives: text, and whatever `tag` stands for."""
    return lambda value: TEXT if isinstance(value, str) else tag
