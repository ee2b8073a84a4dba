"""Which objectives and advantages reach a trainer: every choice of the registry through every
adapter, against what the service says to the whole group. docs/trainers.md has the table."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest

from darling_client import Client, Group, Rollout, Run
from darling_client.trainers._request import SENDS, ZERO_SUM, Request
from darling_service.rewards.registry import ADVANTAGES, DIVERSITIES, EXPLORATIONS, OBJECTIVES
from tests.client.trainer_shapes import (
    ADAPTERS,
    MAY_BE_UNCENTERED,
    PROMPT,
    TELL_LOGPROBS,
    logprobs,
    stand_ins,
)
from tests.conftest import running

KNOWN: dict[str, dict[str, Any]] = {
    "Lisbon, by the sea": {"quality": 1.0, "correct": True, "answer": "Lisbon", "logprob": -1.0},
    "Lisbon, by the river": {"quality": 1.0, "correct": True, "answer": "lisbon", "logprob": -0.5},
    "Perhaps it is Porto": {"quality": 0.0, "correct": False, "answer": "Porto", "logprob": -3.0},
    "Kyoto": {"quality": 1.0, "correct": True, "answer": "Kyoto", "logprob": -2.0},
}
TEXTS = list(KNOWN)
for place, fields in enumerate(KNOWN.values()):
    fields |= {"solutions": [[1.0 - place / 4, place / 4], [0.5, 0.25]], "reference": "Lisbon"}

REWARDS: dict[str, dict[str, Any]] = {
    **{f"objective {name}": {"objective": name} for name in OBJECTIVES},
    "objective gapo": {"objective": "gapo", "support": 3},
    **{f"diversity {name}": {"diversity": name} for name in DIVERSITIES},
    "diversity volume": {"objective": "additive", "diversity": "volume"},
    "among correct": {"among": "correct"},
    "parity": {"parity": "darling"},
}
"""Options that make the reward."""
MADE_FOR: dict[str, dict[str, Any]] = {
    "pass_at_k": {"k": 2},
    "pkpo": {"k": 2},
    "poly_epo": {"k": 2},
    "vpo": {"objective": "vector"},
}
"""Options that an advantage needs beside it."""
ADVANTAGE_CASES: dict[str, dict[str, Any]] = {
    **{f"advantage {name}": {"advantage": name, **MADE_FOR.get(name, {})} for name in ADVANTAGES},
    "uniqueness": {"advantage": "centered", "uniqueness": 0.5},
    "focal": {"advantage": "centered", "focal": 0.5},
    **{
        f"exploration {name}": {"advantage": "centered", "exploration": name}
        for name in EXPLORATIONS
    },
}
"""Options that make advantages."""
TELL_NO_STEP = {"nemo_rl", "openrlhf", "verifiers", "verifiers_v1", "art", "tinker_cookbook"}
SUMS_TO_ZERO = {f"advantage {name}" for name in ZERO_SUM} | {"focal"}
NEED_VECTORS = {"evol", "mmr", "volume", "graph_cut", "set_diversity"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    models = ("--model", "unigram", "--model", "embedded")
    log = tmp_path_factory.mktemp("reach") / "log"
    with running(log, *models, "--threshold", "0.5") as service, stand_ins():
        yield service.url


def model_of(reward: dict[str, Any]) -> str:
    return "embedded" if NEED_VECTORS & set(map(str, reward.values())) else "unigram"


def whole(url: str, reward: dict[str, Any], run: Run) -> Any:
    """What the service says to the whole group."""
    rollouts = [
        Rollout(text, **{name: value for name, value in known.items() if name != "reference"})
        for text, known in KNOWN.items()
    ]
    group = Group(PROMPT, rollouts, reference="Lisbon")
    with Client(url) as client:
        (result,) = client.rewards([group], reward=reward, model=model_of(reward), run=run)
    return result


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("case", REWARDS)
def test_every_objective_reaches_every_trainer(url: str, adapter: str, case: str) -> None:
    reward = REWARDS[case]
    rewards = ADAPTERS[adapter](
        url,
        KNOWN.__getitem__,
        TEXTS,
        reward=reward,
        model=model_of(reward),
        run=f"{adapter} {case}",
    )
    expected = whole(url, reward, Run("whole", 3))
    assert rewards == pytest.approx(expected.rewards)
    assert len(set(expected.rewards)) > 1, "a case that cannot fail"


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("case", ADVANTAGE_CASES)
def test_advantages_are_sent_where_a_trainer_leaves_them_alone(
    url: str, adapter: str, case: str
) -> None:
    reward = ADVANTAGE_CASES[case]
    params: dict[str, Any] = {"reward": reward, "model": model_of(reward)}
    expected = whole(url, reward, Run(f"whole {adapter} {case}", 3)).advantages
    for send in ("advantage", "uncentered_advantage"):
        allowed = case in SUMS_TO_ZERO if send == "advantage" else adapter in MAY_BE_UNCENTERED
        options = {**params, "send": send, "run": f"{send} {adapter} {case}"}
        if allowed:
            sent = ADAPTERS[adapter](url, KNOWN.__getitem__, TEXTS, **options)
            assert sent == pytest.approx(expected, abs=1e-6)
        else:
            with pytest.raises(ValueError, match=r"sums? to 0"):
                ADAPTERS[adapter](url, KNOWN.__getitem__, TEXTS, **options)
    with pytest.raises(ValueError, match=r"reward\.advantage is set, but this trainer"):
        ADAPTERS[adapter](url, KNOWN.__getitem__, TEXTS, **params)


@pytest.mark.parametrize("name", ADVANTAGES)
def test_which_advantages_sum_to_zero(url: str, name: str) -> None:
    """Of this group and of one with other qualities; those that do not are not in the list."""
    reward = {"advantage": name, **MADE_FOR.get(name, {})}
    total = sum(whole(url, reward, Run("sums", 1)).advantages)
    assert (abs(total) < 1e-5) == (name in ZERO_SUM)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_verdicts_alone_are_quality(url: str, adapter: str) -> None:
    def judge(text: str) -> Any:
        return {"correct": KNOWN[text]["correct"]}

    rewards = ADAPTERS[adapter](url, judge, TEXTS, model="unigram", run=f"{adapter} verdicts")
    assert rewards == pytest.approx(whole(url, {}, Run("whole", 3)).rewards)


@pytest.mark.parametrize("adapter", sorted(TELL_LOGPROBS))
@pytest.mark.parametrize("reward", [{"objective": "unlikeliness"}, {"diversity": "unlikelihood"}])
def test_the_trainers_log_probabilities_are_taken(
    url: str, adapter: str, reward: dict[str, Any]
) -> None:
    """Those of the quality function go before them."""

    def told(text: str) -> dict[str, Any]:
        return {"quality": KNOWN[text]["quality"]}

    def rewards(judge: Any, run: str) -> Any:
        return ADAPTERS[adapter](url, judge, TEXTS, reward=reward, model="unigram", run=run)

    means = [sum(logprobs(text)) / len(text) for text in TEXTS]
    rollouts = [
        Rollout(text, quality=KNOWN[text]["quality"], logprob=mean)
        for text, mean in zip(TEXTS, means, strict=True)
    ]
    with Client(url) as client:
        (expected,) = client.rewards([Group(PROMPT, rollouts)], reward=reward, model="unigram")
    assert rewards(told, f"{adapter} the trainer's") == pytest.approx(expected.rewards)
    own = rewards(KNOWN.__getitem__, f"{adapter} its own")
    assert own == pytest.approx(whole(url, reward, Run("whole", 3)).rewards)
    assert own != pytest.approx(expected.rewards)


@pytest.mark.parametrize("adapter", sorted(set(ADAPTERS) - TELL_NO_STEP))
def test_the_trainers_step_reaches_the_service(adapter: str, monkeypatch: Any) -> None:
    runs: list[Any] = []
    params = Request.params

    def recorded(self: Request, step: Any = None) -> Any:
        sent = params(self, step)
        runs.append(sent["run"])
        raise InterruptedError

    monkeypatch.setattr(Request, "params", recorded)
    with stand_ins(), pytest.raises(InterruptedError):
        ADAPTERS[adapter]("http://127.0.0.1:9", KNOWN.__getitem__, TEXTS, run="exp")
    assert set(runs) == {Run("exp", 3)}


def test_a_step_of_ones_own() -> None:
    steps = iter(range(10))
    request = Request({"run": lambda: Run("exp", next(steps))})
    assert [request.params(7)["run"] for _ in range(2)] == [Run("exp", 0), Run("exp", 1)]
    assert Request({"run": Run("exp", 2)}).params(7)["run"] == Run("exp", 2)
    assert Request({"run": {"name": "exp"}}).params(7)["run"] == Run("exp", 7)
    assert Request({"run": "exp"}).params(-1)["run"] == Run("exp")
    assert Request({}).params(7)["run"] is None


def test_every_name_of_the_registry_is_tried() -> None:
    assert set(SENDS) == {"reward", "advantage", "uncentered_advantage"}
    tried = list(chain(REWARDS.values(), ADVANTAGE_CASES.values()))
    for choice, names in (
        ("objective", OBJECTIVES),
        ("diversity", DIVERSITIES),
        ("advantage", ADVANTAGES),
        ("exploration", EXPLORATIONS),
    ):
        assert set(names) <= {case.get(choice) for case in tried}
