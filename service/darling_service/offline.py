"""Groups from JSON lines files through the same pipeline, without HTTP: `darling-reward score`.

Every line of input gives one line of output, in order (`answers_file`, `scored_lines`). Where IN is
several files, a folder or a pattern, each of its files gets a file of answers of its own
(`file_sets`). This is the engine `local`, one process; `ray_data` has the other.
"""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from darling_models import json_lines
from darling_models.progress import progress
from darling_service import storage
from darling_service.answers_file import Answers, AnswersFile, MadeBy, ScoreError
from darling_service.errors import Invalid
from darling_service.file_sets import FileToScore, files_to_score
from darling_service.pipeline import Pipeline
from darling_service.scored_lines import Columns, Question, Summary, answered
from darling_service.settings import Settings


@dataclass(frozen=True, slots=True)
class Scoring:
    """What to score, and how."""

    sources: Sequence[str]
    """Paths of the input: files, folders or patterns; or - alone for standard input."""
    target: str
    """Path of the output, a folder where the input is more than one file; or - for standard
    output."""
    columns: Columns = field(default_factory=Columns)
    options: str = "{}"
    """JSON object of request fields beside `groups`."""
    overwrite: bool = False
    """Whether what the output holds is dropped."""

    def question(self) -> Question:
        """What is asked about every line. Raises `ScoreError` if the options are wrong."""
        try:
            options = json.loads(self.options)
        except ValueError as error:
            raise ScoreError(f"--options is not valid JSON: {error}") from None
        if not isinstance(options, dict) or "groups" in options:
            raise ScoreError(
                "--options is not a JSON object of request fields other than groups; write it as "
                '{"reward": {...}}'
            )
        question = Question(self.columns, options)
        try:
            question.request()
        except Invalid as problem:
            raise ScoreError(f"--options: {problem.detail}") from None
        return question


def score_files(scoring: Scoring, settings: Settings) -> int:
    """Scores files in this process. Returns the exit status: 1 if a line could not be scored.

    Raises `ScoreError`, `ModelError`, `ValueError` or `OSError`.
    """
    question = scoring.question()
    files = files_to_score(scoring.sources, scoring.target)
    if url := next(filter(storage.is_url, (name for file in files for name in file.names)), None):
        raise ScoreError(f"{url} is a URL; give --engine ray, or a path of this machine")
    return asyncio.run(_score(files, question, scoring.overwrite, settings.unbounded()))


async def _score(
    files: Sequence[FileToScore], question: Question, overwrite: bool, settings: Settings
) -> int:
    pipeline = Pipeline(settings)
    await pipeline.start()
    summary = Summary()
    try:
        for file in files:
            with ExitStack() as opened:
                lines = opened.enter_context(_open(file.source))
                answers = _answers_to(file, question.made_by(pipeline), overwrite)
                out = opened.enter_context(closing(answers))
                with progress(total=_count(file.source), unit="line") as bar:
                    numbered = json_lines.numbered(lines)
                    async for number in answered(pipeline, numbered, out, question, summary):
                        bar.update(number - bar.n)
        print(summary, file=sys.stderr)
        return 1 if summary.failed else 0
    finally:
        await pipeline.stop()


def _open(source: str) -> IO[bytes]:
    return sys.stdin.buffer if source == "-" else json_lines.open_lines(Path(source))


def _answers_to(file: FileToScore, made_by: MadeBy, overwrite: bool) -> Answers:
    """The output, ready to be written. Raises `ScoreError` and `OSError`."""
    if file.target == "-":
        return Answers(sys.stdout.buffer, made_by)
    target = Path(file.target)
    if target.exists() and not target.is_file() and not target.is_dir():
        return Answers(target.open("wb"), made_by)
    if file.source != "-" and target.exists() and os.path.samefile(file.source, target):
        raise ScoreError("IN and OUT are the same file; choose another OUT")
    if target.suffix == ".gz":
        raise ScoreError("answers are written without compression; give OUT a name without .gz")
    if file.in_folder:
        target.parent.mkdir(parents=True, exist_ok=True)
    return AnswersFile(target, made_by, overwrite)


def _count(source: str) -> int | None:
    """Lines of the input; None where reading them would use them up."""
    if source == "-" or not Path(source).is_file():
        return None
    with _open(source) as lines:
        return max((number for number, _ in json_lines.numbered(lines)), default=0)
