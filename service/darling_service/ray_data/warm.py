"""A pipeline that a worker of Ray keeps loaded between its tasks."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from darling_service.pipeline import Pipeline
from darling_service.settings import Settings

T = TypeVar("T")


class WarmPipeline:
    """Loads the model when it is first asked for, so that a fault is told as that of a task."""

    def __init__(self, settings: Settings) -> None:
        self._pipeline = Pipeline(settings.unbounded())
        self._runner = asyncio.Runner()
        self._started = False

    def run(self, work: Callable[[Pipeline], Coroutine[Any, Any, T]]) -> T:
        """What `work` returns for the pipeline. Raises what it raises, and `ModelError`."""
        return self._runner.run(self._work(work))

    async def _work(self, work: Callable[[Pipeline], Coroutine[Any, Any, T]]) -> T:
        if not self._started:
            await self._pipeline.start()
            self._started = True
        return await work(self._pipeline)
