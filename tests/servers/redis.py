"""A Redis in a thread of the test, as far as the shared cache needs one, which misbehaves as told.

It keeps what is set, and answers each command in the mode of the moment.
"""

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader

MODES = ("well", "slow", "garbage", "too few", "other keys", "closing", "silent")
SLOW_S = 0.3
"""Seconds that a slow answer takes: longer than the service waits."""


@dataclass
class Redis:
    url: str
    mode: str = "well"
    kept: dict[bytes, bytes] = field(default_factory=dict)
    connections: list[socket.socket] = field(default_factory=list)

    def answer(self, command: list[bytes]) -> bytes:
        """The reply to a command, in the protocol's words; empty: none, and the end."""
        name = command[0].upper()
        if name not in (b"GET", b"MGET", b"SET"):
            return b"+OK\r\n"  # CLIENT SETINFO and the like
        if name == b"SET":
            self.kept[command[1]] = command[2]
        if self.mode == "slow":
            time.sleep(SLOW_S)
        if self.mode == "garbage":
            return random.choice([b"\x00\xff\r\n", b"$-7\r\n", b"*2\r\n:1\r\n", b"+well?\r\n"])
        if self.mode in ("closing", "silent"):
            return b""
        if name == b"SET":
            return b"+OK\r\n"
        values = [self.kept.get(key) for key in command[1:]]
        if self.mode == "too few":
            values = values[:-1]
        if self.mode == "other keys":
            values = random.choices(list(self.kept.values()) or [b"x"], k=len(values))
        bulks = (b"$-1\r\n" if v is None else b"$%d\r\n%s\r\n" % (len(v), v) for v in values)
        return b"*%d\r\n" % len(values) + b"".join(bulks)

    def stop(self) -> None:
        """Breaks every connection, as the end of its process does."""
        self.mode = "closing"
        for connection in self.connections:
            connection.close()


@contextmanager
def redis() -> Iterator[Redis]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = Redis(f"redis://127.0.0.1:{listening.getsockname()[1]}/0")

    def converse(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while (command := _read(stream)) is not None:
                reply = server.answer(command)
                if not reply:
                    if server.mode == "silent":
                        stream.read()  # until the caller goes
                    return
                connection.sendall(reply)

    def safely(connection: socket.socket) -> None:
        try:
            converse(connection)
        except (OSError, ValueError):  # the caller has gone, or `stop` has closed it
            return

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            server.connections.append(connection)
            threading.Thread(target=safely, args=(connection,), daemon=True).start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield server
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        accepting.join()
        server.stop()


def _read(stream: BufferedReader) -> list[bytes] | None:
    """The next command; None at the end of the connection."""
    head = stream.readline()
    if not head.startswith(b"*"):
        return None
    words = []
    for _ in range(int(head[1:])):
        length = int(stream.readline()[1:])
        words.append(stream.read(length + 2)[:length])
    return words
