"""A rollout's verdict is sent as it is meant, or refused before it is sent."""

from typing import Any

import numpy as np
import pytest

from darling_client import Group, Rollout
from darling_client._calls import rewards_call


def sent(correct: Any) -> Any:
    """`correct` in the body of a request."""
    group = Group("p", [Rollout("a", correct=correct), Rollout("b")])
    return rewards_call(group, {}).body["groups"][0]["rollouts"][0].get("correct")


@pytest.mark.parametrize("truth", [True, 1, 1.0, np.True_, np.int64(1), np.float32(1)])
def test_verdicts_of_every_type_are_sent(truth: Any) -> None:
    assert sent(truth) is True
    assert sent(type(truth)(0)) is False
    assert sent(None) is None


@pytest.mark.parametrize(
    "value", [-1, 2, 0.3, "False", "1", "", [], [1], float("nan"), np.int8(-1)]
)
def test_what_is_no_verdict_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="not a verdict; give True, False, 1 or 0"):
        sent(value)
