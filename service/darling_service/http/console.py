"""The console's static files. They need no key; what the page asks of the API does."""

from pathlib import Path
from typing import Any

from fastapi import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from darling_service.http.auth import CONSOLE

PACKAGE = Path(__file__).parent.parent
FOLDERS = (PACKAGE / "console", PACKAGE.parent / "console")
"""Where the files are in an installed package, and in a checkout."""
FOLDER = next((folder for folder in FOLDERS if folder.is_dir()), FOLDERS[0])
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""What the page may load and reach: files and routes of this service. Browsers apply it beside the
policy of every answer, which lets the page at /docs have a script in it: none could run here, not
even one that a rollout holds."""


class ConsoleFiles(StaticFiles):
    """Serves the files of `service/console` under `CONSOLE`."""

    path = CONSOLE
    """Name of the route in the log and the metrics, for all files together."""

    def __init__(self) -> None:
        super().__init__(directory=FOLDER, html=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self
        await super().__call__(scope, receive, send)

    def file_response(self, *arguments: Any, **named: Any) -> Response:
        response = super().file_response(*arguments, **named)
        response.headers["Content-Security-Policy"] = POLICY
        return response
