"""What a quality function says of a rollout: a number, or a mapping of all that is known of it."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import compress
from typing import Any


@dataclass(frozen=True)
class Judgement:
    """What is known of one rollout; an objective needs some of it (docs/objectives.md)."""

    quality: float | None = None
    """The task's own reward."""
    correct: bool | None = None
    """The verdict of a verifier."""
    answer: str | None = None
    """The final answer."""
    logprob: float | None = None
    """Mean log-probability per token; adapters fill it in where the trainer has it."""
    solutions: list[list[float]] | None = None
    """The scores of each solution in the rollout, shape (m, k)."""
    reference: str | None = None
    """The right final answer, the same for the whole group."""


FIELDS = tuple(field.name for field in fields(Judgement))


async def judgements_of(
    rollouts: Sequence[tuple[Any, ...]], quality: Callable[..., Any]
) -> list[Judgement | None]:
    """`quality(*rollout)` for each of the rollouts. Awaitables it returns run concurrently.

    Raises what `judgement` raises.
    """

    async def one(row: int, rollout: tuple[Any, ...]) -> Judgement | None:
        value = quality(*rollout)
        if inspect.isawaitable(value):
            value = await value
        return judgement(value, row if len(rollouts) > 1 else None)

    return list(await asyncio.gather(*(one(*item) for item in enumerate(rollouts))))


def judgements(values: Any, completions: int) -> list[Judgement | None]:
    """What a quality function of a whole batch returned, one value for each completion.

    Raises `ValueError` for another number of values, and what `judgement` raises.
    """
    wanted = "return a list with a number, a mapping or None for each"
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__iter__"):
        raise ValueError(f"quality returned {values!r:.80} for {completions} completions; {wanted}")
    try:
        rows = list(values)
    except TypeError:  # a tensor without dimensions
        rows = [values]
    if len(rows) != completions:
        count = f"{len(rows)} value{'' if len(rows) == 1 else 's'}"
        raise ValueError(f"quality returned {count} for {completions} completions; {wanted}")
    return [judgement(value, row) for row, value in enumerate(rows)]


def judgement(value: Any, row: int | None = None) -> Judgement | None:
    """The value of a quality function for one rollout. `row`: its index, where it has siblings.

    None for a rollout that takes no part in its group: one whose quality is None or not finite.
    Raises `ValueError` that names the rollout and the field.
    """
    rollout = "a rollout" if row is None else f"rollout {row}"
    if isinstance(value, Mapping):
        return _of_mapping(value, rollout)
    if value is None:
        return None
    quality = number(value)
    if quality is None:
        raise ValueError(
            f"quality returned {value!r:.80} for {rollout}; return a number, a mapping with "
            f"some of {', '.join(FIELDS)}, or None for no signal"
        )
    return Judgement(quality) if math.isfinite(quality) else None


def _of_mapping(value: Mapping[str, Any], rollout: str) -> Judgement | None:
    if unknown := [name for name in value if name not in FIELDS]:
        raise ValueError(
            f"quality returned {', '.join(map(repr, unknown))} for {rollout}; a mapping may "
            f"hold {', '.join(FIELDS)}"
        )
    if not value:
        raise ValueError(
            f"quality returned an empty mapping for {rollout}; return None for no signal"
        )
    known: dict[str, Any] = {
        name: READERS[name](item, f"{name} of {rollout}")
        for name, item in value.items()
        if item is not None
    }
    if "quality" in value and not math.isfinite(known.get("quality", math.nan)):
        return None
    return Judgement(**known)


def with_logprob(
    known: Judgement | None, logprobs: Iterable[Any] | None, own: Iterable[Any] | None = None
) -> Judgement | None:
    """The judgement with the mean of the trainer's log-probabilities of the rollout's tokens, where
    it has no `logprob` of its own.

    `own`: for each token whether the policy wrote it; None if it wrote all of them. The judgement
    comes back as it is where the trainer has no log-probabilities or one of them is not finite.
    """
    if known is None or known.logprob is not None or logprobs is None:
        return known
    values = logprobs if own is None else compress(logprobs, own)
    numbers = [number(value) for value in values]
    finite = [value for value in numbers if value is not None and math.isfinite(value)]
    if not finite or len(finite) < len(numbers):
        return known
    return replace(known, logprob=sum(finite) / len(finite))


def number(value: Any) -> float | None:
    """A number of Python, NumPy or torch as a float; None for what is no single number."""
    item = getattr(value, "item", None)
    if callable(item):
        try:
            value = item()
        except (TypeError, ValueError, RuntimeError):
            return None
    if isinstance(value, str | bytes):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _number(value: Any, name: str) -> float:
    as_float = number(value)
    if as_float is None:
        raise ValueError(f"{name} is {value!r:.80}; give a number")
    return as_float


def _finite(value: Any, name: str) -> float:
    as_float = _number(value, name)
    if not math.isfinite(as_float):
        raise ValueError(f"{name} is {as_float}; give a finite number, or None")
    return as_float


def _verdict(value: Any, name: str) -> bool:
    as_float = number(value)
    if as_float not in (0.0, 1.0):
        raise ValueError(f"{name} is {value!r:.80}; give true, false, 1 or 0")
    return bool(as_float)


def _text(value: Any, name: str) -> str:
    value = getattr(value, "item", lambda: value)() if not isinstance(value, str) else value
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"{name} is {value!r:.80}; give a text")


def _scores(value: Any, name: str) -> list[list[float]]:
    rows = [_listed(row) for row in _listed(value) or [None]]
    if None in rows:
        raise ValueError(f"{name} is {value!r:.80}; give a list of the scores of each solution")
    return [[_finite(score, f"a score in {name}") for score in row or []] for row in rows]


def _listed(value: Any) -> list[Any] | None:
    """A list, tuple, array or tensor as a list; None for anything else."""
    to_list = getattr(value, "tolist", None)
    value = to_list() if callable(to_list) else value
    return list(value) if isinstance(value, list | tuple) else None


READERS: dict[str, Callable[[Any, str], Any]] = {
    "quality": _number,
    "correct": _verdict,
    "answer": _text,
    "logprob": _finite,
    "solutions": _scores,
    "reference": _text,
}
"""How each field of a mapping is read."""
