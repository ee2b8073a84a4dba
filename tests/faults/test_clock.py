"""A clock that is set, forwards or backwards, changes no wait, limit or estimate: none reads it."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
READS = re.compile(
    r"\btime\.time\b|\btime_ns\b|\b(?:now|utcnow|today)\(|\bfrom time import (?!monotonic)"
)
ALLOWED = {
    "clients/python/darling_client/_exchange.py": "a Retry-After that is a date",
    "models/darling_models/remote/hosts.py": "a Retry-After that is a date",
    "service/darling_service/engine/engine.py": "the times of spans",
    "service/darling_service/history/history.py": "when a group was recorded",
    "service/darling_service/history/review.py": "when a pair was marked",
    "service/darling_service/history/store.py": "the days that a group is kept",
    "service/darling_service/trainers/classify.py": "`created` of vLLM's format",
}
"""Files that read the time of day, and what for."""


def test_only_what_is_a_time_of_day_reads_the_clock_that_can_be_set() -> None:
    listed = ["git", "ls-files", "service", "models", "clients/python"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True)
    sources = [name for name in files.stdout.split() if name.endswith(".py")]
    assert len(sources) > 100
    assert {name for name in sources if READS.search((ROOT / name).read_text())} == set(ALLOWED)
