"""Scoring without HTTP, in a script or a notebook: the pipeline in a thread of its own.

A call blocks until its answer is there. It may be made from any thread, also from one that runs an
event loop, as a notebook's does.
"""

import asyncio
import atexit
import json
from collections.abc import Coroutine, Iterable, Mapping
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self, TypeVar

from darling_service.pipeline import Pipeline
from darling_service.schemas.parse import parse
from darling_service.schemas.requests import PartitionRequest, RewardRequest
from darling_service.schemas.responses import PartitionedGroup, RewardedGroup
from darling_service.scored_lines import rewards_after_pauses
from darling_service.settings import Settings

T = TypeVar("T")


class Scorer:
    """A loaded model that scores groups in this process; `close` it, or use it in a `with`."""

    def __init__(self, model: str = "embedded", **settings: Any) -> None:
        """Loads the model; `settings` are those of docs/operations.md, and without one the
        environment's `DARLING_*` holds.

        Raises `ModelError` for a model that cannot be loaded, and `ValueError` for a setting.
        """
        known = Settings.model_fields
        if unknown := sorted(settings.keys() - known.keys()):
            raise ValueError(f"{unknown[0]} is no setting; docs/operations.md lists them")
        self._pipeline = Pipeline(Settings(model=model, **settings).unbounded())
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="scorer", daemon=True)
        self._thread.start()
        self._closed = False
        atexit.register(self._abandon)
        try:
            self._result(self._pipeline.start())
        except BaseException:
            self.close()
            raise

    def rewards(self, groups: Iterable[Mapping[str, Any]], **fields: Any) -> list[RewardedGroup]:
        """What `POST /v1/rewards` answers for each group, in order.

        `groups` and `fields` are those of a request: a group has `prompt`, `rollouts`, `quality`
        and the like, and a request `reward`, `partition`, `run` and `return_probabilities`. Arrays
        of NumPy and torch count as lists. Raises `darling_service.errors.Invalid`, which names
        every wrong field, and `Unavailable` if the model fails.
        """
        request = parse(_json({**fields, "groups": list(groups)}), RewardRequest)
        return self._result(rewards_after_pauses(self._pipeline, request)).groups

    def partitions(
        self, groups: Iterable[Mapping[str, Any]], **fields: Any
    ) -> list[PartitionedGroup]:
        """What `POST /v1/partitions` answers for each group, likewise."""
        request = parse(_json({**fields, "groups": list(groups)}), PartitionRequest)
        return self._result(self._pipeline.partitions(request)).groups

    def close(self) -> None:
        """Ends the model. A second time does nothing."""
        if self._closed:
            return
        self._result(self._pipeline.stop())
        self._end_loop()
        atexit.unregister(self._abandon)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _abandon(self) -> None:
        """Ends the tasks when the interpreter ends, which then takes no more work for threads."""
        self._result(_cancel_others())
        self._end_loop()

    def _end_loop(self) -> None:
        self._closed = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _result(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work returns in the scorer's own thread, which an interrupt gives up."""
        if self._closed:
            work.close()
            raise ValueError("the scorer is closed; make another")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


async def _cancel_others() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def score_groups(
    groups: Iterable[Mapping[str, Any]], *, model: str = "embedded", **fields: Any
) -> list[RewardedGroup]:
    """The rewards of each group, as `Scorer(model).rewards` gives them.

    A model is loaded at its first use, and stays loaded until the process ends.
    """
    with _LOADING:
        if model not in _SCORERS:
            _SCORERS[model] = Scorer(model)
    return _SCORERS[model].rewards(groups, **fields)


_SCORERS: dict[str, Scorer] = {}
_LOADING = Lock()


def _json(body: Mapping[str, Any]) -> bytes:
    """The body as it would be sent, so that it is checked in the same words."""
    return json.dumps(body, default=_plain).encode()


def _plain(value: Any) -> Any:
    """An array of NumPy or torch as lists of numbers, and an iterable as a list."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{type(value).__name__} is no JSON; give numbers, texts, lists and dicts")
