"""The published call pattern: one HTTP request per pair to a real infinity-emb server.

The server needs an environment of its own, because its pinned dependencies differ from ours:

    python3.11 -m venv ENV && ENV/bin/pip install torch==2.13.0 'infinity-emb[server,torch]'
    INFINITY=ENV/bin/infinity_emb make bench

infinity's `/classify` takes no pairs, so a pair is sent as a `/rerank` of one document for one
query.
"""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

COMMAND = "INFINITY"
PORT = 7998
START_S = 180.0
CONCURRENCY = 64
"""Most requests in flight at a time."""
SWITCHES = (
    *("--engine", "torch", "--device", "cpu", "--dtype", "float32", "--batch-size", "32"),
    *("--lengths-via-tokenize", "--no-bettertransformer", "--no-compile", "--no-model-warmup"),
)


class Infinity:
    """A client of a running infinity server."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=600)
        self._threads = ThreadPoolExecutor(CONCURRENCY)

    def answers(self) -> bool:
        try:
            return self._http.get("/models").status_code == 200
        except httpx.HTTPError:
            return False

    def classify(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        return list(self._threads.map(self._judge, pairs))

    def _judge(self, pair: tuple[str, str]) -> float:
        body = {"model": "peer", "query": pair[0], "documents": [pair[1]], "raw_scores": True}
        answer = self._http.post("/rerank", json=body).raise_for_status()
        return float(answer.json()["results"][0]["relevance_score"])


@contextmanager
def infinity(checkpoint: Path) -> Iterator[Infinity | None]:
    """Starts the server on a checkpoint with one label; yields None where it is not installed."""
    program = os.environ.get(COMMAND, "")
    if not Path(program).is_file():
        yield None
        return
    quiet = {"HF_HUB_OFFLINE": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0", "DO_NOT_TRACK": "1"}
    # Our own packages on the path would shadow those of its environment.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | quiet
    command = [program, "v2", "--model-id", str(checkpoint), "--served-model-name", "peer"]
    command += [*SWITCHES, "--host", "127.0.0.1", "--port", str(PORT)]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        client = Infinity(f"http://127.0.0.1:{PORT}")
        stop = time.monotonic() + START_S
        while not client.answers():
            if process.poll() is not None or time.monotonic() > stop:
                raise RuntimeError(f"{program} does not start; run it by hand to see why")
            time.sleep(0.5)
        yield client
    finally:
        process.terminate()
        process.wait(timeout=60)
