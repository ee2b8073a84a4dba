"""Records through the service's own pipeline: their classes, and cosines of their embeddings."""

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
"""Records in flight at a time: enough to fill batches."""


def partitions(records: Sequence[Record], settings: Settings) -> list[list[int]]:
    """Classes of each record's rollouts. Raises `ModelError` or `ValueError`."""
    return [group.partition for group in asyncio.run(_judge(records, settings, False))]


def similarities(records: Sequence[Record], encoder: str, settings: Settings) -> list[FloatArray]:
    """(n, n) cosines of each record's rollouts by a sentence encoder, named as for `--model`."""
    # The settings are those of `--model`: the encoder takes over what it reads.
    options = replace(only_read(encoder, settings.model_options()), threshold=None, linkage=None)
    own = settings.model_copy(update={"model": encoder, **asdict(options)})
    groups = asyncio.run(_judge(records, own, True))
    matrices = []
    for group in groups:
        assert group.probabilities is not None, "they were asked for"
        cosines = 2.0 * np.asarray(group.probabilities, dtype=np.float64) - 1.0
        np.fill_diagonal(cosines, 1.0)
        matrices.append(cosines)
    return matrices


async def _judge(
    records: Sequence[Record], settings: Settings, with_probabilities: bool
) -> list[PartitionedGroup]:
    pipeline = Pipeline(settings.unbounded())
    await pipeline.start()
    room = asyncio.Semaphore(WINDOW)
    with progress(total=len(records), unit="group") as bar:

        async def judged(record: Record) -> PartitionedGroup:
            request = PartitionRequest(
                groups=[PromptGroup(prompt=record.prompt, rollouts=list(record.texts))],
                partition=PartitionOptions(linkage=settings.linkage),
                return_probabilities=with_probabilities,
            )
            async with room:
                answer = await pipeline.partitions(request)
            bar.update()
            return answer.groups[0]

        try:
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(judged(record)) for record in records]
        except* Problem as problems:
            raise ModelError(str(problems.exceptions[0])) from None
        finally:
            await pipeline.drain()
    return [task.result() for task in running]
