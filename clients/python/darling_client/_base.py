"""What the blocking client and the one for asyncio have in common."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from darling_client._hosts import Hosts
from darling_client._options import ClientParams, Options, read_options
from darling_client._outages import Outages

if TYPE_CHECKING:
    from typing_extensions import Unpack


class BaseClient:
    """A client's options, the state of its hosts and the log of its outages.

    Pickling keeps the options alone: the copy opens connections of its own.
    """

    def __init__(
        self, urls: str | Sequence[str] | None = None, **params: Unpack[ClientParams]
    ) -> None:
        """`urls`: one service, or several that serve the same model, as a list or with commas;
        default: the environment variable `DARLING_URL`. `params`: see `Options`.

        Raises `ValueError` that names the argument.
        """
        self._set_up(read_options(urls, params))

    def _set_up(self, options: Options) -> None:
        self.options = options
        self.hosts = Hosts(options.urls)
        self.outages = Outages()

    def _deadline(self, held_s: float | None = None) -> float:
        """When a call that starts now is given up, by `time.monotonic()`.

        `held_s`: seconds for which the service may hold the call on purpose.
        """
        return time.monotonic() + self.options.patience_s + float(held_s or 0)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.options})"

    def __getstate__(self) -> Options:
        return self.options

    def __setstate__(self, options: Options) -> None:
        self._set_up(options)
