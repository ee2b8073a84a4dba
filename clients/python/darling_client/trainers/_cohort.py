"""Siblings that arrive one by one in this process and are scored together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

R = TypeVar("R")
S = TypeVar("S")


class Cohort(Generic[R, S]):
    """Siblings that are scored when all who joined have arrived or left."""

    def __init__(self, score: Callable[[list[R]], Awaitable[list[S]]]) -> None:
        self._score = score
        self._members = 0
        self._arrived: list[R] = []
        self._scores: asyncio.Future[list[S]] = asyncio.get_running_loop().create_future()

    def join(self) -> None:
        """Announces a member, for whom the others wait until it arrives or leaves."""
        self._members += 1

    def leave(self) -> None:
        """Takes a member that has joined out again, so that the others do not wait for it."""
        self._members -= 1
        self._check()

    async def arrive(self, row: R) -> S:
        """Returns the score of `row` among its siblings, once the last of them has arrived."""
        index = len(self._arrived)
        self._arrived.append(row)
        self._check()
        return (await asyncio.shield(self._scores))[index]

    def _check(self) -> None:
        if self._members and len(self._arrived) == self._members:
            self._task = asyncio.ensure_future(self._resolve())

    async def _resolve(self) -> None:
        try:
            self._scores.set_result(await self._score(self._arrived))
        except BaseException as error:
            self._scores.set_exception(error)


class Cohorts(Generic[R, S]):
    """The cohorts that can be joined now, by key.

    Tasks that are started together all run until their first await before the event loop comes
    round again, so those that join until then are siblings.
    """

    def __init__(self, score: Callable[[list[R]], Awaitable[list[S]]]) -> None:
        self._score = score
        self._open: dict[Hashable, Cohort[R, S]] = {}

    def join(self, key: Hashable) -> Cohort[R, S]:
        """Joins the cohort of the key. Call it before the task's first await."""
        cohort = self._open.get(key)
        if cohort is None:
            cohort = self._open[key] = Cohort(self._score)
            asyncio.get_running_loop().call_soon(self._open.pop, key)
        cohort.join()
        return cohort
