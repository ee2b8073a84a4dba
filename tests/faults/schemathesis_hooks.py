"""No case asks the service to keep it waiting for hours: Schemathesis gives up after 10 seconds."""

import math
from typing import Any

import schemathesis

WAITS = ("deadline_s", "idle_timeout_s")
MAX_WAIT_S = 1.0


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    return _soon(body)


@schemathesis.hook
def map_query(context: Any, query: Any) -> Any:
    return _soon(query)


def _soon(values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    long = {name for name in WAITS if _seconds(values.get(name)) > MAX_WAIT_S}
    return {name: MAX_WAIT_S if name in long else value for name, value in values.items()}


def _seconds(value: Any) -> float:
    """The seconds that a value stands for; 0 if it is no finite number, and will be refused."""
    try:
        seconds = 0.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return seconds if math.isfinite(seconds) else 0.0
