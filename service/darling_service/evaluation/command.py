"""`darling-reward evaluate`: measures a file of rollouts, and tells whether another is better."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from darling_service.evaluation.measure import Choices
from darling_service.evaluation.measuring import Engine, Measuring, local_engine
from darling_service.evaluation.metrics.wording import words
from darling_service.evaluation.notes import about_file, check_prompts
from darling_service.evaluation.plots import draw
from darling_service.evaluation.records import Record, read
from darling_service.evaluation.report import Report, Run, report
from darling_service.settings import Settings

MAX_TRIES = 1024
"""Largest k of pass@k by default: powers of two up to it give a curve of eleven points."""


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of the command; None: chosen from the data."""

    files: Sequence[str]
    """One file, or two to compare; a folder or a pattern counts as one file."""
    ks: Sequence[int] | None = None
    """Numbers of tries in pass@k and its kin."""
    size: int | None = None
    """Rollouts that distinct_k and utility_k look at."""
    quality_threshold: float | None = None
    """Quality from which a rollout is valid; None: `correct` decides, and where no record
    has it, all are valid."""
    patience: float = 0.8
    encoder: str | None = None
    """A sentence encoder, such as `embeddings`, for the Vendi score and cosine distances."""
    vendi_order: float = 1.0
    repartition: bool = False
    """Partition all records, also those that have a partition."""


def evaluate(
    request: Request,
    settings: Settings,
    out: Path | None,
    as_json: bool,
    engine: Callable[[Settings, str | None], Engine] = local_engine,
) -> None:
    """Prints the figures; writes them and the plots into `out`.

    `engine`: makes what measures the records, of the settings and the encoder's name.

    Raises `OSError`; `ValueError` if a file cannot be read as records, does not hold what the
    request needs, or has no prompt in common with the other; `ModelError` if the model fails. All
    files are read before any model runs.
    """
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    figures = _evaluate(request, settings, engine)
    document = json.dumps(figures.as_dict(), indent=2)
    print(document if as_json else figures.table())
    if out is not None:
        (out / "evaluation.json").write_text(document + "\n")
        draw(out, figures)


def _evaluate(
    request: Request, settings: Settings, engine: Callable[[Settings, str | None], Engine]
) -> Report:
    files = [read(name, settings.text) for name in request.files]
    names = run_names(request.files)
    size, ks = _size(request, files), _tries(request, files)
    _require_quality(request, files)
    judged = any(record.correct is not None for records in files for record in records)
    notes = [f"the first {size} rollouts of each record count for *_{size}"]
    if len(files) > 1:
        notes += check_prompts(names, files)
    measure = engine(settings, request.encoder)
    runs = []
    for name, records in zip(names, files, strict=True):
        choices = Choices(size, ks, request.patience, request.vendi_order, _vocabulary(records))
        measuring = Measuring(request.quality_threshold, judged, request.repartition, choices)
        measured = measure(records, measuring)
        notes += about_file(name, records, [each.classes for each in measured], settings.model)
        rows = [each.figures for each in measured]
        runs.append(Run(name, [record.name for record in records], rows))
    return report(runs, notes)


def run_names(files: Sequence[str]) -> list[str]:
    """The files' names without their endings, or whole paths where those would be the same."""
    stems = [PurePosixPath(PurePosixPath(name).name.removesuffix(".gz")).stem for name in files]
    return stems if len(set(stems)) == len(stems) else list(files)


def _size(request: Request, files: Sequence[Sequence[Record]]) -> int:
    smallest = min(len(record.texts) for records in files for record in records)
    size = smallest if request.size is None else request.size
    if size > smallest:
        raise ValueError(
            f"--size is {size}, and the smallest record has {smallest} rollouts; choose a size "
            f"from 1 to {smallest}"
        )
    return size


def _tries(request: Request, files: Sequence[Sequence[Record]]) -> list[int]:
    sizes = [len(record.texts) for records in files for record in records]
    if request.ks is None:
        return [2**k for k in range(MAX_TRIES.bit_length()) if 2**k <= min(sizes)]
    ks = sorted(set(request.ks))
    if ks[-1] > max(sizes):
        raise ValueError(
            f"--k is {ks[-1]}, and the largest record has {max(sizes)} rollouts; choose numbers "
            f"from 1 to {max(sizes)}"
        )
    return ks


def _vocabulary(records: Sequence[Record]) -> int:
    return len({word for record in records for text in record.texts for word in words(text)})


def _require_quality(request: Request, files: Sequence[Sequence[Record]]) -> None:
    if request.quality_threshold is None:
        return
    for path, records in zip(request.files, files, strict=True):
        for number, record in enumerate(records, start=1):
            if record.quality is None:
                raise ValueError(
                    "--quality-threshold needs the quality of every rollout, and record "
                    f"{number} of {path} has none; add it, or leave the flag out"
                )
