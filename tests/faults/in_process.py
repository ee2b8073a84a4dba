"""The app in this process, for tests of many requests at one time and of what it holds."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from darling_service.app import create_app
from darling_service.http.state import Service
from darling_service.keys import ApiKey, Limits, new_key
from darling_service.settings import Settings


@asynccontextmanager
async def client_of(**settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app with these settings, once it is ready."""
    async with client_and_service(**settings) as (http, _):
        yield http


@asynccontextmanager
async def client_and_service(**settings: Any) -> AsyncIterator[tuple[httpx.AsyncClient, Service]]:
    service = Service(Settings(**{"model": "exact", **settings}))
    app = create_app(service)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://service") as http,
    ):
        for _ in range(6000):
            if (await http.get("/health/ready")).status_code == 200:
                break
            await asyncio.sleep(0.01)
        yield http, service


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def keys_of(*names: str, limits: Limits | None = None) -> tuple[list[str], str]:
    """A new key for each name, and the lines of all of them."""
    made = [new_key(name, limits or Limits()) for name in names]
    return [key for key, _ in made], lines([kept for _, kept in made])


def lines(keys: Sequence[ApiKey]) -> str:
    return "".join(f"{key.line()}\n" for key in keys)
