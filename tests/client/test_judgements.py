"""What quality functions may return, by the kind of value and through every adapter."""

import math
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from darling_client.trainers._quality import Judgement, judgement, judgements, with_logprob
from tests.client.trainer_shapes import ADAPTERS, stand_ins
from tests.conftest import running

TEXTS = ["Blue sea", "Blue sea", "Red wine", "Old stone"]
HALF = [1 / 3, 1 / 3, 1 / 2, 1 / 2]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("unigram") / "log"
    with running(log, "--model", "unigram") as service, stand_ins():
        yield service.url


NUMBERS: list[Any] = [
    *(0.5, Fraction(1, 2), Decimal("0.5")),
    *(np.float64(0.5), np.float32(0.5), np.float16(0.5), np.array(0.5), np.array([0.5])),
    *(torch.tensor(0.5), torch.tensor([0.5]), torch.tensor(0.5, dtype=torch.bfloat16)),
    torch.tensor(0.5, requires_grad=True),
]


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_numbers_of_every_kind(value: Any) -> None:
    assert judgement(value) == judgement({"quality": value}) == Judgement(0.5)
    assert judgements([value] * 3, 3) == [Judgement(0.5)] * 3
    assert judgement({"logprob": value}) == Judgement(logprob=0.5)
    assert judgement({"solutions": [[value, 1]]}) is not None


VERDICTS: list[Any] = [True, 1, 1.0, np.bool_(True), np.int8(1), torch.tensor(True)]


@pytest.mark.parametrize("value", VERDICTS, ids=repr)
def test_verdicts_of_every_kind(value: Any) -> None:
    assert judgement(value) == Judgement(1.0)
    assert judgement({"correct": value}) == Judgement(correct=True)


@pytest.mark.parametrize(
    "value", [None, math.nan, math.inf, -np.inf, np.float32("nan"), torch.tensor(math.nan)]
)
def test_no_signal(value: Any) -> None:
    assert judgement(value) is None
    assert judgement({"quality": value, "correct": True}) is None
    assert judgement({"correct": True, "answer": None}) == Judgement(correct=True)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("0.5", "quality returned '0.5' for rollout 3; return a number"),
        (b"1", "quality returned b'1'"),
        (np.str_("0.5"), "rollout 3"),
        ([0.5], "quality returned \\[0.5\\]"),
        ((1.0, "why"), "rollout 3"),
        (np.array([0.5, 1]), "rollout 3"),
        (torch.tensor([0.5, 1]), "rollout 3"),
        (1j, "rollout 3"),
        (10**400, "rollout 3"),
        ({}, "an empty mapping for rollout 3"),
        ({"reward": 1.0}, "returned 'reward' for rollout 3; a mapping may hold quality, correct"),
        ({"quality": "1"}, "quality of rollout 3 is '1'; give a number"),
        ({"correct": "False"}, "correct of rollout 3 is 'False'; give true, false"),
        ({"correct": -1}, "correct of rollout 3 is -1"),
        ({"correct": 0.5}, "correct of rollout 3"),
        ({"correct": math.nan}, "correct of rollout 3"),
        ({"answer": 4.5}, "answer of rollout 3 is 4.5; give a text"),
        ({"answer": ["4"]}, "answer of rollout 3"),
        ({"answer": True}, "answer of rollout 3"),
        ({"logprob": math.nan}, "logprob of rollout 3 is nan; give a finite number"),
        ({"logprob": "-1"}, "logprob of rollout 3"),
        ({"solutions": [1.0]}, "solutions of rollout 3"),
        ({"solutions": "1"}, "solutions of rollout 3"),
        ({"solutions": [["1"]]}, "a score in solutions of rollout 3"),
        ({"solutions": [[math.inf]]}, "a score in solutions of rollout 3"),
        ({"reference": 4.5}, "reference of rollout 3"),
    ],
)
def test_anything_else_is_named(value: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        judgement(value, 3)


def test_scores_and_answers_are_read() -> None:
    scores = np.array([[1, 0], [0.5, 2]], dtype=np.float32)
    for value in (scores, torch.tensor(scores), scores.tolist(), tuple(map(tuple, scores))):
        assert judgement({"solutions": value}) == Judgement(solutions=[[1, 0], [0.5, 2]])
    assert judgement({"answer": 42, "reference": np.int64(42)}) == Judgement(
        answer="42", reference="42"
    )


@pytest.mark.parametrize(
    ("logprobs", "own", "mean"),
    [
        ([-1.0, -3.0], None, -2.0),
        ((-1, np.float32(-3)), None, -2.0),
        (torch.tensor([-1.0, -3.0]), None, -2.0),
        (np.array([-1.0, 0.0, -3.0]), [1, 0, 1], -2.0),
        ([-1.0, 0.0, -3.0], torch.tensor([True, False, True]), -2.0),
        (None, None, None),
        ([], None, None),
        ([-1.0], [0], None),
        ([-1.0, math.nan], None, None),
        ([-1.0, math.nan], [1, 0], -1.0),
        ([-1.0, None], None, None),
        ([-math.inf], None, None),
    ],
)
def test_the_trainers_log_probabilities(logprobs: Any, own: Any, mean: float | None) -> None:
    assert with_logprob(Judgement(1.0), logprobs, own) == Judgement(1.0, logprob=mean)
    assert with_logprob(None, logprobs, own) is None
    assert with_logprob(Judgement(logprob=-7.0), logprobs, own) == Judgement(logprob=-7.0)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([1.0], "quality returned 1 value for 8 completions"),
        ([1.0] * 9, "quality returned 9 values for 8 completions"),
        ([], "quality returned 0 values for 8 completions"),
        (np.ones(3), "quality returned 3 values for 8 completions"),
        (torch.tensor(1.0), "quality returned 1 value for 8 completions"),
        (1.0, "quality returned 1.0 for 8 completions"),
        (None, "quality returned None for 8 completions"),
        ("11111111", "quality returned '11111111' for 8 completions"),
        ({"quality": [1.0] * 8}, "for 8 completions; return a list"),
    ],
)
def test_another_number_of_values(values: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        judgements(values, 8)


def test_batches_of_every_kind() -> None:
    ones = [Judgement(1.0)] * 2
    for values in ([1.0] * 2, np.ones(2), torch.ones(2), (1.0, True), (1 for _ in range(2))):
        assert judgements(values, 2) == ones


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("value", [0.5, np.float32(0.5), torch.tensor(0.5), {"quality": 0.5}])
def test_through_every_adapter(url: str, adapter: str, value: Any) -> None:
    run = f"{adapter} {type(value).__name__}"
    rewards = ADAPTERS[adapter](url, lambda text: value, TEXTS, run=run)
    assert rewards == pytest.approx(HALF)


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize(
    "value", ["0.5", [0.5], {"correct": "False", "quality": 1.0}, {"answer": [], "quality": 1.0}]
)
def test_a_wrong_value_raises_through_every_adapter(url: str, adapter: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"(quality|correct|answer|compute_score)"):
        ADAPTERS[adapter](url, lambda text: value, TEXTS, run=f"{adapter} wrong")


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_references_of_a_group_agree(url: str, adapter: str) -> None:
    def judge(text: str) -> dict[str, Any]:
        return {"answer": text, "reference": text, "quality": 1.0}

    with pytest.raises(Exception, match="reference"):
        ADAPTERS[adapter](url, judge, TEXTS, run=f"{adapter} references")
