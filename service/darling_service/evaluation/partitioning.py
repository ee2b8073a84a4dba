"""The classes of records, and cosines of their embeddings, from the service's own pipeline."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np

from darling_models.errors import ModelError
from darling_models.progress import progress
from darling_models.registry import only_read
from darling_service.errors import Problem
from darling_service.evaluation.records import Record
from darling_service.pipeline import Pipeline
from darling_service.rewards.exact import FloatArray
from darling_service.schemas.requests import PartitionOptions, PartitionRequest, PromptGroup
from darling_service.schemas.responses import PartitionedGroup
from darling_service.settings import Settings

WINDOW = 32
"""Records in flight at a time: enough to fill the model's batches."""


def partitions(records: Sequence[Record], settings: Settings) -> list[list[int]]:
    """The class of each rollout, record by record. Raises `ModelError` or `ValueError`."""
    return [group.partition for group in asyncio.run(_partition(records, settings, False))]


def similarities(records: Sequence[Record], encoder: str, settings: Settings) -> list[FloatArray]:
    """Cosines (n, n) of each record's rollouts, by an encoder named as for `--model`.

    Raises `ModelError` or `ValueError`.
    """
    # The settings are those of `--model`: the encoder takes over what it reads.
    options = replace(only_read(encoder, settings.model_options()), threshold=None, linkage=None)
    own = settings.model_copy(update={"model": encoder, **asdict(options)})
    groups = asyncio.run(_partition(records, own, True))
    matrices = []
    for group in groups:
        assert group.probabilities is not None, "the request wants them"
        cosines = 2.0 * np.asarray(group.probabilities, dtype=np.float64) - 1.0
        np.fill_diagonal(cosines, 1.0)
        matrices.append(cosines)
    return matrices


async def _partition(
    records: Sequence[Record], settings: Settings, with_probabilities: bool
) -> list[PartitionedGroup]:
    pipeline = Pipeline(settings.unbounded())
    await pipeline.start()
    room = asyncio.Semaphore(WINDOW)
    with progress(total=len(records), unit="group") as bar:

        async def partition(record: Record) -> PartitionedGroup:
            request = PartitionRequest(
                groups=[PromptGroup(prompt=record.prompt, rollouts=list(record.texts))],
                # The texts of a record are those that count.
                partition=PartitionOptions(linkage=settings.linkage, text="all"),
                return_probabilities=with_probabilities,
            )
            async with room:
                answer = await pipeline.partitions(request)
            bar.update()
            return answer.groups[0]

        try:
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(partition(record)) for record in records]
        except* Problem as problems:
            raise ModelError(str(problems.exceptions[0])) from None
        finally:
            await pipeline.drain()
    return [task.result() for task in running]
