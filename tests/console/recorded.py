"""A service whose history holds a run of 200 steps that collapses from step 100, and one that does
not."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from tests.conftest import Service, running

EXAMPLES = Path(__file__).parent.parent.parent / "examples/groups.jsonl"
STEPS = 200
COLLAPSE = 100
PER_STEP = 4
"""Groups of each step."""
COLLAPSING, LASTING = "exp-collapsing", "exp-lasting"


@contextmanager
def recording(folder: Path) -> Iterator[Service]:
    """The embedded model with a history that is empty."""
    url = f"sqlite:///{folder / 'history.db'}"
    with running(folder / "log", "--history-url", url) as service:
        yield service


def train(service: Service, run: str, steps: range, collapse: int = STEPS) -> None:
    """Sends the groups of these steps, as a trainer would. From the step `collapse` on, all
    rollouts of a group are its first."""
    lines = [json.loads(line) for line in EXAMPLES.read_text().splitlines()]
    with service.client() as http:
        for step in steps:
            start = step * PER_STEP % len(lines)
            groups = list(islice(cycle(lines), start, start + PER_STEP))
            if step >= collapse:
                groups = [_collapsed(group) for group in groups]
            body = {"groups": groups, "run": {"name": run, "step": step}}
            options = {"reward": {"advantage": "centered"}, "return_probabilities": True}
            http.post("/v1/rewards", json={**body, **options}).raise_for_status()


def _collapsed(group: dict[str, Any]) -> dict[str, Any]:
    return {**group, "rollouts": group["rollouts"][:1] * len(group["rollouts"])}
