"""What the service writes to standard error: plain lines, or one JSON object a line.

A line names the request that it belongs to. No line holds a prompt or a rollout: a traceback names
types and places, and no messages, unless `log_texts` is set.
"""

import asyncio
import logging
import sys
from contextlib import suppress
from datetime import UTC, datetime
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, Literal, TextIO

import orjson

from darling_service.request_id import current
from darling_service.tracebacks import types_and_places

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["plain", "json"]

log = logging.getLogger(__name__)

OWN = ("darling_service", "darling_models")
"""Loggers that `log_level` sets. Those of libraries write from warnings on: below, httpx logs each
call to a model server."""
KEPT_LINES = 10_000
"""Lines that wait to be written: some seconds of a busy service. More are dropped, and counted."""
FLUSH_S = 1.0
"""Seconds that a process that ends waits until its last lines are written."""
CONTROLS = {
    code: chr(code).encode("unicode_escape").decode()
    for code in (*range(32), *range(127, 160), 0x2028, 0x2029)
}
"""How control characters and line ends of a message are written, so that it stays one line."""


def configure(level: LogLevel, form: LogFormat, with_texts: bool = False) -> None:
    """Sends what this process logs to standard error. Warnings of Python are logged too.

    `with_texts`: whether tracebacks end with their messages, which may quote a prompt or a rollout.
    """
    handler = Writer(sys.stderr)
    handler.setFormatter(JsonLines(with_texts) if form == "json" else PlainLines(with_texts))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in OWN:
        logging.getLogger(name).setLevel(level.upper())
    logging.captureWarnings(True)


def log_unexpected(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Logs what nobody has caught on the event loop, without the arguments that asyncio quotes."""
    what = context["message"]
    what = what.partition("(")[0] if what.startswith("Exception in ") else what
    log.error("on the event loop: %s", what, exc_info=context.get("exception"))


class Writer(logging.Handler):
    """Writes lines in a thread of its own: where nobody reads standard error, a full pipe stops
    whoever writes to it, and that must not be the event loop."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        # Not `Queue`, whose lock a signal's handler that logs would wait for in the thread that
        # holds it.
        self._lines: SimpleQueue[str | Event] = SimpleQueue()
        self._dropped = 0
        Thread(target=self._write, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        if self._lines.qsize() >= KEPT_LINES:
            self._dropped += 1
            return
        try:
            if self._dropped:
                told = f"lines of the log dropped, since nobody read it: {self._dropped}"
                warning = log.makeRecord(log.name, logging.WARNING, __file__, 0, told, (), None)
                self._dropped = 0
                self._lines.put(self.format(warning))
            self._lines.put(self.format(record))
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Waits until all is written, `FLUSH_S` at most."""
        written = Event()
        self._lines.put(written)
        written.wait(FLUSH_S)

    def _write(self) -> None:
        while True:
            line = self._lines.get()
            if isinstance(line, Event):
                line.set()
                continue
            with suppress(OSError, ValueError):  # a full disk, a closed stream
                self._stream.write(f"{line}\n")
                self._stream.flush()


class Lines(logging.Formatter):
    """Lines whose tracebacks have messages only if they may hold texts."""

    def __init__(self, with_texts: bool = False) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")
        self._with_texts = with_texts

    def formatException(self, ei: Any) -> str:  # noqa: N802 (logging's name)
        return super().formatException(ei) if self._with_texts else types_and_places(ei[1])


class PlainLines(Lines):
    """`2026-11-27 20:00:00,123 INFO message [request ID]`; a traceback follows on lines of its
    own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        line = super().formatMessage(record).translate(CONTROLS)
        request = current()
        return line if request is None else f"{line} [request {request.id}]"


class JsonLines(Lines):
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
