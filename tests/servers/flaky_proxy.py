"""A proxy before a real service that first misbehaves as told: `--refuse 5 --retry-after 1`.

GET /seen lists what came: the path, the content-encoding and the seconds since the start of each.
"""

import argparse
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("upstream")
    parser.add_argument("--refuse", type=int, default=0, help="requests answered `--status` first")
    parser.add_argument("--status", type=int, default=429)
    parser.add_argument("--retry-after", help="header of a refusal")
    parser.add_argument("--drop", type=int, default=0, help="requests that get no answer first")
    parser.add_argument("--delay", type=float, default=0, help="seconds before every answer")
    parser.add_argument("--nonsense", action="store_true", help="answer 200 with something else")
    given = parser.parse_args()
    seen: list[dict[str, Any]] = []
    lock, started = threading.Lock(), time.monotonic()
    upstream = httpx.Client(base_url=given.upstream, timeout=60)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._say(200, {}, json.dumps(seen).encode())

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            with lock:
                number = len(seen)
                seen.append(
                    {
                        "path": self.path,
                        "encoding": self.headers.get("content-encoding"),
                        "at": time.monotonic() - started,
                    }
                )
            time.sleep(given.delay)
            if number < given.drop:
                self.close_connection = True
                return
            if number < given.drop + given.refuse:
                headers = {"retry-after": given.retry_after} if given.retry_after else {}
                self._say(given.status, headers, b'{"detail": "told to refuse"}')
                return
            if given.nonsense:
                self._say(200, {}, b'{"rewards": "plenty"}')
                return
            passed = {k: v for k, v in self.headers.items() if k.lower() != "host"}
            answer = upstream.post(self.path, content=raw, headers=passed)
            self._say(answer.status_code, dict(answer.headers), answer.content)

        def _say(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            kept = {k: v for k, v in headers.items() if k in ("content-type", "retry-after")}
            for name, value in (kept | {"content-length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
