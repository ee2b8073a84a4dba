"""The numbers of a text as values: with sign, in words, as fractions, with units, times and dates.

`1,000`, `1000.0` and "one thousand" are one value; `1.5 km` and `1500 m` one quantity; `1:45 PM`
and `13:45` one time of day; "the 1990s" no seconds. Everything takes time linear in the text.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite, nan

from darling_models.embedded.strings.units import UNITS, ZEROS

MAX_DIGITS = 15
"""Characters of the longest number that is read as a value, exact in float64; a longer one is kept
as it is written."""

MAX_EXACT = 2.0**53
"""Integers below are exact in float64."""

UNDER_TWENTY = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
SMALL = UNDER_TWENTY.split()
FULL_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
TENS = FULL_TENS.split()
SCALES = {
    "hundred": 1e2,
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "trillion": 1e12,
    "bn": 1e9,
}
WORDS: dict[str, float] = {
    **{word: float(value) for value, word in enumerate(SMALL)},
    **{word: float(value) for value, word in zip(range(20, 100, 10), TENS, strict=True)},
    "dozen": 12.0,
    "once": 1.0,
    "twice": 2.0,
}
LETTERS = {"k": 1e3, "m": 1e6}
"""What a letter right behind a number multiplies it by."""
MONTHS = {
    name: number
    for number, names in enumerate(
        (
            *("january jan", "february feb", "march mar", "april apr", "may", "june jun"),
            *("july jul", "august aug", "september sept sep", "october oct", "november nov"),
            "december dec",
        ),
        start=1,
    )
    for name in names.split()
}


def _any_of(words: Iterable[str]) -> str:
    """A pattern for any of the words, longest first. ASCII cases only: with Unicode's, `i` and `s`
    match letters (`ı`, `ſ`) whose lower case is no key of the tables."""
    return f"(?a:{'|'.join(sorted(map(re.escape, words), key=len, reverse=True))})"


UNIT = _any_of(UNITS)
WORD = _any_of((*WORDS, *SCALES))
SCALE = _any_of(SCALES)
MONTH = _any_of(MONTHS)
BEFORE, AFTER = r"(?<![^\W\d_])", r"(?![^\W\d_])"
"""No letter stands there, of any alphabet: `3 gâteaux` are no grams."""
DIGITS = r"(?<!\d,)[1-9]\d{0,2}(?:,\d{3})+(?!\d|,\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
DECADES = "twenties thirties forties fifties sixties seventies eighties nineties"
TIES = {name: 20 + 10 * k for k, name in enumerate(DECADES.split())}
INITIALS = "".join(sorted({name[0] for name in (*WORDS, *SCALES, *TIES, *MONTHS, "noon")}))
QUANTITY = re.compile(
    rf"""
    (?=[-+$€£.'’\d]|{BEFORE}(?a:[{INITIALS}]))(?:  # what none begins with is passed over at once
    (?P<year>\d{{4}})-(?P<month>\d{{2}})-(?P<day>\d{{2}})(?!\d)
  | (?<![\d.,:$€£])(?P<decade>(?:1\d|20)\d0)['’]?s{AFTER}
  | (?:(?<=\bthe[ ])['’]?|(?<!\w)['’])(?P<ties>[1-9]0)['’]?s{AFTER}
  | {BEFORE}(?:nineteen[ -])?(?P<tens>{_any_of(TIES)}){AFTER}
  | {BEFORE}(?P<noon>noon|midday|midnight){AFTER}
  | (?<![\d.,:])(?P<hour>\d{{1,2}})(?:[:h](?P<minute>\d{{2}})(?![\d:])
      |(?=[ ]?[ap]\.?m\b|[ ]o'?clock\b)|\.(?P<after>\d{{2}})(?=[ ]?[ap]\.?m\b))
      (?:[ ]?(?P<half>[ap])\.?m\b)?
      (?:(?:[ ]o'?clock)?[ ]in[ ]the[ ](?P<part>morning|afternoon|evening)\b)?
  | (?:(?<![\w.)\]}}])(?P<sign>[-+]))?(?P<money>[$€£][ ]?)?
    (?<!\d)(?<!\d\.)(?P<number>{DIGITS})(?:[ ]?/[ ]?(?P<below>\d{{1,9}})(?![\d.]))?
    (?:(?P<suffix>st|nd|rd|th)\b)?
    (?:[ -]?(?P<scale>{SCALE})\b|(?P<letter>k|(?-i:M))\b)?
    (?:[ -]?(?P<unit>{UNIT}){AFTER})?
  | {BEFORE}(?P<words>{WORD}(?:(?:[ -]|[ ](?a:and)[ ]){WORD})*){AFTER}
    (?:[ -](?P<of>{UNIT}){AFTER})?
  | {BEFORE}(?P<name>{MONTH}){AFTER})
  """,
    re.IGNORECASE | re.VERBOSE,
)
MONTH_NAME = re.compile(
    rf"(?:{MONTH}|januar|februar|märz|mai|juni|juli|oktober|dezember){AFTER}", re.IGNORECASE
)
LATEX_FRACTION = re.compile(r"\\[dt]?frac ?\{ ?(-?\d+) ?\}\{ ?(\d+) ?\}")
DOLLARS = re.compile(r"\$([^$\n]{1,300})\$(?!\d)")
"""A formula between dollar signs, which are no money."""
LISTED = re.compile(
    r"(?=[\[{(\\])(?:\[|(?<![\w^}])\\?\{|(?<!hundred )(?<!thousand )(?<!million )\()"
    r"[\d\s,.+\-−'\"]*\\?[\]})]"
)
"""Numbers alone in brackets are a list: its commas part them and no thousands. Braces of a LaTeX
command hold one number, and so do parentheses after a number in words."""
DEGREES = re.compile(
    r"(?=[ ]?[d°])(?:[ ]?degrees?[ ]|[ ]?deg\.?[ ]|[ ]?°[ ]?)(c|f|k)(?:elsius|ahrenheit|elvin)?\b",
    re.I,
)
ENUMERATOR = re.compile(r"^[ \t]{0,8}(\d{1,2})[.)][ ](?=[ ]?[^\s.])", re.M)
HALVES = re.compile(
    rf"(?=[haq\d{''.join({name[0] for name in SMALL[1:13]})}]){BEFORE}"
    rf"(?:(?P<half>half|(?:a |one )?quarter of|three quarters of)(?:[ -]an?)?"
    rf"[ -](?P<of>{UNIT})"
    rf"|(?P<whole>an?|\d{{1,4}}|{_any_of(SMALL[1:13])})(?:[ ](?P<unit>{UNIT}))? and (?:a|one) half"
    rf"(?:[ ](?P<after>{UNIT}))?){AFTER}",
    re.IGNORECASE,
)
"""Half an hour, three quarters of a mile, two and a half litres, an hour and a half."""
MIXED = re.compile(r"(?<![\d./])(\d{1,6}) (\d{1,3})/(\d{1,3})(?![\d./])")
JOINED = re.compile(r"[\s,]{0,2}(?:and )?\s?")
"""What may stand between the parts of one quantity, as in "1 hour and 20 minutes"."""


@dataclass(frozen=True, slots=True)
class Quantity:
    value: str
    """The number as written, without its unit: `-5`, `0.5`, `t825` (a minute of the day), `m3` (a
    month)."""
    measure: str
    """The same in base units with its dimension, or `value` where it has no unit."""


def quantities(text: str) -> list[Quantity]:
    """The numbers of a text (as `plain_form.folded` writes it), in order."""
    text = LATEX_FRACTION.sub(r"\1/\2", text)
    text = MIXED.sub(_mixed, DOLLARS.sub(r"\1", text))
    text = LISTED.sub(lambda match: match[0].replace(",", ", "), text)
    text = HALVES.sub(_halved, DEGREES.sub(r" °\1", _unnumbered(text)))
    read: list[Quantity] = []
    open_time: tuple[float, float, int] | None = None
    for match in QUANTITY.finditer(text):
        quantity, time = _quantity(match)
        if (
            time is not None
            and open_time is not None
            and time[1] < open_time[1]
            and JOINED.fullmatch(text, open_time[2], match.start())
        ):
            total = open_time[0] + time[0]
            read[-1] = Quantity(read[-1].value, f"time{total:.12g}")
            open_time = (total, time[1], match.end())
            continue
        open_time = None if time is None else (*time, match.end())
        read.extend(quantity)
    return read


def _quantity(match: re.Match[str]) -> tuple[list[Quantity], tuple[float, float] | None]:
    """What a match says, and its seconds with those of its unit if it is a span of time."""
    if match["year"]:
        parts = (match["year"], f"m{int(match['month'])}", str(int(match["day"])))
        return [Quantity(part, part) for part in parts], None
    if match["decade"] or match["ties"] or match["tens"]:
        decade = int(match["decade"] or 1900 + int(match["ties"] or TIES[match["tens"].lower()]))
        return [Quantity(f"{decade}s", f"{decade}s")], None
    if match["hour"] or match["noon"]:
        return _clock(match), None
    if match["name"]:
        if match["name"] in ("may", "mar", "march"):
            return [], None  # a verb unless it is capitalised
        month = f"m{MONTHS[match['name'].lower()]}"
        return [Quantity(month, month)], None
    if match["words"]:
        value, unit = _spelled(match["words"].lower()), match["of"]
        if value is None:
            return [], None
    else:
        written = match["number"].replace(",", "")
        if len(written) > MAX_DIGITS:
            return [Quantity(written, written)], None
        value = float(written) * SCALES.get((match["scale"] or "").lower(), 1.0)
        value *= LETTERS.get((match["letter"] or "").lower(), 1.0)
        if match["below"]:
            value /= float(match["below"]) or nan
        if match["sign"] == "-":
            value = -value
        unit = match["unit"] or (match["money"] or "").strip()
    if not isfinite(value):
        return [], None
    plain = _written(value)
    if not unit:
        return [Quantity(plain, plain)], None
    dimension, factor = UNITS[unit.lower()]
    base = (value - ZEROS.get(unit.lower(), 0.0)) * factor
    time = (base, factor) if dimension == "time" else None
    return [Quantity(plain, f"{dimension}{base:.12g}")], time


def _clock(match: re.Match[str]) -> list[Quantity]:
    if match["noon"]:
        clock = "t0" if match["noon"].lower() == "midnight" else "t720"
        return [Quantity(clock, clock)]
    hour, minute = int(match["hour"]), int(match["minute"] or match["after"] or 0)
    half = (match["half"] or "").lower()
    if match["part"]:
        half = "a" if match["part"].lower() == "morning" else "p"
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    clock = f"t{hour * 60 + minute}"
    return [Quantity(clock, clock)]


def _spelled(words: str) -> float | None:
    """The value of number words; None for a lone "one", which mostly is a pronoun."""
    total = part = 0.0
    parts = [word for word in re.split(r"[ -]", words) if word != "and"]
    if parts == ["one"]:
        return None
    for word in parts:
        if word == "hundred":
            part = (part or 1.0) * 100
        elif word in SCALES:
            total, part = total + (part or 1.0) * SCALES[word], 0.0
        else:
            part += WORDS[word]
    return total + part


def _unnumbered(text: str) -> str:
    """The text without the number of its only list item, in which form answers are given. Numbers
    of several items stay: how many a text has tells something of it."""
    items = list(ENUMERATOR.finditer(text))
    if len(items) != 1 or items[0][1] != "1" or MONTH_NAME.match(text, items[0].end()):
        return text
    return text[: items[0].start()] + text[items[0].end() :]


def _halved(match: re.Match[str]) -> str:
    """`0.5 hour` and the like; "a half" of no unit stays as it is written."""
    if match["half"]:
        parts = {"half": 0.5, "three quarters of": 0.75}.get(match["half"].lower(), 0.25)
        return f"{parts} {match['of']}"
    unit, whole = match["unit"] or match["after"], match["whole"].lower()
    if whole in ("a", "an"):
        return f"1.5 {unit}" if match["unit"] else match[0]
    value = int(whole) if whole.isdigit() else int(WORDS[whole])
    return f"{value}.5 {unit or ''}"


def _mixed(match: re.Match[str]) -> str:
    whole, above, below = map(int, match.groups())
    return match[0] if below == 0 or above >= below else _written(whole + above / below)


def _written(value: float) -> str:
    if value.is_integer() and abs(value) < MAX_EXACT:
        return str(int(value))
    return f"{value:.10g}"
