"""Stands in for the packages of trainers, so that a page's Python runs where none is installed.

A stand-in module has every name, and every name can be called, indexed and derived from. The
trainers' own packages run with the adapters in `make test-trainers`.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from unittest.mock import MagicMock

TRAINERS = frozenset(
    {"chz", "nemo_rl", "openrlhf", "ray", "skyrl", "swift", "tinker_cookbook", "trl", "verifiers"}
)
"""Packages that pages import and that the tests' environment need not have."""


class StandIn(MagicMock):
    """What is derived from it is a class of its own."""

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        return (_Base,)


class _Base:
    """Takes any arguments, and has every attribute."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def __getattr__(self, name: str) -> StandIn:
        return StandIn(name=name)


class _Finder(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not _is_trainer(fullname):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module: ModuleType = StandIn(name=spec.name)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """A stand-in has nothing to run."""


@contextmanager
def trainers() -> Iterator[None]:
    """Imports of trainers give stand-ins, and what had been imported before is back afterwards."""
    before = {name: module for name, module in sys.modules.items() if _is_trainer(name)}
    finder = _Finder()
    _forget()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        _forget()
        sys.modules.update(before)


def _forget() -> None:
    for name in [name for name in sys.modules if _is_trainer(name)]:
        del sys.modules[name]


def _is_trainer(module: str) -> bool:
    return module.partition(".")[0] in TRAINERS
