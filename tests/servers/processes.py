"""Servers that stand in for a fleet: real processes, on a port of their own choice."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.commands import Command


@dataclass(frozen=True)
class Server:
    url: str
    process: Command


@contextmanager
def serving(module: str, *arguments: str) -> Iterator[Server]:
    """`python -m module arguments`, which prints its URL once it answers; killed at the end."""
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said"
        process = Command(list(arguments), module=module, stdout=said)
        try:
            while not (said.exists() and said.read_text().endswith("\n")):
                if process.poll() is not None:
                    raise RuntimeError(f"{module} did not start")
                time.sleep(0.02)
            yield Server(said.read_text().splitlines()[0], process)
        finally:
            process.kill()
            process.wait(timeout=30)


Answer = Callable[[str, dict[str, Any], dict[str, str]], tuple[int, Any]]
"""(path, body, headers) to (status, body)."""


def answer_posts(answer: Answer) -> None:
    """Serves JSON over HTTP/1.1 for ever, printing the URL first."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, said = answer(self.path, body, dict(self.headers.items()))
            encoded = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
