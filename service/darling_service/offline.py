"""`darling-reward score`: JSON lines of groups through the same pipeline, without HTTP.

One line in, one line out, in order. Each answer carries the number of its input line, so that an
interrupted run picks up behind the last complete answer: nothing is lost and nothing repeated. A
line that cannot be scored is answered with its problem, and the run goes on.
"""

import asyncio
import gzip
import json
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, cast

import orjson
from darling_models.errors import ModelError
from darling_models.progress import progress

from darling_service.errors import BadRequest, Invalid, Problem
from darling_service.http.body import parse
from darling_service.pipeline import Pipeline
from darling_service.schemas.requests import RewardRequest
from darling_service.settings import Settings

WINDOW = 64
"""Groups in flight at a time: enough to fill batches, few enough to hold in memory."""


class ScoreError(Exception):
    """The run cannot start or go on. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a line keeps its rollouts and its quality column."""

    rollouts: str = "rollouts"
    quality: str = "quality"


def score_file(source: str, target: str, settings: Settings, columns: Columns, options: str) -> int:
    """Scores `source` into `target` (paths, or - for the standard streams); the exit status."""
    try:
        return asyncio.run(_score(source, target, settings.unbounded(), columns, _options(options)))
    except (ScoreError, ModelError, OSError) as error:
        print(f"darling-reward score: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; run the same command to go on", file=sys.stderr)
        return 130


async def _score(
    source: str, target: str, settings: Settings, columns: Columns, options: dict[str, Any]
) -> int:
    pipeline = Pipeline(settings)
    await pipeline.start()
    try:
        model = pipeline.models()[0]
        stamp = f"{model.id}@{model.revision}"
        with ExitStack() as files:
            done = 0 if target == "-" else _resume(Path(target), stamp)
            lines = files.enter_context(_open(source))
            out = sys.stdout.buffer if target == "-" else files.enter_context(_append(target))
            failed = 0
            total = None if source == "-" else _count(source)
            with progress(total=total, initial=done, unit="line") as bar:
                async for number, answer in _answers(pipeline, lines, done, columns, options):
                    failed += "error" in answer
                    record = {"line": number, "model": stamp, **answer}
                    out.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
                    out.flush()
                    bar.update(number - bar.n)
        if failed:
            print(f"{failed} lines could not be scored; see their `error`", file=sys.stderr)
        return 1 if failed else 0
    finally:
        await pipeline.drain()


async def _answers(
    pipeline: Pipeline, lines: IO[bytes], done: int, columns: Columns, options: dict[str, Any]
) -> AsyncIterator[tuple[int, dict[str, Any]]]:
    """(line number, answer) of each line behind `done`, in order, `WINDOW` at a time."""
    running: deque[tuple[int, asyncio.Task[dict[str, Any]]]] = deque()
    try:
        for number, line in enumerate(lines, start=1):
            if number <= done or not line.strip():
                continue
            task = asyncio.create_task(_answer(pipeline, line, columns, options))
            running.append((number, task))
            if len(running) == WINDOW:
                first, oldest = running.popleft()
                yield first, await oldest
        while running:
            first, oldest = running.popleft()
            yield first, await oldest
    finally:
        for _, task in running:
            task.cancel()


async def _answer(
    pipeline: Pipeline, line: bytes, columns: Columns, options: dict[str, Any]
) -> dict[str, Any]:
    try:
        # Not by orjson: of what it cannot write, the parser says where it stands.
        body = json.dumps({**options, "groups": [_group(line, columns)]}).encode()
        request = parse(body, RewardRequest)
        answer = await pipeline.rewards(request)
    except (BadRequest, Invalid) as problem:
        return {"error": problem.body()}
    except Problem as problem:
        raise ScoreError(f"{problem.detail}; run the same command to go on") from problem
    return asdict(answer.groups[0])


def _group(line: bytes, columns: Columns) -> dict[str, Any]:
    """The fields of a line that make a group; data files have other columns, left alone."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the line is not valid JSON: {error}") from None
    if not isinstance(record, dict):
        raise BadRequest("the line is not a JSON object")
    sources = {
        "id": "id",
        "prompt": "prompt",
        "rollouts": columns.rollouts,
        "quality": columns.quality,
        "reference": "reference",
    }
    return {name: record[source] for name, source in sources.items() if source in record}


def _options(text: str) -> dict[str, Any]:
    try:
        options = json.loads(text)
    except ValueError as error:
        raise ScoreError(f"--options is not valid JSON: {error}") from None
    if not isinstance(options, dict) or "groups" in options:
        raise ScoreError("--options is an object of request fields other than groups")
    probe = {**options, "groups": [{"prompt": "", "rollouts": [""]}]}
    try:
        parse(orjson.dumps(probe), RewardRequest)
    except Invalid as problem:
        raise ScoreError(f"--options: {problem.detail}") from None
    return options


def _open(source: str) -> IO[bytes]:
    if source == "-":
        return sys.stdin.buffer
    if source.endswith(".gz"):
        return cast(IO[bytes], gzip.open(source, "rb"))
    return Path(source).open("rb")


def _append(target: str) -> IO[bytes]:
    return Path(target).open("ab")


def _count(source: str) -> int:
    with _open(source) as lines:
        return sum(1 for _ in lines)


def _resume(target: Path, stamp: str) -> int:
    """Input lines already answered in `target`, whose incomplete last line is cut off."""
    if not target.exists():
        return 0
    complete, last = 0, b""
    with target.open("rb") as answers:
        for line in _complete_lines(answers):
            complete, last = complete + len(line), line
    with target.open("r+b") as answers:
        answers.truncate(complete)
    if not last:
        return 0
    try:
        record = json.loads(last)
        number, written_by = int(record["line"]), str(record["model"])
    except (ValueError, KeyError, TypeError):
        raise ScoreError(f"{target} was not written by this command; choose another OUT") from None
    if written_by != stamp:
        raise ScoreError(
            f"{target} was begun with {written_by} and the model is now {stamp}; choose another "
            "OUT, or load that model"
        )
    return number


def _complete_lines(answers: IO[bytes]) -> Iterator[bytes]:
    return (line for line in answers if line.endswith(b"\n"))
