"""The file that `darling-reward score` writes: one answer a line, in the order of the input.

Every answer says which line of which input it answers and by which options, so that an interrupted
run goes on where it stopped and never in a file that is about something else.
"""

import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any

import orjson

from darling_models import json_lines

PART = ".part"
"""Suffix of the file in which lines with an error are replaced, until it takes OUT's place."""


class ScoreError(ValueError):
    """The run cannot start or go on. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """An answer of an earlier run."""

    line: int
    """Number of the input line, from 1."""
    input: str
    """Digest of the input line."""
    record: dict[str, Any]

    @property
    def failed(self) -> bool:
        return "error" in self.record


def line_digest(line: bytes) -> str:
    """Changes with the content of an input line, but not with white space at its ends."""
    return blake2b(line.strip(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class MadeBy:
    """What the answers depend on beside the input."""

    model: str
    """Name and revision of the model."""
    options: str
    """Digest of the options."""


class Matching:
    """Earlier answers, matched with the lines of the input in order by the content of the line.

    Answers with an error do not stand: their lines are scored again, and may have been mended or
    removed since.
    """

    def __init__(self, earlier: Iterator[Earlier]) -> None:
        self._earlier = earlier
        self._vacant = 0
        """Answers with an error since the last match: so many lines may stand in their place."""
        self._may_move = False
        """Whether there was an error, so that the file is written anew with other line numbers."""
        self._next = self._advance()

    @property
    def exhausted(self) -> bool:
        """Whether no answer is left that stands."""
        return self._next is None

    def of(self, number: int, line: bytes) -> Earlier | None:
        """The answer of an input line, or None if the line is to be scored.

        Raises `ScoreError` if an answer stands there that is about another line.
        """
        answer = self._next
        if answer is None:
            return None
        if answer.input == line_digest(line) and (self._may_move or answer.line == number):
            self._vacant = 0
            self._next = self._advance()
            return replace(answer, line=number)
        if self._vacant == 0:
            raise ScoreError(
                f"OUT answers another file: its line {answer.line} is not the answer of line "
                f"{number} of IN; choose another OUT, or give --overwrite"
            )
        self._vacant -= 1
        return None

    def _advance(self) -> Earlier | None:
        for answer in self._earlier:
            if not answer.failed:
                return answer
            self._vacant += 1
            self._may_move = True
        return None


class Answers:
    """OUT as a pipe, a terminal or a device: nothing can be gone on with."""

    def __init__(self, file: IO[bytes], made_by: MadeBy) -> None:
        self._file, self._made_by = file, made_by

    def earlier(self) -> Iterator[Earlier]:
        """The answers of earlier runs, in order. Raises `ScoreError`."""
        return iter(())

    def keep(self, earlier: Earlier) -> None:
        """Lets an answer of an earlier run stand, under its line number in the input."""

    def write(self, line: int, input_line: bytes, answer: dict[str, Any]) -> None:
        names = {"line": line, "input": line_digest(input_line)}
        made_by = {"options": self._made_by.options, "model": self._made_by.model}
        self._file.write(answer_line({**names, **made_by, **answer}))
        self._file.flush()

    def settle(self) -> None:
        """All answers of earlier runs are kept or replaced."""

    def close(self) -> None:
        self._file.flush()


class AnswersFile(Answers):
    """OUT as a regular file: locked while a run writes it, and gone on with by the same run only.

    Where earlier lines have an error, the file is written anew beside itself, and takes its own
    place when all of these lines have been scored again.
    """

    def __init__(self, path: Path, made_by: MadeBy, overwrite: bool) -> None:
        """Raises `OSError`, and `ScoreError` if another run is writing the file or if it is about
        something else."""
        super().__init__(path.open("ab"), made_by)
        self._path = path
        self._old: IO[bytes] | None = None
        _lock(self._file, path)
        if overwrite:
            self._file.truncate(0)
        json_lines.cut_incomplete_line(path)
        if any(earlier.failed for earlier in self.earlier()):
            self._old, self._file = self._file, path.with_name(path.name + PART).open("wb")
            _lock(self._file, path)

    def earlier(self) -> Iterator[Earlier]:
        with self._path.open("rb") as lines:
            for line in lines:
                yield self._read(line)

    def keep(self, earlier: Earlier) -> None:
        if self._old is not None:
            self._file.write(answer_line({**earlier.record, "line": earlier.line}))

    def settle(self) -> None:
        if self._old is not None:
            self._file.flush()
            os.replace(self._file.name, self._path)
            self._old.close()
            self._old = None

    def close(self) -> None:
        self._file.close()
        if self._old is not None:
            Path(self._file.name).unlink()
            self._old.close()

    def _read(self, line: bytes) -> Earlier:
        return read_answer(line, self._path, self._made_by)


def read_answer(line: bytes, path: Path | str, made_by: MadeBy) -> Earlier:
    """The answer on a line of the file `path`.

    Raises `ScoreError` if it is none, or if its model or options are not those of `made_by`.
    """
    try:
        record = orjson.loads(line)
        number, digest = record["line"], record["input"]
        model, options = record["model"], record["options"]
        if type(number) is not int or not ("error" in record or record["diversity"]):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        message = f"{path} was not written by this command; choose another OUT"
        raise ScoreError(message) from None
    if model != made_by.model:
        raise ScoreError(
            f"{path} was begun with the model {model}, and the model is now "
            f"{made_by.model}; choose another OUT, load that model, or give --overwrite"
        )
    if options != made_by.options:
        raise ScoreError(
            f"{path} was begun with other options (--options, the fields' names, or "
            "settings that answers depend on); choose another OUT, or give --overwrite"
        )
    return Earlier(number, digest, record)


def answer_line(record: dict[str, Any]) -> bytes:
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def _lock(file: IO[bytes], path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ScoreError(
            f"another run is writing {path}; wait until it ends, or choose another OUT"
        ) from None
