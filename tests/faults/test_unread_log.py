"""A service whose log nobody reads goes on, and says what it dropped once somebody reads it."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import httpx

from darling_service.logs import KEPT_LINES

REQUESTS = 1_500
"""Their lines are more than a pipe holds, 64 KiB."""
SCRIPT = f"""
import logging
from darling_service.logs import configure
configure("info", "plain")
log = logging.getLogger("darling_service")
for number in range({2 * KEPT_LINES}):
    log.info("line %d %s", number, "x" * 80)
print("written", flush=True)
input()
log.info("read again")
logging.shutdown()
"""


def part(stream: IO[bytes]) -> bytes:
    """What has come since, at least a byte; nothing once the stream has ended."""
    time.sleep(0.01)  # for the pipe to fill
    return os.read(stream.fileno(), 2**16)


def test_a_service_whose_log_nobody_reads_answers_and_stops() -> None:
    command = [sys.executable, "-m", "darling_service.cli"]
    words = ["serve", "--port", "0", "--model", "exact"]
    with subprocess.Popen([*command, *words], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        said = b""
        while (listening := re.search(rb"listening on (http://\S+),", said)) is None:
            said += (more := part(process.stderr))
            assert more, said
        with httpx.Client(base_url=listening.group(1).decode(), timeout=30) as http:
            for number in range(REQUESTS):
                assert http.get(f"/{number:040}").status_code == 404
            assert http.get("/health/live").status_code == 200
        process.terminate()
        assert process.wait(30) == 0


def test_what_was_dropped_is_told_once_the_log_is_read(tmp_path: Path) -> None:
    """By the log's own writer: a service would take minutes to fill what is kept."""
    file = tmp_path / "unread.py"
    file.write_text(SCRIPT)
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, file], stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"written\n"
        said = b""
        while b" line %d " % (KEPT_LINES - 1) not in said:
            said += part(process.stderr)
        process.stdin.write(b"\n")
        process.stdin.flush()
        while more := part(process.stderr):
            said += more
        assert process.wait(30) == 0
    dropped = re.findall(rb"dropped, since nobody read it: (\d+)\n", said)
    assert dropped
    lines = re.findall(rb" line (\d+) x+\n", said)
    assert len(lines) + sum(map(int, dropped)) == 2 * KEPT_LINES
    assert said.endswith(b" read again\n")
