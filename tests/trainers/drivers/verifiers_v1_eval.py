"""verifiers' own evaluation of an environment: verifiers_v1_eval.py < [[response, ...], ...]

The model says the responses one after another, and refuses where one is null. Prints the episodes.
"""

import json
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from verifiers.v1.cli.eval.main import main


class Model(BaseHTTPRequestHandler):
    """OpenAI's chat completions."""

    texts: Iterator[str | None]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        text = next(self.texts)
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        completion = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
        body = json.dumps({**completion, "choices": [choice]}).encode()
        self.send_response(400 if text is None else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


def evaluated(environment: str, responses: Sequence[str | None], folder: Path) -> dict[str, Any]:
    """The one episode of `sea-taskset`, as verifiers writes it into the folder."""
    Model.texts = iter(responses)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    options = {
        "--env.id": environment,
        "--env.n": str(len(responses)),
        "--env.agent.runtime.type": "subprocess",
        "--client.base-url": f"http://127.0.0.1:{server.server_port}/v1",
        "--model": "m",
        "--push": "False",
        "--output-dir": str(folder),
        "--run.dir": "run",
    }
    main(["sea-taskset", "--no-rich", *(word for option in options.items() for word in option)])
    server.shutdown()
    (line,) = (folder / "run/traces.jsonl").read_text().splitlines()
    episode: dict[str, Any] = json.loads(line)
    return episode


if __name__ == "__main__":
    groups = enumerate(json.loads(sys.stdin.read()))
    print(json.dumps([evaluated("darling-env", texts, Path(str(i))) for i, texts in groups]))
