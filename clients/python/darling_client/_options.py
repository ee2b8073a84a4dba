"""How a client reaches the service and how long it keeps trying."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypedDict

import httpx

from darling_client._json import plain

DEFAULT_URL = "http://127.0.0.1:8000"


KINDS: dict[Any, tuple[type, ...]] = {"int": (int,), "float": (int, float)}
"""The types that a numeric option may have, by its annotation."""


class ClientParams(TypedDict, total=False):
    """The keyword arguments of `Client` and `AsyncClient`; `Options` says what each means."""

    token: str | None
    patience_s: float
    timeout_s: float
    connect_timeout_s: float
    parallel: int
    gzip_bytes: int
    backoff_s: float
    longest_backoff_s: float
    rest_s: float
    send_timeout: bool


@dataclass(frozen=True)
class Options:
    """The options of a client, fixed for its life. Raises `ValueError` that names the wrong one."""

    urls: tuple[str, ...]
    """Base URLs of the service; all of them serve the same model."""
    token: str | None = field(default=None, repr=False)
    """Sent with every request as `Authorization: Bearer`."""
    patience_s: float = 600
    """Seconds that one call may take, with all its groups and retries; then it is `Unavailable`.
    Lower it where the trainer gives up sooner."""
    timeout_s: float = 600
    """Seconds to wait for one response, after which the request is sent again."""
    connect_timeout_s: float = 5
    """Seconds to wait for a connection, after which the request is sent again."""
    parallel: int = 16
    """Groups of one call that may be in flight at the same time."""
    gzip_bytes: int = 64 * 2**10
    """Request bodies of at least this many bytes are compressed."""
    backoff_s: float = 0.25
    """Seconds before the first retry; doubled for each further one, then cut by up to half at
    random."""
    longest_backoff_s: float = 10
    """Most seconds that doubling `backoff_s` leads to."""
    rest_s: float = 5
    """Seconds for which a host that does not respond is passed over, where there is another."""
    send_timeout: bool = True
    """Whether each request says how long it waits (`X-Request-Timeout`), so that the service
    refuses at once what it could not answer by then. Turn it off behind a proxy that refuses the
    header."""

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            kinds = KINDS.get(option.type)
            if kinds and (not isinstance(value, kinds) or isinstance(value, bool)):
                raise ValueError(f"{option.name} is {value!r:.80}; give a number")
        if self.parallel < 1:
            raise ValueError(f"parallel is {self.parallel}; give a number of at least 1")
        for name in ("timeout_s", "connect_timeout_s", "patience_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; give seconds above 0")


def read_options(urls: str | Sequence[str] | None, params: ClientParams) -> Options:
    """The options of a client. `urls`: a list, or one string with commas.

    The environment fills in what is missing: `DARLING_URL` the URLs, `DARLING_API_KEY` the token.
    """
    # A key that comes from a file often ends in a newline, which no header may hold.
    token = (params.get("token") or os.environ.get("DARLING_API_KEY") or "").strip() or None
    if token is not None and not token.isprintable():
        raise ValueError("token holds a character that no header may hold; give the key alone")
    complete: Any = {**{name: plain(value) for name, value in params.items()}, "token": token}
    return Options(_base_urls(urls), **complete)


def _base_urls(urls: str | Sequence[str] | None) -> tuple[str, ...]:
    if urls is None:
        urls = os.environ.get("DARLING_URL") or DEFAULT_URL
    separate = urls.split(",") if isinstance(urls, str) else urls
    base_urls = tuple(dict.fromkeys(url.strip().rstrip("/") for url in separate if url.strip()))
    if not base_urls or not all(map(_is_base_url, base_urls)):
        raise ValueError(f"urls is {urls!r}; give base URLs such as {DEFAULT_URL}")
    return base_urls


def _is_base_url(url: str) -> bool:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    is_host = re.fullmatch(r"[\w.:-]+", parsed.host) is not None
    is_port = parsed.port is None or 0 < parsed.port < 2**16
    whole = not (parsed.query or parsed.fragment)
    return parsed.scheme in ("http", "https") and is_host and is_port and whole
