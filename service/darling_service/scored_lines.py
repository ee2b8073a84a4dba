"""Lines of a file of groups, each answered as `/v1/rewards` would answer it.

The answers are in the order of the lines. A line that cannot be scored is answered with its
problem, and the run continues; the next run scores it again.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from darling_models.keys import content_key
from darling_service.answers_file import Answers, Earlier, MadeBy, Matching, ScoreError
from darling_service.errors import BadRequest, Invalid, ModelFailed, Overloaded, Problem
from darling_service.pipeline import Pipeline
from darling_service.schemas.parse import parse
from darling_service.schemas.requests import RewardRequest
from darling_service.schemas.responses import RewardResponse

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
class Question:
    """What is asked about every line."""

    columns: Columns
    options: dict[str, Any]
    """Fields of the request beside `groups`."""

    def request(self) -> RewardRequest:
        """The request for an empty group. Raises `Invalid` if the options are wrong."""
        probe = {**self.options, "groups": [{"prompt": "", "rollouts": [""]}]}
        return parse(json.dumps(probe).encode(), RewardRequest)

    def made_by(self, pipeline: Pipeline) -> MadeBy:
        """What the answers of a pipeline that has started depend on beside the input."""
        info, written = pipeline.models()[0], json.dumps(self.options, sort_keys=True)
        rule = f"{info.threshold!r} {info.linkage} {pipeline.settings.text} {info.notion}"
        digest = content_key(written, self.columns.rollouts, self.columns.quality, rule).hex()[:16]
        return MadeBy(f"{info.id}@{info.revision}", digest)


@dataclass(slots=True)
class Summary:
    """What a run's last line tells."""

    scored: int = 0
    """Groups that were scored, in this run or before."""
    diversity: float = 0.0
    """Sum of these groups' mean diversities."""
    failed: int = 0
    truncated: int = 0
    """Model inputs of this run that were cut."""

    def add(self, answer: dict[str, Any]) -> None:
        if "error" in answer:
            self.failed += 1
        else:
            self.scored += 1
            self.diversity += fmean(answer["diversity"])

    def __str__(self) -> str:
        scored = f"{self.scored} groups scored"
        if self.scored:
            scored += f", mean diversity {self.diversity / self.scored:.2f}"
        parts = [scored]
        if self.failed:
            parts.append(f"{self.failed} lines could not be scored; see their `error`")
        if self.truncated:
            parts.append(f"{self.truncated} texts were too long for the model and were cut")
        return "; ".join(parts)


async def answered(
    pipeline: Pipeline,
    lines: Iterable[tuple[int, bytes]],
    out: Answers,
    question: Question,
    summary: Summary,
) -> AsyncIterator[int]:
    """Writes the answer of each numbered line, in order, and yields the line's number.

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
        for number, line in lines:
            if matching.exhausted and not settled:
                while running:
                    yield await finish_oldest()
                out.settle()
                settled = True
            if earlier := matching.of(number, line):
                running.append((number, line, earlier))
            else:
                task = asyncio.create_task(_answer(pipeline, line, question))
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


async def _answer(pipeline: Pipeline, line: bytes, question: Question) -> dict[str, Any]:
    try:
        # json writes what orjson refuses, such as a lone surrogate; `parse` then names the field.
        fields = {**question.options, "groups": [_group(line, question.columns)]}
        request = parse(json.dumps(fields).encode(), RewardRequest)
        answer = await rewards_after_pauses(pipeline, request)
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
