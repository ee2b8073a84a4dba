"""A server in a thread of the test that accepts connections and, while it is silent, never answers.

Once `speak` is called, new connections are answered by a function; those that it has swallowed stay
without an answer, as after a network partition.
"""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Silent:
    url: str
    answer: Callable[[Any], Any] | None = None
    """What a POST's JSON is answered with; None: nothing."""
    swallowed: list[socket.socket] = field(default_factory=list)
    """Connections that were never answered."""

    def speak(self, answer: Callable[[Any], Any]) -> None:
        self.answer = answer

    def fall_silent(self) -> None:
        self.answer = None


@contextmanager
def silent() -> Iterator[Silent]:
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    server = Silent(f"http://127.0.0.1:{listening.getsockname()[1]}")
    threads: list[threading.Thread] = []

    def converse(connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        while True:
            length = 0
            while (line := stream.readline()).strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            if not line:
                break
            body = json.loads(stream.read(length) or b"null")
            if server.answer is None:
                server.swallowed.append(connection)
                return
            raw = json.dumps(server.answer(body)).encode()
            head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(raw)}\r\n\r\n"
            connection.sendall(head.encode() + raw)
        connection.close()

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=converse, args=(connection,), daemon=True)
            thread.start()
            threads.append(thread)

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield server
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        accepting.join()
        for connection in server.swallowed:
            connection.close()
