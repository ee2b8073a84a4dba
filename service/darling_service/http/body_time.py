"""The time of a request's body: one that stalls, or hardly comes, is given up with 408."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from darling_service.errors import RequestTimeout

STALLED_S = 20.0
"""Seconds without a byte after which a body is given up: several times what it takes to send a lost
packet anew."""
SLOW_S = 30.0
"""Seconds from which on a body must have come with `MIN_BYTES_PER_S` on average."""
MIN_BYTES_PER_S = 1024
"""A fifth of a modem. A thousand connections that send as little take 1 MB of memory a second."""


class BodyTime:
    """Raises `RequestTimeout` in whoever reads a body that comes too slowly.

    Only the time counts in which it is waited for: a service that is slow to read blames nobody.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        waited_s, received, ended = 0.0, 0, False

        async def receive_in_time() -> Message:
            nonlocal waited_s, received, ended
            if ended:  # what follows a body is that its caller hangs up, whenever that is
                return await receive()
            loop = asyncio.get_running_loop()
            began = loop.time()
            try:
                async with asyncio.timeout(STALLED_S):
                    message = await receive()
            except TimeoutError:
                raise RequestTimeout(
                    f"no byte of the body came for {STALLED_S:g} s; send it again"
                ) from None
            waited_s += loop.time() - began
            received += len(message.get("body", b""))
            ended = not message.get("more_body", False)
            if not ended and waited_s > SLOW_S and received < MIN_BYTES_PER_S * waited_s:
                raise RequestTimeout(
                    f"{received} bytes of the body came in {waited_s:.0f} s; send at least "
                    f"{MIN_BYTES_PER_S} bytes a second"
                )
            return message

        await self._app(scope, receive_in_time, send)
