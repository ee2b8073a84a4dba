"""The outline of a JSON text, read before it is parsed: how deep and how long its lists and objects
are, and where the items of one list lie.

Parsing and validating make objects and errors of up to a thousand times the text's size, in one
call that holds the interpreter's lock. So a large text is measured first, and the items of its
main list are then validated one by one.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

from darling_models.faults import Loc
from darling_service.errors import BadRequest, FieldError, Invalid

SMALL_BYTES = 2**16
"""Bytes up to which a text may be parsed without an outline, within a millisecond."""
SMALL_MARKS = 2**12
"""Commas and opening brackets up to which, likewise; each may become a value or an error."""

MAX_DEPTH = 64
"""Lists and objects inside each other. A request needs 8; trainers send more in fields of their
own."""
MAX_ITEMS = 2**17
"""Items of a list: twice the default of `max_pairs`, the highest of the limits on lists."""
MAX_MEMBERS = 2**10
"""Members of an object. An unknown one takes about 2 KB as an error."""
MAX_VALUES = 2**18
"""Values that are validated in one call, which takes about 0.1 s. A group of 512 rollouts with six
fields each has 4,000."""

MAX_STRING_BYTES = 2**23
"""Bytes of a string, which are decoded in one call. Escaped, 200,000 emoji take 2.4 MB."""
MAX_GAP_BYTES = 2**18
"""Bytes between two marks: a number, white space and short strings."""

NEXT_MARK = re.compile(
    rb'[^"\[\]{},]*+(?:"[^"\\]{0,200}+"[^"\[\]{},]*+){0,4}+["\[\]{},]'  # past short strings
)
NAME_BEFORE = re.compile(rb'"((?:[^"\\]|\\.){0,100})"\s*:\s*\Z', re.S)
QUOTE, BACKSLASH, COMMA, OPEN_LIST, OPEN_OBJECT = b'"\\,[{'


@dataclass(slots=True)
class Container:
    """A list or an object that has been opened and not closed."""

    start: int
    """Where its bracket is."""
    is_object: bool
    most: int
    """Items that it may have."""
    length: int = 1
    """Items that have begun; also 1 while there is none."""


def is_small(raw: bytes) -> bool:
    """Whether a text is parsed within milliseconds, whatever is in it."""
    if len(raw) > SMALL_BYTES:
        return False
    return sum(raw.count(mark) for mark in (b",", b"[", b"{")) <= SMALL_MARKS


def items_of(raw: bytes, field: str) -> list[slice]:
    """Where the items of the list `field` of the outermost object lie; empty if there is none.

    Raises `Invalid`, which names what is over a limit, or `BadRequest`. A text that is not JSON may
    have an outline too: parsing its items, or the text without them, then fails.
    """
    cuts: list[int] = []
    stack: list[Container] = []
    position = values = 0
    in_list = False
    while match := NEXT_MARK.match(raw, position, position + MAX_GAP_BYTES):
        position = match.end()
        at = position - 1
        mark = raw[at]
        if mark == COMMA:
            values += 1
            if in_list and len(stack) == 2:
                cuts.append(at)
                values = 0
            if stack:
                stack[-1].length += 1
                if stack[-1].length > stack[-1].most:
                    raise _over(raw, stack, f"has more than {stack[-1].most} items")
        elif mark == QUOTE:
            position = _end_of_string(raw, position)
            if position - at > MAX_STRING_BYTES:
                raise _over(raw, stack, f"has a text of more than {MAX_STRING_BYTES} bytes")
        elif mark == OPEN_OBJECT:
            values += 1
            stack.append(Container(at, True, MAX_MEMBERS))
        elif mark == OPEN_LIST:
            values += 1
            if len(stack) == 1 and stack[0].is_object and _name_before(raw, at) == field:
                if cuts:
                    raise _over(raw, stack, f"has {field} twice; drop one of them")
                cuts, values, in_list = [at], 0, True
            stack.append(Container(at, False, MAX_ITEMS))
        elif stack:
            if in_list and len(stack) == 2:
                cuts.append(at)
                values, in_list = 0, False
            stack.pop()
        if values > MAX_VALUES:
            raise _over(raw, stack[: 3 if in_list else 1], f"holds more than {MAX_VALUES} values")
        if len(stack) > MAX_DEPTH:
            raise _over(raw, stack[:1], f"is nested more than {MAX_DEPTH} deep")
    if position + MAX_GAP_BYTES < len(raw):
        raise BadRequest(
            f"the body is not valid JSON: from byte {position} on, {MAX_GAP_BYTES} bytes are one "
            "number or white space"
        )
    return [slice(start + 1, end) for start, end in pairwise(cuts)]


def _end_of_string(raw: bytes, start: int) -> int:
    """One past the quotation mark that ends the string of which `start` is the first character.

    One past the longest string, or past the text, if none does.
    """
    position, end = start, min(start + MAX_STRING_BYTES, len(raw))
    while (quote := raw.find(b'"', position, end)) >= 0:
        slash = quote
        while slash > start and raw[slash - 1] == BACKSLASH:
            slash -= 1
        if (quote - slash) % 2 == 0:
            return quote + 1
        position = quote + 1
    return end + 1


def _name_before(raw: bytes, position: int) -> str:
    """The name of the field whose value begins at a position."""
    match = NAME_BEFORE.search(raw, max(position - 200, 0), position)
    return match.group(1).decode(errors="replace") if match else ""


def _over(raw: bytes, stack: list[Container], message: str) -> Invalid:
    """The fault of the innermost of some containers."""
    place: Loc = ()
    for outer, inner in pairwise(stack):
        place += (_name_before(raw, inner.start) if outer.is_object else outer.length - 1,)
    return Invalid([FieldError(place, f"{message}; send less in one request")])
