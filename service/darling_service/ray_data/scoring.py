"""`darling-reward score --engine ray`: files → shards → workers → parts → files of answers."""

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import ray
from ray.data import TaskPoolStrategy

from darling_models.errors import ModelFault
from darling_models.progress import progress
from darling_service import storage
from darling_service.answers_file import ScoreError
from darling_service.file_sets import FileToScore, files_to_score
from darling_service.offline import Scoring
from darling_service.ray_data.cluster import FAULT, Cluster, require_one_model, results
from darling_service.ray_data.parts import folder_of, join, write_part
from darling_service.ray_data.shards import Shard, cut
from darling_service.ray_data.warm import WarmPipeline
from darling_service.scored_lines import Question, Summary
from darling_service.settings import Settings

READERS = 4
"""Files that are read at a time: a reader is much faster than a worker, and waits when the workers
do not keep up."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a worker tells of a shard whose part it has written."""

    target: str
    index: int
    last: bool
    lines: int
    model: str
    scored: int
    diversity: float
    failed: int
    truncated: int


def score_files(scoring: Scoring, settings: Settings, cluster: Cluster) -> int:
    """Scores files on a Ray cluster. Returns the exit status: 1 if a line could not be scored.

    A file of answers takes its name when all of its lines are answered, with the bytes that one
    process would write. Raises `ValueError` or `OSError`.
    """
    question = scoring.question()
    _require_no_memory(question)
    files = [_absolute(file) for file in files_to_score(scoring.sources, scoring.target)]
    summary = Summary()
    with cluster.connected(), progress(unit="line") as bar:
        workers = cluster.actors()
        if scoring.overwrite:  # a mistyped IN, address or number of CPUs loses no answers
            for file in files:
                storage.open_read(file.source).close()
            for file in files:
                storage.remove(file.target)
                storage.remove(folder_of(file.target))
        done: dict[str, int] = defaultdict(int)
        shards: dict[str, int] = {}
        model = ""
        for outcome in _outcomes(files, question, settings, workers):
            model = require_one_model(model, outcome.model)
            bar.update(outcome.lines)
            summary.scored += outcome.scored
            summary.diversity += outcome.diversity
            summary.failed += outcome.failed
            summary.truncated += outcome.truncated
            target = outcome.target
            done[target] += 1
            if outcome.last:
                shards[target] = outcome.index + 1
            if done[target] == shards.get(target):
                join(target, shards[target])
    print(summary, file=sys.stderr)
    return 1 if summary.failed else 0


def _outcomes(
    files: Sequence[FileToScore], question: Question, settings: Settings, workers: dict[str, Any]
) -> Iterator[Outcome]:
    """The outcome of each shard, in any order, exactly once. Raises `WorkFailed`."""
    rows = (
        ray.data.from_items([asdict(file) for file in files], override_num_blocks=len(files))
        # A reader takes no CPU, or there might be none left for it beside the workers.
        .flat_map(_shards, compute=TaskPoolStrategy(min(READERS, len(files))), num_cpus=0)
        .map(
            Scorer,
            fn_constructor_kwargs={"question": question, "settings": settings},
            **workers,
        )
    )
    for row in results(rows):
        yield Outcome(**row)


def _shards(file: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The shards of a file as rows; one with a fault if it cannot be read."""
    try:
        for shard in cut(file["source"], file["target"]):
            yield {**asdict(shard), FAULT: ""}
    except (ValueError, OSError) as error:
        yield {**asdict(Shard(file["target"], 0, 1, b"", b"", True)), FAULT: str(error)}


class Scorer:
    """A worker, which Ray starts again where it dies."""

    def __init__(self, question: Question, settings: Settings) -> None:
        self._question = question
        self._pipeline = WarmPipeline(settings)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        fault, summary, model = row.pop(FAULT), Summary(), ""
        shard = Shard(**row)
        if not fault:
            try:
                model = self._pipeline.run(
                    lambda pipeline: write_part(pipeline, shard, self._question, summary)
                )
            except (ModelFault, ValueError, OSError) as error:
                fault = str(error) or type(error).__name__
        lines = shard.lines.count(b"\n")
        outcome = Outcome(shard.target, shard.index, shard.last, lines, model, **asdict(summary))
        return {**asdict(outcome), FAULT: fault}


def _absolute(file: FileToScore) -> FileToScore:
    """The file by names that hold on every worker. Raises `ScoreError`."""
    if "-" in file.names:
        raise ScoreError("--engine ray reads and writes files; give IN and OUT names")
    source, target = map(storage.absolute, file.names)
    if source == target:
        raise ScoreError("IN and OUT are the same file; choose another OUT")
    if target.endswith(".gz"):
        raise ScoreError("answers are written without compression; give OUT a name without .gz")
    if storage.is_folder(target):
        raise ScoreError(f"{target} is a folder, and IN is one file; give OUT the name of a file")
    return FileToScore(source, target, file.in_folder)


def _require_no_memory(question: Question) -> None:
    """Raises `ScoreError` for rewards that depend on what was scored before."""
    if "visits" in question.request().resolved().reward.needs:
        raise ScoreError(
            "exploration by visits counts what was scored before, which workers of Ray do not "
            "tell each other; leave --engine ray out"
        )
