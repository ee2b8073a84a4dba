"""The classes and the figures of records: what an evaluation computes of each by itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from darling_models.protocol import EquivalenceClassifier
from darling_service.evaluation.measure import Choices, measure
from darling_service.evaluation.partitioning import (
    Classes,
    Partitioner,
    classify,
    in_this_process,
)
from darling_service.evaluation.records import Record
from darling_service.evaluation.vectors import load_encoder, similarities
from darling_service.settings import Settings


@dataclass(frozen=True, slots=True)
class Measuring:
    """How records are measured, the same for all records of a file."""

    quality_threshold: float | None
    judged: bool
    """Whether any record of any file says which of its rollouts are correct."""
    repartition: bool
    choices: Choices


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of one record."""

    classes: Classes
    figures: dict[str, float]


Engine = Callable[[Sequence[Record], Measuring], list[Measured]]
"""What measures records, in order; it raises `ModelError`."""


def local_engine(settings: Settings, encoder: str | None) -> Engine:
    """Measures in this process. `encoder`: name of a sentence encoder, which is loaded here.

    Raises `ModelError`.
    """
    loaded = None if encoder is None else load_encoder(encoder, settings)
    partitioner = in_this_process(settings)
    return lambda records, measuring: measured(records, measuring, partitioner, loaded)


def measured(
    records: Sequence[Record],
    measuring: Measuring,
    partitioner: Partitioner,
    encoder: EquivalenceClassifier | None,
) -> list[Measured]:
    """What is measured of each record. Raises `ModelError`."""
    threshold, judged = measuring.quality_threshold, measuring.judged
    classes = classify(records, threshold, judged, partitioner, measuring.repartition)
    kernels = [None] * len(records) if encoder is None else similarities(records, encoder)
    return [
        Measured(partitions, measure(record, partitions, kernel, measuring.choices))
        for record, partitions, kernel in zip(records, classes, kernels, strict=True)
    ]
