"""Schemathesis sends what the OpenAPI document allows and forbids to every route, with all checks.

The short form takes what its document's limits and examples suggest; `make soak` generates at least
10,000 cases.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import running

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")
FEWEST_SHORT, FEWEST_LONG = 4_000, 10_000
"""Cases that the forms must have tried. The document's limits alone give 4,600."""
EXAMPLES = 350
"""Random cases of each operation in the long form, beside those of the short one; most operations
with a body use them up."""
SHORT = ("--phases", "examples,coverage")
LONG = ("--max-examples", str(EXAMPLES))
SERVE = (
    *("--model", "exact", "--api-key", "secret", "--max-groups", "8"),
    *("--cohort-deadline-s", "0.05", "--cohort-idle-timeout-s", "0.02"),
)


def cases(tmp_path: Path, *arguments: str) -> int:
    """The number of cases, after all of which the service is as well as before."""
    with running(tmp_path / "log", *SERVE) as service, service.client() as http:
        run = subprocess.run(
            [
                *(Path(sys.executable).with_name("schemathesis"), "--config-file", CONFIGURATION),
                *("run", f"{service.url}/openapi.json", "--checks", "all", "--no-color"),
                *("-H", "Authorization: Bearer secret", *arguments),
            ],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS)},
        )
        assert run.returncode == 0, run.stdout + run.stderr
        assert http.get("/health/ready").status_code == 200
    assert "Traceback" not in service.log.read_text()
    generated = re.search(r"(\d+) generated", run.stdout)
    assert generated is not None, run.stdout
    print(f"schemathesis: {generated[1]} cases, 0 failures")
    return int(generated[1])


def test_what_the_documents_limits_suggest(tmp_path: Path) -> None:
    assert cases(tmp_path, *SHORT, "--seed", "1") >= FEWEST_SHORT


@pytest.mark.soak
def test_ten_thousand_cases(tmp_path: Path) -> None:
    assert cases(tmp_path, *LONG) >= FEWEST_LONG
