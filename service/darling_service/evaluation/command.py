"""`darling-reward evaluate`: measures a file of rollouts, and tells whether another is better."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from darling_service.evaluation.measure import Choices, measure
from darling_service.evaluation.metrics.wording import words
from darling_service.evaluation.partitioning import partitions, similarities
from darling_service.evaluation.plots import draw
from darling_service.evaluation.records import Record, read
from darling_service.evaluation.report import Report, Run, report
from darling_service.settings import Settings

MAX_TRIES = 1024
"""Largest k of pass@k by default: powers of two up to it give a curve of eleven points."""


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of the command; None: chosen from the data."""

    files: Sequence[Path]
    ks: Sequence[int] | None = None
    """Numbers of tries in pass@k and its kin."""
    size: int | None = None
    """Rollouts that distinct_k and utility_k look at."""
    quality_threshold: float | None = None
    """Quality from which a rollout is valid; None: `correct` decides, else all are valid."""
    patience: float = 0.8
    encoder: str | None = None
    """A sentence encoder, such as `embeddings`, for the Vendi score and cosine distances."""
    vendi_order: float = 1.0
    repartition: bool = False
    """Partition all records, also those that have a partition."""


def evaluate(request: Request, settings: Settings, out: Path | None, as_json: bool) -> None:
    """Prints the figures; writes them and the plots into `out`.

    Raises `ValueError` if a file cannot be read as records or does not hold what the request needs,
    `ModelError` if the model fails.
    """
    figures = _evaluate(request, settings)
    document = json.dumps(figures.as_dict(), indent=2)
    print(document if as_json else figures.table())
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "evaluation.json").write_text(document + "\n")
        draw(out, figures)


def _evaluate(request: Request, settings: Settings) -> Report:
    files = {path: read(path, settings.text) for path in request.files}
    if request.quality_threshold is not None:
        _require_quality(files)
    choices = _choices(request, [record for records in files.values() for record in records])
    runs = []
    notes = [f"the first {choices.size} rollouts of each record count for *_{choices.size}"]
    for path, records in files.items():
        classes, partitioned = _partitions(records, settings, request.repartition)
        share = f"{partitioned} of {len(records)} records of {path.name}"
        notes.append(f"{share} partitioned by {settings.model}, the others had a partition")
        cosines = (
            [None] * len(records)
            if request.encoder is None
            else similarities(records, request.encoder, settings)
        )
        rows = [
            measure(record, partition, similarity, choices)
            for record, partition, similarity in zip(records, classes, cosines, strict=True)
        ]
        runs.append(Run(path.stem, [record.prompt for record in records], rows))
    return report(runs, notes)


def _choices(request: Request, records: Sequence[Record]) -> Choices:
    smallest = min(len(record.texts) for record in records)
    size = smallest if request.size is None else request.size
    if not 1 <= size <= smallest:
        raise ValueError(
            f"--size is {size}, and the smallest record has {smallest} rollouts; choose a size "
            f"from 1 to {smallest}"
        )
    powers_of_two = [2**k for k in range(MAX_TRIES.bit_length()) if 2**k <= smallest]
    return Choices(
        size=size,
        ks=sorted(request.ks or powers_of_two),
        threshold=request.quality_threshold,
        patience=request.patience,
        vendi_order=request.vendi_order,
        vocabulary=len({word for r in records for text in r.texts for word in words(text)}),
    )


def _require_quality(files: Mapping[Path, Sequence[Record]]) -> None:
    for path, records in files.items():
        for number, record in enumerate(records, start=1):
            if record.quality is None:
                raise ValueError(
                    "--quality-threshold needs the quality of every rollout, and record "
                    f"{number} of {path} has none; add it, or leave the flag out"
                )


def _partitions(
    records: Sequence[Record], settings: Settings, repartition: bool
) -> tuple[list[list[int]], int]:
    """The classes of each record's rollouts, and the number of records that a model partitioned."""
    todo = [k for k, record in enumerate(records) if repartition or record.partition is None]
    classes = [record.partition or [] for record in records]
    if todo:
        fresh = partitions([records[k] for k in todo], settings)
        for k, partition in zip(todo, fresh, strict=True):
            classes[k] = partition
    return classes, len(todo)
