"""`darling-reward evaluate --engine ray`: records → workers → classes and figures of each."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import ray

from darling_models.errors import ModelFault
from darling_models.keys import content_key
from darling_models.progress import progress
from darling_models.protocol import EquivalenceClassifier
from darling_service import storage
from darling_service.evaluation.measuring import Engine, Measured, Measuring, measured
from darling_service.evaluation.partitioning import Classes, partitions_of, requests_for
from darling_service.evaluation.records import Record
from darling_service.evaluation.vectors import load_encoder
from darling_service.in_command import answers_of
from darling_service.pipeline import Pipeline
from darling_service.ray_data.cluster import FAULT, Cluster, require_one_model, results
from darling_service.ray_data.warm import WarmPipeline
from darling_service.schemas.requests import PromptGroup
from darling_service.settings import Settings

CHUNK = 256
"""Records of a chunk: enough to fill batches, and few enough that a worker which dies loses
little."""


def ray_engine(
    cluster: Cluster, work: str | None, settings: Settings, encoder: str | None
) -> Engine:
    """Measures on a Ray cluster, with the bits of one process.

    `work`: folder, or URL of one, that keeps what was measured, so that the same command goes on
    there; None keeps nothing. `encoder`: name of a sentence encoder.
    """
    folder = None if work is None else storage.absolute(work)

    def measure(records: Sequence[Record], measuring: Measuring) -> list[Measured]:
        chunks = [json.dumps(list(map(asdict, chunk))) for chunk in _chunks(records)]
        done: dict[int, list[Measured]] = {}
        with cluster.connected(), progress(total=len(records), unit="record") as bar:
            rows = ray.data.from_items(
                [{"index": index, "records": chunk} for index, chunk in enumerate(chunks)],
                override_num_blocks=len(chunks),
            ).map(
                Measurer,
                fn_constructor_args=(measuring, settings, encoder, folder),
                **cluster.actors(),
            )
            model = ""
            for row in results(rows):
                model = require_one_model(model, row["model"])
                done[row["index"]] = _read(row["measured"])
                bar.update(len(done[row["index"]]))
        return [each for index in sorted(done) for each in done[index]]

    return measure


def _records(chunk: str) -> list[Record]:
    return [Record(**each) for each in json.loads(chunk)]


class Measurer:
    """A worker, which Ray starts again where it dies."""

    def __init__(
        self, measuring: Measuring, settings: Settings, encoder: str | None, folder: str | None
    ) -> None:
        self._measuring, self._settings, self._folder = measuring, settings, folder
        self._encoder_name = encoder
        self._encoder: EquivalenceClassifier | None = None
        self._pipeline = WarmPipeline(settings)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        told = {"index": row["index"], "measured": "", "model": "", FAULT: ""}
        try:
            return {**told, **self._measured(_records(row["records"]))}
        except (ModelFault, ValueError, OSError) as error:
            return {**told, FAULT: str(error) or type(error).__name__}

    def _measured(self, records: Sequence[Record]) -> dict[str, str]:
        model = self._model()
        if self._folder is None:
            return {"measured": self._measure(records), "model": model}
        # All that the figures depend on is in the name, so what is there under it holds.
        key = content_key(repr(records), repr(self._measuring), model)
        part = f"{self._folder}/{key.hex()}.json"
        kept = storage.read(part)
        if kept is None:
            kept = self._measure(records).encode()
            storage.write(part, kept)
        return {"measured": kept.decode(), "model": model}

    def _model(self) -> str:
        """The models with all that their decisions depend on. Raises `ModelError`."""
        if self._encoder is None and self._encoder_name is not None:
            self._encoder = load_encoder(self._encoder_name, self._settings)

        async def info(pipeline: Pipeline) -> str:
            own = pipeline.models()[0]
            linkage = self._settings.linkage
            return f"{own.id}@{own.revision} {own.threshold!r} {own.notion} {linkage}"

        model = self._pipeline.run(info)
        if self._encoder is not None:
            model += f" {self._encoder.info.id}@{self._encoder.info.revision}"
        return model

    def _measure(self, records: Sequence[Record]) -> str:
        each = measured(records, self._measuring, self._partitions, self._encoder)
        return json.dumps([asdict(one) for one in each])

    def _partitions(self, groups: Sequence[PromptGroup]) -> list[list[int]]:
        requests = requests_for(groups, self._settings)
        return partitions_of(
            self._pipeline.run(lambda pipeline: answers_of(pipeline, Pipeline.partitions, requests))
        )


def _chunks(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """The records in chunks that are the same in every run."""
    for first in range(0, len(records), CHUNK):
        yield records[first : first + CHUNK]


def _read(text: str) -> list[Measured]:
    """What `Measurer` has written; JSON keeps every bit of a number, NaN included."""
    return [Measured(Classes(**one["classes"]), one["figures"]) for one in json.loads(text)]
