"""Requests that a command answers in its own process: the service's pipeline without HTTP."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from darling_models.errors import ModelError
from darling_models.progress import progress
from darling_service.errors import Problem
from darling_service.pipeline import Pipeline
from darling_service.settings import Settings

WINDOW = 32
"""Requests in flight at a time, each with one group: enough to fill the model's batches."""

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class Unanswered(ModelError):
    """A request has no answer; the message is the problem's."""

    def __init__(self, index: int, problem: Problem) -> None:
        super().__init__(str(problem))
        self.index = index
        """Place of the request among all."""


def answers(
    answer: Callable[[Pipeline, Request], Awaitable[Answer]],
    requests: Sequence[Request],
    settings: Settings,
) -> list[Answer]:
    """What `answer`, a method of `Pipeline`, returns for each request, in order.

    No limit of queue and time holds. Raises `ModelError`; `Unanswered` where a request is at fault.
    """
    return asyncio.run(_answers(answer, requests, settings.unbounded())) if requests else []


async def _answers(
    answer: Callable[[Pipeline, Request], Awaitable[Answer]],
    requests: Sequence[Request],
    settings: Settings,
) -> list[Answer]:
    pipeline = Pipeline(settings)
    await pipeline.start()
    try:
        return await answers_of(pipeline, answer, requests)
    finally:
        await pipeline.stop()


async def answers_of(
    pipeline: Pipeline,
    answer: Callable[[Pipeline, Request], Awaitable[Answer]],
    requests: Sequence[Request],
) -> list[Answer]:
    """What `answer` returns for each request, in order, of a pipeline that has started.

    Raises `Unanswered` where a request is at fault.
    """
    room = asyncio.Semaphore(WINDOW)
    with progress(total=len(requests), unit="group") as bar:

        async def one(index: int, request: Request) -> Answer:
            async with room:
                try:
                    response = await answer(pipeline, request)
                except Problem as problem:
                    raise Unanswered(index, problem) from None
            bar.update()
            return response

        try:
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(one(*numbered)) for numbered in enumerate(requests)]
        except* Unanswered as faults:
            raise faults.exceptions[0] from None
    return [task.result() for task in running]
