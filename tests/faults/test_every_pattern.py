"""Every regular expression of the packages takes time in proportion to the text, whatever it is.

The patterns are gathered from the modules, so that a new one is tried too. Each searches texts that
repeat one short unit, of its own characters or of `hostile`'s shapes, between two odd ends.
"""

import importlib
import pkgutil
import re
from collections import deque
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import darling_models
import darling_service
from tests.cpu_time import too_dear
from tests.faults.hostile import SHAPES, text_of

CHARACTERS = 1_000
"""Length of the shorter text; the longer one has ten times as many."""
EXAMPLES = 10
"""Units that Hypothesis makes up for each pattern."""
BOUNDED = frozenset(
    {
        "models.reasoning.ENDING",
        *("service.schemas.outline.NEXT_MARK", "service.schemas.outline.NAME_BEFORE"),
        *(f"models.embedded.strings.formulas.{name}" for name in ("SPAN", "LETTERED", "DECIMAL")),
    }
)
"""Patterns that the code lets read so many characters at most; here each matches once."""


def module_names() -> Iterator[str]:
    for package in (darling_models, darling_service):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                yield module.name


def patterns() -> dict[str, re.Pattern[str] | re.Pattern[bytes]]:
    """The patterns by module and name."""
    return {
        f"{module.removeprefix('darling_')}.{name}": value
        for module in module_names()
        for name, value in names_of(module).items()
        if isinstance(value, re.Pattern)
    }


def names_of(module: str) -> dict[str, object]:
    """What the module names; nothing where it needs Ray, which is not installed."""
    try:
        return vars(importlib.import_module(module))
    except ModuleNotFoundError as missing:
        if str(missing.name).partition(".")[0] != "ray":
            raise
        return {}


PATTERNS = patterns()


def searched(name: str, text: str) -> None:
    pattern = PATTERNS[name]
    subject = text.encode(errors="replace") if isinstance(pattern.pattern, bytes) else text
    if name in BOUNDED:
        pattern.match(subject)  # type: ignore[arg-type]
    else:
        deque(pattern.finditer(subject), maxlen=0)  # type: ignore[arg-type]


def dear(name: str, unit: str, start: str = "", end: str = "") -> str:
    little, much = (
        start + (unit * (size // len(unit) + 1))[:size] + end
        for size in (CHARACTERS, 10 * CHARACTERS)
    )
    return too_dear(lambda text: searched(name, text), little, much)


def test_the_patterns_are_found() -> None:
    assert len(PATTERNS) > 80


@pytest.mark.parametrize("name", PATTERNS)
def test_no_shape_is_dear(name: str) -> None:
    slow = {
        shape: measured
        for shape in SHAPES
        if (
            measured := too_dear(
                lambda text: searched(name, text),
                text_of(shape, CHARACTERS),
                text_of(shape, 10 * CHARACTERS),
            )
        )
    }
    assert not slow


@pytest.mark.parametrize("name", PATTERNS)
def test_no_repeated_unit_is_dear(name: str) -> None:
    pattern = PATTERNS[name].pattern
    own = pattern.decode() if isinstance(pattern, bytes) else pattern
    # Its own characters, and for its classes a letter, a digit, spaces and a line's end.
    characters = st.sampled_from(sorted({*own, *"aZ1 \t\n.,!"}))
    units = st.text(characters, min_size=1, max_size=5)
    ends = st.text(characters, max_size=2)

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(units, ends, ends)
    def check(unit: str, start: str, end: str) -> None:
        assert not dear(name, unit, start, end)

    check()
