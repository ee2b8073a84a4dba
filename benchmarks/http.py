"""A minimal HTTP/1.1 client for load tests: one connection per caller, and JSON bodies."""

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit


class Connection:
    """A connection that is opened on first use, kept alive, and reopened after `drop`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        """Returns (status, body)."""
        await self.send(path, body)
        return await self.receive()

    async def send(self, path: str, body: Any) -> None:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        _, writer = self._streams
        encoded = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nhost: {self._host}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(encoded)}\r\n\r\n"
        )
        writer.write(head.encode() + encoded)
        await writer.drain()

    async def receive(self) -> tuple[int, Any]:
        assert self._streams is not None, "send first"
        reader, _ = self._streams
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().splitlines()
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        body = await reader.readexactly(int(headers["content-length"]))
        return int(lines[0].split()[1]), json.loads(body)

    async def drop(self) -> None:
        """Closes the connection without waiting for an answer."""
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            await writer.wait_closed()
