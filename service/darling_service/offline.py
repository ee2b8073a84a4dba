"""Groups from a JSON lines file through the same pipeline, without HTTP: `darling-reward score`.

Every line of input gives one line of output, in order (`answers_file`). A line that cannot be
scored is answered with its problem, and the run continues; the next run scores it again.
"""

import asyncio
import json
import os
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import IO, Any

import orjson

from darling_models import json_lines
from darling_models.keys import content_key
from darling_models.progress import progress
from darling_models.protocol import ModelInfo
from darling_service.answers_file import Answers, AnswersFile, Earlier, Matching, ScoreError
from darling_service.errors import BadRequest, Invalid, ModelFailed, Overloaded, Problem
from darling_service.pipeline import Pipeline
from darling_service.schemas.parse import parse
from darling_service.schemas.requests import RewardRequest
from darling_service.schemas.responses import RewardResponse
from darling_service.settings import Settings

WINDOW = 64
"""Groups in flight at a time: enough to fill batches, few enough to hold in memory."""
PAUSE_S = 1.0
"""Seconds of a pause whose length nobody says."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Fields of a line that hold its rollouts and its quality column."""

    rollouts: str = "rollouts"
    quality: str = "quality"


@dataclass(frozen=True, slots=True)
class Scoring:
    """What to score, and how."""

    source: str
    """Path of the input, or - for standard input."""
    target: str
    """Path of the output, or - for standard output."""
    columns: Columns = Columns()
    options: str = "{}"
    """JSON object of request fields beside `groups`."""
    overwrite: bool = False
    """Whether what the output holds is dropped."""


@dataclass(slots=True)
class Summary:
    """What a run's last line tells."""

    diversity: list[float] = field(default_factory=list)
    """Mean diversity of each group that was scored, in this run or before."""
    failed: int = 0
    truncated: int = 0
    """Model inputs of this run that were cut."""

    def add(self, answer: dict[str, Any]) -> None:
        if "error" in answer:
            self.failed += 1
        else:
            self.diversity.append(fmean(answer["diversity"]))

    def __str__(self) -> str:
        scored = f"{len(self.diversity)} groups scored"
        if self.diversity:
            scored += f", mean diversity {fmean(self.diversity):.2f}"
        parts = [scored]
        if self.failed:
            parts.append(f"{self.failed} lines could not be scored; see their `error`")
        if self.truncated:
            parts.append(f"{self.truncated} texts were too long for the model and were cut")
        return "; ".join(parts)


def score_file(scoring: Scoring, settings: Settings) -> int:
    """Scores a file. Returns the exit status: 1 if a line could not be scored, else 0.

    Raises `ScoreError`, `ModelError`, `ValueError` or `OSError`.
    """
    options = _options(scoring.options)
    return asyncio.run(_score(scoring, settings.unbounded(), options))


async def _score(scoring: Scoring, settings: Settings, options: dict[str, Any]) -> int:
    pipeline = Pipeline(settings)
    await pipeline.start()
    summary = Summary()
    try:
        info = pipeline.models()[0]
        with ExitStack() as files:
            lines = files.enter_context(_open(scoring.source))
            rule = f"{info.threshold!r} {info.linkage} {settings.text} {info.notion}"
            out = files.enter_context(closing(_answers_to(scoring, info, rule, options)))
            with progress(total=_count(scoring.source), unit="line") as bar:
                lines_done = _answered(pipeline, lines, out, scoring.columns, options, summary)
                async for number in lines_done:
                    bar.update(number - bar.n)
        print(summary, file=sys.stderr)
        return 1 if summary.failed else 0
    finally:
        await pipeline.stop()


async def _answered(
    pipeline: Pipeline,
    lines: IO[bytes],
    out: Answers,
    columns: Columns,
    options: dict[str, Any],
    summary: Summary,
) -> AsyncIterator[int]:
    """Writes the answer of each line, in order, and yields the line's number.

    Raises `ScoreError` if an earlier run's answers are those of other lines.
    """
    running: deque[tuple[int, bytes, Earlier | asyncio.Task[dict[str, Any]]]] = deque()
    matching = Matching(out.earlier())
    settled = False

    async def finish_oldest() -> int:
        number, line, answer = running.popleft()
        if isinstance(answer, Earlier):
            summary.add(answer.record)
            out.keep(answer)
            return number
        record = await answer
        summary.truncated += record.pop("truncated", 0)
        summary.add(record)
        out.write(number, line, record)
        return number

    try:
        for number, line in json_lines.numbered(lines):
            if matching.exhausted and not settled:
                while running:
                    yield await finish_oldest()
                out.settle()
                settled = True
            if earlier := matching.of(number, line):
                running.append((number, line, earlier))
            else:
                task = asyncio.create_task(_answer(pipeline, line, columns, options))
                running.append((number, line, task))
            if len(running) == WINDOW:
                yield await finish_oldest()
        if not matching.exhausted:
            raise ScoreError(
                "OUT answers more lines than IN has, so it is about another file; choose another "
                "OUT, or give --overwrite"
            )
        while running:
            yield await finish_oldest()
        out.settle()
    finally:
        for _, _, answer in running:
            if not isinstance(answer, Earlier):
                answer.cancel()


async def rewards_after_pauses(pipeline: Pipeline, request: RewardRequest) -> RewardResponse:
    """The rewards, after all the pauses that a model server asks for."""
    while True:
        try:
            return await pipeline.rewards(request)
        except Overloaded as problem:
            await asyncio.sleep(problem.retry_after_s or PAUSE_S)


async def _answer(
    pipeline: Pipeline, line: bytes, columns: Columns, options: dict[str, Any]
) -> dict[str, Any]:
    try:
        # json writes what orjson refuses, such as a lone surrogate; `parse` then names the field.
        body = json.dumps({**options, "groups": [_group(line, columns)]}).encode()
        answer = await rewards_after_pauses(pipeline, parse(body, RewardRequest))
    except (BadRequest, Invalid, ModelFailed) as problem:
        return {"error": problem.body()}
    except Problem as problem:
        raise ScoreError(f"{problem.detail}; run the same command to go on") from problem
    return {**asdict(answer.groups[0]), "truncated": answer.usage.truncated}


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


def _answers_to(scoring: Scoring, info: ModelInfo, rule: str, options: dict[str, Any]) -> Answers:
    """OUT, ready to be written. `rule`: the settings that answers depend on, beside the model.

    Raises `ScoreError` and `OSError`.
    """
    model = f"{info.id}@{info.revision}"
    columns = scoring.columns
    written = json.dumps(options, sort_keys=True)
    digest = content_key(written, columns.rollouts, columns.quality, rule).hex()[:16]
    if scoring.target == "-":
        return Answers(sys.stdout.buffer, model, digest)
    target = Path(scoring.target)
    if target.exists() and not target.is_file() and not target.is_dir():
        return Answers(target.open("wb"), model, digest)
    if scoring.source != "-" and target.exists() and os.path.samefile(scoring.source, target):
        raise ScoreError("IN and OUT are the same file; choose another OUT")
    if target.suffix == ".gz":
        raise ScoreError("answers are written without compression; give OUT a name without .gz")
    return AnswersFile(target, model, digest, scoring.overwrite)


def _count(source: str) -> int | None:
    """Lines of the input; None where reading them would use them up."""
    if source == "-" or not Path(source).is_file():
        return None
    with _open(source) as lines:
        return max((number for number, _ in json_lines.numbered(lines)), default=0)
