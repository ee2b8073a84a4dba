"""How a client reaches the service and how long it keeps trying."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field, fields
from typing import Any

from darling_client._hosts import Hosts
from darling_client._outages import Outages

DEFAULT_URL = "http://127.0.0.1:8000"


@dataclass(eq=False)
class Options:
    """What both clients are made with. Raises `ValueError`."""

    urls: str | Sequence[str] | None = None
    """One service, or several that serve the same model (list or commas); default `DARLING_URL`."""
    _: KW_ONLY
    token: str | None = field(default=None, repr=False)
    """Sent as `Authorization: Bearer`; default `DARLING_API_KEY`."""
    patience_s: float = 600
    """Longest time for one call, all its groups and tries together; then `Unavailable`."""
    timeout_s: float = 600
    """Longest wait for one answer, after which the request is sent again."""
    connect_timeout_s: float = 5
    parallel: int = 16
    """Groups of one call in flight at a time."""
    gzip_bytes: int = 64 * 2**10
    """Bodies from this size on are compressed."""
    backoff_s: float = 0.25
    """First pause between tries; doubled each time, cut by up to half at random."""
    longest_backoff_s: float = 10
    rest_s: float = 5
    """How long a host that does not answer is passed over, where there is another."""
    hosts: Hosts = field(init=False, repr=False)
    outages: Outages = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.parallel < 1:
            raise ValueError(f"parallel is {self.parallel}; give at least 1")
        for name in ("timeout_s", "connect_timeout_s", "patience_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; give seconds above 0")
        self.urls = _base_urls(self.urls)
        self.token = self.token or os.environ.get("DARLING_API_KEY")
        self.hosts = Hosts(self.urls)
        self.outages = Outages()

    def deadline(self, held_s: float | None = None) -> float:
        """When a call that starts now is given up, by `time.monotonic()`.

        `held_s`: how long the service may hold it on purpose.
        """
        return time.monotonic() + self.patience_s + (held_s or 0)

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.init}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]


def _base_urls(given: str | Sequence[str] | None) -> tuple[str, ...]:
    if given is None:
        given = os.environ.get("DARLING_URL") or DEFAULT_URL
    listed = given.split(",") if isinstance(given, str) else given
    urls = tuple(dict.fromkeys(url.strip().rstrip("/") for url in listed if url.strip()))
    if not urls or not all(url.startswith(("http://", "https://")) for url in urls):
        raise ValueError(f"urls are {given!r}; give base URLs such as {DEFAULT_URL}")
    return urls
