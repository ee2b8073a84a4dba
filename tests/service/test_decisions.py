"""Where the originals of the objectives differ from this service: each choice of docs/decisions.md,
over HTTP."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest

from darling_service.evaluation.metrics.wording import distinct_n
from darling_service.rewards.vector_policy import DRAWS, vector_rewards

TEXTS = ["It is 42.", "42, of course.", "Forty-one.", "I would say 42."]


def group(texts: list[str] | None = None, **columns: list[Any]) -> dict[str, Any]:
    rollouts = [
        {"text": text} | {name: values[i] for name, values in columns.items() if values[i] != ...}
        for i, text in enumerate(texts or TEXTS)
    ]
    return {"prompt": "What is 6 times 7?", "rollouts": rollouts}


def post(http: httpx.Client, one: dict[str, Any], model: str = "exact", **reward: Any) -> Any:
    request = {"groups": [one], "model": model, "reward": reward}
    answer = http.post("/v1/rewards", json=request)
    return answer.json()["groups"][0] if answer.status_code == 200 else answer.json()


def test_vpos_weights_are_drawn_by_prompt_and_seed(http: httpx.Client) -> None:
    """The original draws anew in every step. A step's number as `seed` does so here, and a request
    that is sent again still has the same answer."""
    both, half = [[1.0, 0.0], [0.0, 1.0]], [[0.5, 0.5]]
    one = group(solutions=[both, half, both, half])
    steps = [post(http, one, objective="vector", seed=step)["rewards"][0] for step in range(9)]
    assert len(set(steps)) == 9
    assert steps[3] == post(http, one, objective="vector", seed=3)["rewards"][0]
    # Over the steps of a run the draws average out: E max(w, 1 - w) is 0.75.
    matrices = [np.asarray(both)]
    mean = np.mean([vector_rewards(matrices, "p", seed=seed) for seed in range(200)])
    assert mean == pytest.approx(0.75, abs=4 * 0.15 / np.sqrt(200 * DRAWS))


@pytest.mark.parametrize(
    ("answers", "rewards"),
    [
        (["42", None, None, None], [1.0, -1.0, -1.0, -1.0]),
        (["42", ..., "", " \n"], [1.0, -1.0, -1.0, -1.0]),
        ([None, None, None, None], [-1.0] * 4),
    ],
)
def test_evol_takes_a_sole_valid_rollout_for_the_majority(
    http: httpx.Client, answers: list[Any], rewards: list[float]
) -> None:
    """The original gives -1 to all of such a group, which has no advantage then."""
    assert post(http, group(answer=answers), "embedded", objective="evol")["rewards"] == rewards


def test_a_wrong_rollout_keeps_its_quality_under_among(http: httpx.Client) -> None:
    """The published code multiplies it by 0.1, which makes mistakes cheap where they cost."""
    one = group(quality=[1.0, 1.0, -1.0, 1.0])
    answer = post(http, one, among="quality", min_quality=0.5, floor=0.1)
    assert answer["rewards"] == [1.0, 1.0, -1.0, 1.0]
    assert answer["diversity"] == [1, 1, 0, 1]


def test_unlikeliness_leaves_negative_rewards_alone(http: httpx.Client) -> None:
    """The original scales them too, so that the likeliest mistake costs least."""
    one = group(quality=[1.0, -1.0, -1.0, 0.0], logprob=[-2.0, -9.0, -0.5, -1.5])
    found = post(http, one, objective="unlikeliness")["rewards"]
    assert found == pytest.approx([1 - 0.25 / 4, -1, -1, 0])


@pytest.mark.parametrize(
    ("texts", "size", "value"),
    [
        (["a b c"], 2, 2 / 2),  # by tokens 2 / 3
        (["a b c"], 3, 1 / 1),  # by tokens 1 / 3
        (["a b c", "a b d"], 2, 3 / 4),  # by tokens 3 / 6
        (["a b", "c d"], 1, 4 / 4),  # equal for single words
        (["a", "b c"], 2, 1 / 1),
    ],
)
def test_distinct_n_counts_n_grams(texts: list[str], size: int, value: float) -> None:
    """The paper divides by tokens, so that a text without repeats falls short of 1 if n > 1."""
    assert distinct_n(texts, size) == value


@pytest.mark.parametrize("advantage", ["centered", "grpo", "rloo"])
def test_a_group_of_one_has_no_advantage(http: httpx.Client, advantage: str) -> None:
    """verl subtracts nothing and divides by 1 there, so that its advantage is the reward."""
    one = group(["It is 42."], quality=[3.0])
    answer = post(http, one, advantage=advantage)
    assert (answer["rewards"], answer["advantages"]) == ([3.0], [0.0])


def hidden(kind: str, answers: list[str | None]) -> dict[str, Any]:
    """A group some of whose rollouts hide their answers."""
    texts = [f"{kind} {k}" for k in range(len(answers))]
    return group(texts, answer=answers, correct=[True] * len(answers))


@pytest.mark.parametrize("reward", [
    {"objective": "gapo", "support": 9},
    {"objective": "quality", "advantage": "centered", "exploration": "batch"},
])  # fmt: skip
def test_hiding_an_answer_does_not_pay(http: httpx.Client, reward: dict[str, Any]) -> None:
    """Missing answers are one outcome, as if all of them had given the same."""
    missing = post(http, hidden("a", [None, None, "42", ""]), **reward)
    alike = post(http, hidden("b", ["7", "7", "42", "7"]), **reward)
    for name in ("rewards", "advantages"):
        assert missing[name] == alike[name]


def test_visits_count_missing_answers_as_one(http: httpx.Client) -> None:
    reward = {"objective": "quality", "advantage": "centered", "exploration": "visits"}

    def bonus(prompt: str, answers: list[str | None], step: int) -> list[float]:
        one = hidden("c", answers) | {"prompt": prompt}
        run = {"name": "decisions", "step": step}
        request = {"groups": [one], "model": "exact", "reward": reward, "run": run}
        answer = http.post("/v1/rewards", json=request)
        assert answer.status_code == 200, answer.text
        advantages: list[float] = answer.json()["groups"][0]["advantages"]
        return advantages

    for step in (1, 2, 3):
        assert bonus("x", [None, "", "42"], step) == bonus("y", ["7", "7", "42"], step)


CORRECTNESS = {"among": "correct"}


@pytest.mark.parametrize(
    ("columns", "reward", "wanted"),
    [
        # Nothing needs quality: a reference is no request for answers.
        ({}, {"objective": "diversity"}, {"quality": None, "rewards": [1.0] * 4}),
        ({"answer": ["42", ..., ..., ...]}, {"objective": "diversity"}, {"quality": [1, 0, 0, 0]}),
        # A rollout without an answer beside others that have one is wrong.
        ({"answer": ["42", None, "41", ...]}, {}, {"quality": [1, 0, 0, 0]}),
        ({"answer": ["42", "", " ", ...]}, CORRECTNESS, {"diversity": [1, 0, 0, 0]}),
        # None of them came to an answer: null says so.
        ({"answer": [None] * 4}, {}, {"quality": [0.0] * 4}),
        ({"answer": [None, ..., ..., ...]}, CORRECTNESS, {"diversity": [0.0] * 4}),
        ({"answer": [None] * 4}, {"advantage": "nsr"}, {"advantages": [-1.0] * 4}),
    ],
)
def test_a_reference_and_rollouts_without_answers(
    http: httpx.Client,
    columns: dict[str, list[Any]],
    reward: dict[str, Any],
    wanted: dict[str, Any],
) -> None:
    answer = post(http, group(**columns) | {"reference": "42"}, **reward)
    for name, values in wanted.items():
        assert answer[name] == values


@pytest.mark.parametrize("reward", [{}, CORRECTNESS, {"advantage": "psr"}])
def test_forgotten_answers_are_named(http: httpx.Client, reward: dict[str, Any]) -> None:
    problem = post(http, group() | {"reference": "42"}, **reward)
    assert problem["status"] == 422
    assert "`answer` in the rollouts" in problem["errors"][0]["msg"]


@pytest.mark.parametrize(
    ("answers", "reward", "wanted"),
    [
        ([..., ..., ...], {"objective": "diversity"}, [None, None, None]),
        (["42", ..., "41"], {}, [1.0, 0.0, 0.0]),
        (["42", ..., None], CORRECTNESS, [1.0, 0.0, 0.0]),
        ([None, None, None], {}, [0.0, 0.0, 0.0]),
    ],
)
def test_a_reference_at_the_cohort_endpoint(
    http: httpx.Client, answers: list[Any], reward: dict[str, Any], wanted: list[float | None]
) -> None:
    def send(k: int) -> Any:
        body = {
            **{"group_id": f"{answers} {reward}", "member_id": k, "group_size": 3},
            **{"prompt": "p", "text": TEXTS[k], "reference": "42", "model": "exact"},
            **({} if answers[k] is ... else {"answer": answers[k]}),
            **{"reward": reward, "deadline_s": 30},
        }
        return http.post("/v1/rollouts", json=body).json()

    with ThreadPoolExecutor(3) as threads:
        assert [answer["quality"] for answer in threads.map(send, range(3))] == wanted


def test_a_cohort_that_forgot_its_answers_is_told(http: httpx.Client) -> None:
    body = {
        **{"group_id": "forgot", "group_size": 1, "prompt": "p", "text": "It is 42."},
        **{"reference": "42", "model": "exact", "deadline_s": 30},
    }
    answer = http.post("/v1/rollouts", json=body)
    assert answer.status_code == 422, answer.text
    assert "`answer` in the rollouts" in answer.json()["errors"][0]["msg"]


DEFAULTS: dict[str, Any] = {
    **{"floor": 0.0, "exponent": 1.0, "among": "all", "negative": "sign_aware", "soft": False},
    **{"normalize": "none", "rank_weight": 0.25, "seed": 0, "exploration": "none"},
    **{"weights": {"quality": 1.0, "diversity": 1.0}, "uniqueness_of": "positive"},
}
NULLS: dict[str, Any] = dict.fromkeys(
    ("min_quality", "support", "advantage", "k", "uniqueness", "exploration_baseline", "parity")
)


@pytest.mark.parametrize("objective", ["darling", "quality", "unlikeliness"])
def test_defaults_and_nulls_may_be_written_out(http: httpx.Client, objective: str) -> None:
    """Clients that send all of their options say nothing that changes an answer."""
    one = group(quality=[1.0, 0.5, 0.0, 1.0], logprob=[-1.0, -2.0, -3.0, -4.0])
    plain = post(http, one, objective=objective)
    written = post(http, one, objective=objective, **DEFAULTS, **NULLS)
    assert written == plain


def test_nulls_and_what_agrees_may_stand_beside_parity(http: httpx.Client) -> None:
    one = group(quality=[1.0, 0.5, 0.0, 1.0])
    plain = post(http, one, parity="darling")
    agreeing: dict[str, Any] = {
        **{"floor": 0.1, "negative": "as_published", "diversity": "partition", "soft": False},
        **{"objective": "darling"},
    }
    assert post(http, one, **{**NULLS, **agreeing, "parity": "darling"}) == plain
    others: list[dict[str, Any]] = [
        *({"floor": 0.0}, {"exponent": 2.0}, {"objective": "quality"}, {"soft": True}),
    ]
    for other in others:
        problem = post(http, one, parity="darling", **other)
        assert problem["status"] == 422
        assert f"drop {next(iter(other))}" in problem["errors"][0]["msg"]


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_null_is_no_value_where_an_option_has_one(http: httpx.Client, name: str) -> None:
    null: dict[str, Any] = {name: None}
    problem = post(http, group(quality=[1.0] * 4), **null)
    assert problem["status"] == 422
    assert problem["errors"][0]["loc"][:2] == ["reward", name]


@pytest.mark.parametrize(
    ("reward", "reads"),
    [
        ({"objective": "darling"}, True),
        ({"objective": "additive"}, True),
        ({"objective": "diversity"}, True),
        ({"objective": "quality", "advantage": "grpo", "uniqueness": 0.5}, True),
        ({"objective": "quality"}, False),
        ({"objective": "quality", "advantage": "grpo"}, False),
        ({"objective": "unlikeliness"}, False),
        ({"objective": "gapo", "support": 3}, False),
        ({"objective": "evol"}, False),
        ({"objective": "vector"}, False),
    ],
)
def test_among_is_refused_where_it_would_change_nothing(
    http: httpx.Client, reward: dict[str, Any], reads: bool
) -> None:
    one = group(
        correct=[True, False, True, True],
        answer=["42"] * 4,
        logprob=[-1.0] * 4,
        solutions=[[[1.0]]] * 4,
    )
    answer = post(http, one, **reward, among="correct")
    if reads:
        assert "rewards" in answer, answer
    else:
        assert "among belongs to objective" in answer["errors"][0]["msg"]
        assert "or uniqueness" in answer["errors"][0]["msg"]
