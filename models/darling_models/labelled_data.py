"""Labelled data: human pairs, and groups partitioned by a teacher.

Both are JSON lines, plain or .gz. Human pairs: `prompt`, `generation_0`, `generation_1`, `similar`
(0 or 1), `labeler`. Groups: `prompt`, `generations`, `partition`.
"""

import gzip
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from darling_models.protocol import IntArray

Row = TypeVar("Row")

MIN_PROMPTS = 10
"""With either label: enough for every fold of a cross-validation to hold both."""


@dataclass(frozen=True, slots=True)
class HumanPair:
    prompt: str
    a: str
    b: str
    similar: bool
    labeler: str


@dataclass(frozen=True, slots=True)
class TeacherGroup:
    prompt: str
    texts: tuple[str, ...]
    partition: IntArray


def read_pairs(path: Path) -> list[HumanPair]:
    """Raises `ValueError` if a line lacks a field or is no object."""
    return read(
        path,
        lambda row: HumanPair(
            row["prompt"],
            row["generation_0"],
            row["generation_1"],
            bool(row["similar"]),
            str(row.get("labeler", "unknown")),
        ),
    )


def read_groups(path: Path) -> list[TeacherGroup]:
    """Raises `ValueError` if a line lacks a field or is no object."""
    return read(
        path,
        lambda row: TeacherGroup(
            row["prompt"],
            tuple(row["generations"]),
            np.asarray(row["partition"], dtype=np.int64),
        ),
    )


def read(path: Path, make: Callable[[dict[str, Any]], Row]) -> list[Row]:
    """What `make` makes of each line. Raises `ValueError` if the lines are of another kind."""
    try:
        return [make(row) for row in read_rows(path)]
    except KeyError as error:
        raise ValueError(f"{path} has a line without the field {error}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not JSON lines of objects: {error}") from None


def check_enough(pairs: Sequence[HumanPair]) -> None:
    """Raises `ValueError` if a head cannot be fitted and cross-validated on these pairs."""
    for similar, name in ((True, "similar"), (False, "different")):
        prompts = {pair.prompt for pair in pairs if pair.similar == similar}
        if len(prompts) < MIN_PROMPTS:
            raise ValueError(
                f"{len(prompts)} prompts with {name} pairs are too few to train on; label at "
                f"least {MIN_PROMPTS}"
            )


def kept_aside(labelled: Iterable[tuple[str, bool]], share: float, seed: int) -> set[str]:
    """About `share` of the prompts with similar pairs, and of those with different ones."""
    by_label: dict[bool, set[str]] = {True: set(), False: set()}
    for prompt, similar in labelled:
        by_label[similar].add(prompt)
    random = np.random.default_rng(seed)
    held: set[str] = set()
    for prompts in by_label.values():
        order = random.permutation(len(prompts))[: round(share * len(prompts))]
        held |= {sorted(prompts)[k] for k in order.tolist()}
    return held


def folds(prompts: list[str], count: int, seed: int) -> NDArray[np.int64]:
    """A fold for each row, the same for equal prompts, shape (rows,); folds of even size."""
    distinct = sorted(set(prompts))
    order = np.random.default_rng(seed).permutation(len(distinct))
    fold = {prompt: int(place) % count for prompt, place in zip(distinct, order, strict=True)}
    return np.asarray([fold[prompt] for prompt in prompts], dtype=np.int64)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON lines file, plain or .gz."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    return [json.loads(line) for line in content.splitlines()]
