"""`darling-reward evaluate`: what a file of rollouts is worth, and whether another is better."""

import json
from collections.abc import Sequence
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


@dataclass(frozen=True, slots=True)
class Request:
    """What the command was asked for; None: chosen from the data."""

    files: Sequence[Path]
    ks: Sequence[int] | None = None
    size: int | None = None
    quality_threshold: float | None = None
    patience: float = 0.8
    encoder: str | None = None
    """A sentence encoder, such as `embeddings`, for the Vendi score and cosine distances."""
    vendi_order: float = 1.0
    repartition: bool = False
    """Judge records that carry a partition all the same."""


def evaluate(request: Request, settings: Settings, out: Path | None, as_json: bool) -> None:
    """Prints the figures; writes them and the plots into `out`.

    Raises `ValueError` if a file cannot be read as records, `ModelError` if the model fails.
    """
    found = _evaluate(request, settings)
    document = json.dumps(found.as_dict(), indent=2)
    print(document if as_json else found.table())
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "evaluation.json").write_text(document + "\n")
        draw(out, found)


def _evaluate(request: Request, settings: Settings) -> Report:
    loaded = {path: read(path) for path in request.files}
    everything = [record for records in loaded.values() for record in records]
    choices = _choices(request, everything)
    runs = []
    notes = [f"the first {choices.size} rollouts of each record count for *_{choices.size}"]
    for path, records in loaded.items():
        given, judged = _partitions(records, settings, request.repartition)
        where = f"{judged} of {len(records)} records of {path.name}"
        notes.append(f"{where} partitioned by {settings.model}, the rest as they came")
        cosines = (
            [None] * len(records)
            if request.encoder is None
            else similarities(records, request.encoder, settings)
        )
        rows = [
            measure(record, classes, similarity, choices)
            for record, classes, similarity in zip(records, given, cosines, strict=True)
        ]
        runs.append(Run(path.stem, [record.prompt for record in records], rows))
    return report(runs, notes)


def _choices(request: Request, records: Sequence[Record]) -> Choices:
    fewest = min(len(record.texts) for record in records)
    size = request.size or fewest
    if size > fewest:
        raise ValueError(f"--size {size}, but a record has only {fewest} rollouts; ask for fewer")
    doubled = [2**k for k in range(MAX_TRIES.bit_length()) if 2**k <= fewest]
    return Choices(
        size=size,
        ks=sorted(request.ks or doubled),
        threshold=request.quality_threshold,
        patience=request.patience,
        vendi_order=request.vendi_order,
        vocabulary=len({word for r in records for text in r.texts for word in words(text)}),
    )


def _partitions(
    records: Sequence[Record], settings: Settings, again: bool
) -> tuple[list[list[int]], int]:
    """Each record's classes, and how many records were judged for them."""
    todo = [k for k, record in enumerate(records) if again or record.partition is None]
    found = [record.partition or [] for record in records]
    if todo:
        for k, classes in zip(todo, partitions([records[k] for k in todo], settings), strict=True):
            found[k] = classes
    return found, len(todo)
