"""JSON lines: files of one JSON object a line in UTF-8, plain or compressed with gzip.

Blank lines are skipped and counted; a byte order mark is no part of a line. Errors name the file
and the line.
"""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from darling_models import fields

Row = TypeVar("Row")

GZIP = b"\x1f\x8b"
"""First bytes of a gzip file, whatever its name."""
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
"""How JSON writes half a character, alone or in a pair; UTF-8 itself cannot."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What Windows programs put at the start of a UTF-8 file, and `cat` then in the middle of one."""


def read(
    path: Path | str,
    make: Callable[[dict[str, Any]], Row],
    *,
    may_be_empty: bool = False,
    opened: Callable[[str], IO[bytes]] | None = None,
) -> list[Row]:
    """What `make` makes of the object on each line. `opened` opens what is no path of this machine.

    Raises `OSError` if the file cannot be opened. Raises `ValueError` naming the file if it holds
    no line, unless it `may_be_empty`; and naming file and line if a line is not a JSON object, if
    any of its texts holds a lone surrogate, or if `make` raises `ValueError` over it.
    """
    rows = [row for _, row in each(path, make, opened)]
    if not rows and not may_be_empty:
        raise ValueError(f"{path} is empty; write one JSON object a line")
    return rows


def each(
    path: Path | str,
    make: Callable[[dict[str, Any]], Row],
    opened: Callable[[str], IO[bytes]] | None = None,
) -> Iterator[tuple[int, Row]]:
    """(number from 1, what `make` makes of the object) of each line, read as it is asked for.

    Raises what `read` raises, but for an empty file.
    """
    with open_lines(Path(path)) if opened is None else opened(str(path)) as lines:
        for number, line in numbered(lines):
            try:
                row = parse(line)
                if SURROGATE.search(line):
                    fields.check_characters(row)
                made = make(row)
            except RecursionError:
                raise ValueError(f"{path}, line {number}: nested too deeply; flatten it") from None
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: {error}") from None
            yield number, made


def open_lines(path: Path) -> IO[bytes]:
    """The file for `numbered`. Raises `OSError`."""
    return path.open("rb")


def numbered(lines: IO[bytes], first: int = 1) -> Iterator[tuple[int, bytes]]:
    """(number, line) of every line that is not blank, without white space around it.

    `first`: number of the first line. Unpacks and raises as `raw` does.
    """
    for number, line in enumerate(raw(lines), start=first):
        if content := line.removeprefix(BYTE_ORDER_MARK).strip():
            yield number, content


def raw(lines: IO[bytes]) -> Iterator[bytes]:
    """Every line as it stands, with what ends it.

    A file, or standard input, is unpacked if its first bytes are those of gzip; they are read when
    the first line is asked for. Raises `ValueError` if what is packed is damaged or cut off.
    """
    if isinstance(lines, BufferedReader) and lines.peek(len(GZIP)).startswith(GZIP):
        rows = cast(IO[bytes], gzip.GzipFile(fileobj=lines))
    else:
        rows = lines
    try:
        yield from rows
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{lines.name} cannot be unpacked: {error}; copy it again") from None


def parse(line: bytes) -> dict[str, Any]:
    """The JSON object on a line. Raises `ValueError` if it holds none."""
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(
            f"not UTF-8: byte 0x{line[error.start]:02x} at position {error.start + 1}; save the "
            "file as UTF-8"
        ) from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not valid JSON: {error}") from None
    if not isinstance(row, dict):
        raise ValueError("not a JSON object; write one in {} on each line")
    return row


def cut_incomplete_line(path: Path) -> None:
    """Makes a file ready to be appended to: it is empty, or ends in a newline.

    Cuts off the line that a killed run was writing, which begins as a JSON object and does not end.
    A whole object gets its newline. Raises `ValueError`, and leaves the file as it is, if the file
    is packed or ends in something else: then it is not one of ours.
    """
    if not path.exists():
        return
    with path.open("r+b") as file:
        if file.read(len(GZIP)) == GZIP:
            raise ValueError(f"{path} is packed with gzip, so nothing can be added; unpack it")
        file.seek(0)
        complete, last = 0, b""
        for line in file:
            complete, last = (
                (complete + len(line), b"") if line.endswith(b"\n") else (complete, line)
            )
        if not last.strip():
            file.truncate(complete)
        elif _is_object(last):
            file.write(b"\n")
        elif last.startswith(b"{"):
            file.truncate(complete)
        else:
            raise ValueError(f"{path} ends in something other than a JSON object")


def _is_object(line: bytes) -> bool:
    try:
        parse(line)
    except ValueError:
        return False
    return True
