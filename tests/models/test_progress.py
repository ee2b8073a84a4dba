"""What long work says of itself where nobody watches a terminal."""

import subprocess
import sys

WORK = """
import sys, time
import darling_models.progress
from darling_models.progress import progress

darling_models.progress.LOG_EVERY_S = float(sys.argv[1])
for _ in progress(range(60), desc="work"):
    time.sleep(0.02)
"""


def log(every_s: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", WORK, every_s], capture_output=True, text=True, check=True
    )
    return done.stderr


def test_a_log_gets_whole_lines_now_and_then() -> None:
    lines = log("0.3").splitlines()
    assert 2 <= len(lines) <= 6
    assert all(line.startswith("work: ") and "/60 [" in line for line in lines)
    assert "60/60" in lines[-1]
    assert "\r" not in log("0.3")


def test_short_work_leaves_a_log_alone() -> None:
    assert log("30") == ""
