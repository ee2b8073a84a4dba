"""Groups from a JSON lines file through the same pipeline, without HTTP: `darling-reward score`.

Every line of input gives one line of output, in order. Each answer carries the number of its input
line, so that an interrupted run goes on after the last complete answer: nothing is lost and nothing
repeated. A line that cannot be scored is answered with its problem, and the run continues.
"""

import asyncio
import json
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from darling_models import json_lines
from darling_models.progress import progress
from darling_service.errors import BadRequest, Invalid, Problem
from darling_service.pipeline import Pipeline
from darling_service.schemas.parse import parse
from darling_service.schemas.requests import RewardRequest
from darling_service.settings import Settings

WINDOW = 64
"""Groups in flight at a time: enough to fill batches, few enough to hold in memory."""


class ScoreError(ValueError):
    """The run cannot start or go on. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Fields of a line that hold its rollouts and its quality column."""

    rollouts: str = "rollouts"
    quality: str = "quality"


def score_file(source: str, target: str, settings: Settings, columns: Columns, options: str) -> int:
    """Scores `source` into `target`: paths, or - for the standard streams.

    `options` is a JSON object of request fields beside `groups`. Returns the exit status: 1 if a
    line could not be scored, else 0. Raises `ScoreError`, `ModelError` or `OSError`.
    """
    return asyncio.run(_score(source, target, settings.unbounded(), columns, _options(options)))


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
    """Yields (line number, answer) of each line after line `done`, in order."""
    running: deque[tuple[int, asyncio.Task[dict[str, Any]]]] = deque()
    try:
        for number, line in json_lines.numbered(lines):
            if number <= done:
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
        # json writes what orjson refuses, such as a lone surrogate; `parse` then names the field.
        body = json.dumps({**options, "groups": [_group(line, columns)]}).encode()
        request = parse(body, RewardRequest)
        answer = await pipeline.rewards(request)
    except (BadRequest, Invalid) as problem:
        return {"error": problem.body()}
    except Problem as problem:
        raise ScoreError(f"{problem.detail}; run the same command to go on") from problem
    return asdict(answer.groups[0])


def _group(line: bytes, columns: Columns) -> dict[str, Any]:
    """The fields of a line that make a group; other columns are ignored."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the line is not valid JSON: {error}") from None
    if not isinstance(record, dict):
        raise BadRequest("the line is not a JSON object; write one group per line")
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
        raise ScoreError(
            "--options is not a JSON object of request fields other than groups; write it as "
            '{"reward": {...}}'
        )
    probe = {**options, "groups": [{"prompt": "", "rollouts": [""]}]}
    try:
        parse(orjson.dumps(probe), RewardRequest)
    except Invalid as problem:
        raise ScoreError(f"--options: {problem.detail}") from None
    return options


def _open(source: str) -> IO[bytes]:
    return sys.stdin.buffer if source == "-" else json_lines.open_lines(Path(source))


def _append(target: str) -> IO[bytes]:
    return Path(target).open("ab")


def _count(source: str) -> int:
    with _open(source) as lines:
        return max((number for number, _ in json_lines.numbered(lines)), default=0)


def _resume(target: Path, stamp: str) -> int:
    """The number of the last input line answered in `target`, 0 if there is none.

    Cuts off an incomplete last line. Raises `ScoreError` if another command or another model wrote
    the file.
    """
    json_lines.cut_incomplete_line(target)
    if not target.exists() or target.stat().st_size == 0:
        return 0
    with target.open("rb") as answers:
        (last,) = deque(answers, maxlen=1)
    try:
        record = json.loads(last)
        number, written_by = int(record["line"]), str(record["model"])
    except (ValueError, KeyError, TypeError):
        raise ScoreError(f"{target} was not written by this command; choose another OUT") from None
    if written_by != stamp:
        raise ScoreError(
            f"{target} was begun with the model {written_by}, and the model is now {stamp}; choose "
            "another OUT, or load that model"
        )
    return number
