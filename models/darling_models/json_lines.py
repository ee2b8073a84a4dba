"""JSON lines: files of one JSON object a line, plain or .gz.

Blank lines are skipped and counted. Errors name the file and the line.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar, cast

Row = TypeVar("Row")


def read(path: Path, make: Callable[[dict[str, Any]], Row]) -> list[Row]:
    """What `make` makes of the object on each line.

    Raises `OSError` if the file cannot be opened, and `ValueError` naming file and line if a line
    is not a JSON object, or if `make` raises `KeyError` (the field is missing), `ValueError`,
    `TypeError` or `AttributeError` over it.
    """
    rows = []
    with open_lines(path) as lines:
        for number, line in numbered(lines):
            try:
                rows.append(make(_object(line)))
            except KeyError as error:
                raise ValueError(f"{path}, line {number}: no field {error}") from None
            except (ValueError, TypeError, AttributeError) as error:
                raise ValueError(f"{path}, line {number}: {error}") from None
    return rows


def open_lines(path: Path) -> IO[bytes]:
    """The file for reading, unpacked if its name ends in .gz. Raises `OSError`."""
    return cast(IO[bytes], gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def numbered(lines: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """(number from 1, line) of every line that is not blank.

    Raises `ValueError` if the lines come from a .gz file that is damaged or cut off.
    """
    try:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{lines.name} cannot be unpacked: {error}") from None


def cut_incomplete_line(path: Path) -> None:
    """Cuts off what follows the last newline: the line that a killed run was writing."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        complete = sum(len(line) for line in file if line.endswith(b"\n"))
        file.truncate(complete)


def text(row: dict[str, Any], field: str) -> str:
    """A field that holds a text. Raises `KeyError` or `ValueError`."""
    value = row[field]
    if not isinstance(value, str):
        raise ValueError(f"the field {field!r} is not a text")
    return value


def texts(row: dict[str, Any], field: str) -> tuple[str, ...]:
    """A field that holds a list of texts. Raises `KeyError` or `ValueError`."""
    value = row[field]
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"the field {field!r} is not a list of texts")
    return tuple(value)


def _object(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not valid JSON: {error}") from None
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    return row
