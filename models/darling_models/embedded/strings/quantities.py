"""The numbers of a text as values: with sign, in words, as fractions, with units, times and dates.

`1,000`, `1000.0` and "one thousand" are one value; `1.5 km` and `1500 m` one quantity; `1:45 PM`
and `13:45` one time of day. Everything takes time linear in the text.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite, nan

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
SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
WORDS: dict[str, float] = {
    **{word: float(value) for value, word in enumerate(SMALL)},
    **{word: float(value) for value, word in zip(range(20, 100, 10), TENS, strict=True)},
    "dozen": 12.0,
    "once": 1.0,
    "twice": 2.0,
}
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
UNITS: dict[str, tuple[str, float]] = {
    name: (dimension, factor)
    for dimension, units in {
        "length": {
            "km kilometre kilometres kilometer kilometers": 1e3,
            "m metre metres meter meters": 1.0,
            "cm centimetre centimetres centimeter centimeters": 1e-2,
            "mm millimetre millimetres millimeter millimeters": 1e-3,
            "mi mile miles": 1609.344,
            "ft foot feet": 0.3048,
            "inch inches": 0.0254,
            "yd yard yards": 0.9144,
        },
        "mass": {
            "kg kilo kilos kilogram kilograms": 1e3,
            "g gram grams gm": 1.0,
            "mg milligram milligrams": 1e-3,
            "tonne tonnes": 1e6,
            "lb lbs pound pounds": 453.59237,
            "oz ounce ounces": 28.349523,
        },
        "time": {
            "s sec secs second seconds": 1.0,
            "min mins minute minutes": 60.0,
            "h hr hrs hour hours": 3600.0,
            "day days": 86400.0,
            "week weeks": 604800.0,
        },
        "years": {"month months": 1.0, "year years yr yrs": 12.0},
        "volume": {
            "l litre litres liter liters": 1.0,
            "ml millilitre millilitres milliliter milliliters": 1e-3,
            "cl": 1e-2,
        },
        "share": {"% percent percentage pct": 1e-2},
        "dollar": {"$ dollar dollars usd": 1.0, "cent cents": 1e-2},
        "euro": {"€ euro euros eur": 1.0},
        "sterling": {"£ gbp": 1.0},
        "warmth": {"°c celsius": 1.0},
        "fahrenheit": {"°f fahrenheit": 1.0},
        "data": {"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "byte bytes": 1.0},
        "speed": {"km/h kph": 1.0, "mph": 1.609344, "m/s": 3.6},
    }.items()
    for names, factor in units.items()
    for name in names.split()
}
"""The dimension of a unit and how many base units it is."""


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
DIGITS = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
QUANTITY = re.compile(
    rf"""
    (?P<year>\d{{4}})-(?P<month>\d{{2}})-(?P<day>\d{{2}})(?!\d)
  | (?<![\d.,:])(?P<hour>\d{{1,2}})(?:[:h](?P<minute>\d{{2}})(?![\d:])|(?=[ ]?[ap]\.?m\b)
      |\.(?P<after>\d{{2}})(?=[ ]?[ap]\.?m\b))(?:[ ]?(?P<half>[ap])\.?m\b)?
  | (?:(?<![\w.)\]}}])(?P<sign>[-+]))?(?P<money>[$€£][ ]?)?
    (?<!\d)(?<!\d\.)(?P<number>{DIGITS})(?:[ ]?/[ ]?(?P<below>\d{{1,9}})(?![\d.]))?
    (?:(?P<suffix>st|nd|rd|th)\b)?
    (?:[ -]?(?P<scale>{SCALE})\b)?
    (?:[ -]?(?P<unit>{UNIT}){AFTER})?
  | {BEFORE}(?P<words>{WORD}(?:(?:[ -]|[ ](?a:and)[ ]){WORD})*){AFTER}
    (?:[ -](?P<of>{UNIT}){AFTER})?
  | {BEFORE}(?P<name>{MONTH}){AFTER}
  """,
    re.IGNORECASE | re.VERBOSE,
)
LATEX_FRACTION = re.compile(r"\\[dt]?frac ?\{ ?(-?\d+) ?\}\{ ?(\d+) ?\}")
DOLLARS = re.compile(r"\$([^$\n]{1,300})\$(?!\d)")
"""A formula between dollar signs, which are no money."""
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
    if match["hour"]:
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
    base = value * factor
    time = (base, factor) if dimension == "time" else None
    return [Quantity(plain, f"{dimension}{base:.12g}")], time


def _clock(match: re.Match[str]) -> list[Quantity]:
    hour, minute = int(match["hour"]), int(match["minute"] or match["after"] or 0)
    half = (match["half"] or "").lower()
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


def _mixed(match: re.Match[str]) -> str:
    whole, above, below = map(int, match.groups())
    return match[0] if below == 0 or above >= below else _written(whole + above / below)


def _written(value: float) -> str:
    if value.is_integer() and abs(value) < MAX_EXACT:
        return str(int(value))
    return f"{value:.10g}"
