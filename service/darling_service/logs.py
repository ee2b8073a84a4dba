"""What the service writes to standard error: plain lines, or one JSON object a line.

A line names the request that it belongs to. No line holds a prompt or a rollout.
"""

import logging
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from darling_service.request_id import current

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["plain", "json"]

OWN = ("darling_service", "darling_models")
"""Loggers that `log_level` sets. Those of libraries write from warnings on: below, httpx logs each
call to a model server."""
CONTROLS = {
    code: chr(code).encode("unicode_escape").decode()
    for code in (*range(32), *range(127, 160), 0x2028, 0x2029)
}
"""How control characters and line ends of a message are written, so that it stays one line."""


def configure(level: LogLevel, form: LogFormat) -> None:
    """Sends what this process logs to standard error. Warnings of Python are logged too."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else PlainLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in OWN:
        logging.getLogger(name).setLevel(level.upper())
    logging.captureWarnings(True)


class PlainLines(logging.Formatter):
    """`2026-11-27 20:00:00,123 INFO message [request ID]`; a traceback follows on lines of its
    own."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        line = super().formatMessage(record).translate(CONTROLS)
        request = current()
        return line if request is None else f"{line} [request {request.id}]"


class JsonLines(logging.Formatter):
    """`{"time": ..., "level": ..., "logger": ..., "message": ...}` with `request_id` in a request,
    the fields of an access line, and `traceback` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage().encode(errors="backslashreplace").decode(),
        }
        if (request := current()) is not None:
            line["request_id"] = request.id
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=repr).decode()
