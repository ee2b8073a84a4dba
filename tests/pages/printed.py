"""Compares what a page shows with what was printed: words exactly, numbers to the digits shown."""

import re

NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w])")
ELISION = "..."
"""A shown line that stands for any number of printed lines, or a part of one that stands for any
characters."""
RELATIVE = 0.02
"""Share by which a printed number with decimals may differ from the shown one: the third digit of
a probability may be another on another processor."""


def differs(shown: str, printed: str) -> str | None:
    """What the page shows but was not printed there; None where both agree."""
    lines = [line.rstrip() for line in printed.strip().splitlines()]
    at, skipping = 0, False
    for line in shown.strip().splitlines():
        if line.strip() == ELISION:
            skipping = True
            continue
        places = range(at, len(lines)) if skipping else range(at, min(at + 1, len(lines)))
        place = next((place for place in places if same(line, lines[place])), None)
        if place is None:
            return f"the page shows\n{line}\nand printed was\n" + "\n".join(lines[at:][:12])
        at, skipping = place + 1, False
    if at < len(lines) and not skipping:
        return "the page does not show\n" + "\n".join(lines[at:])
    return None


def same(shown: str, printed: str) -> bool:
    """Whether two lines have the same words and spaces between them, and about the same numbers.

    ELISION inside the shown line stands for anything.
    """
    shown, printed = (" ".join(line.split()) for line in (shown, printed))
    numbers = NUMBER.findall(shown)
    pattern, start = "", 0
    for number in [*NUMBER.finditer(shown), None]:
        words = shown[start : number.start() if number else None]
        pattern += re.escape(words).replace(re.escape(ELISION), ".*?")
        if number:
            pattern += f"({NUMBER.pattern})"
            start = number.end()
    match = re.fullmatch(pattern, printed)
    return match is not None and all(map(_close, numbers, match.groups()))


def _close(shown: str, printed: str) -> bool:
    if "." not in shown and "e" not in shown:
        return shown == printed
    decimals = len(shown.partition(".")[2])
    difference = abs(float(shown) - float(printed))
    return difference <= max(1.01 * 10.0**-decimals, RELATIVE * abs(float(shown)))


def renewed(shown: str, printed: str) -> str:
    """The shown block with the printed lines in place of those with the same first word.

    Without an elision it is what was printed.
    """
    if ELISION not in (line.strip() for line in shown.splitlines()):
        return printed.strip("\n") + "\n"
    lines = printed.splitlines()
    first_word = {line.split()[0]: line.rstrip() for line in reversed(lines) if line.split()}
    return "".join(
        (first_word.get((line.split() or [""])[0], line)) + "\n" for line in shown.splitlines()
    )
