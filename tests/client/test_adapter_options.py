"""Wrong options of adapters are refused when the adapter is made, without any service."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from darling_client import AsyncClient, Client
from darling_client.trainers import areal, art, slime, verifiers
from darling_client.trainers._request import Request
from darling_client.trainers.skyrl import DarlingGenerator
from darling_client.trainers.trl import DarlingReward
from tests.client.option_schema import COPY, text
from tests.client.trainer_shapes import Config, Letters, stand_ins, verl_config


def made_trl(**params: Any) -> Any:
    return DarlingReward(print, 4, **params)


def made_swift(**params: Any) -> Any:
    from darling_client.trainers.swift import darling_orm

    return darling_orm(print, **params)


def made_nemo_rl(**params: Any) -> Any:
    from darling_client.trainers.nemo_rl import environment

    return environment(print, **params)


def made_openrlhf(**params: Any) -> Any:
    from darling_client.trainers.openrlhf import agent_executor

    return agent_executor(print, **params)


def made_skyrl(**params: Any) -> Any:
    fields = {"darling_client": params.pop("darling_client", None), "darling_params": params}
    return type("Generator", (DarlingGenerator, object), fields)()


def made_verifiers_v1(**params: Any) -> Any:
    from darling_client.trainers.verifiers_v1 import DarlingEnv

    fields = {"darling_client": params.pop("darling_client", None), "darling_params": params}
    return type("Env", (DarlingEnv,), fields)(None)


def made_tinker(**params: Any) -> Any:
    from darling_client.trainers.tinker_cookbook import DarlingDataset

    return DarlingDataset([], **params)


def made_verl(**params: Any) -> Any:
    from darling_client.trainers.verl import DarlingRewardManager

    return DarlingRewardManager(verl_config(4, **params), Letters(), print)


MADE: dict[str, Any] = {
    "trl": made_trl,
    "swift": made_swift,
    "nemo_rl": made_nemo_rl,
    "slime": lambda **params: slime.group_reward(print, **params),
    "areal": lambda **params: areal.group_reward(print, **params),
    "verifiers": lambda **params: verifiers.group_reward(print, **params),
    "verifiers_v1": made_verifiers_v1,
    "art": art.group_reward,
    "tinker_cookbook": made_tinker,
    "openrlhf": made_openrlhf,
    "skyrl": made_skyrl,
    "verl": made_verl,
}

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"rewards": {}}, "rewards.*reward"),
    ({"floor": 0.1}, "floor"),
    ({"return_probabilities": True}, "return_probabilities"),
    ({"reward": {"objectiv": "darling"}}, r"reward\.objectiv is no option; did you mean objective"),
    ({"reward": {"objective": "darlin"}}, r"reward\.objective is 'darlin'; give one of darling"),
    ({"reward": {"objective": None}}, r"reward\.objective is None"),
    ({"reward": {"floor": "0.1"}}, r"reward\.floor is '0\.1'; give a finite number"),
    ({"reward": {"floor": 2}}, r"reward\.floor is 2; give a finite number at least 0.* at most 1"),
    ({"reward": {"floor": float("nan")}}, r"reward\.floor is nan"),
    ({"reward": {"floor": True}}, r"reward\.floor is True"),
    ({"reward": {"exponent": 0}}, r"reward\.exponent is 0.*above 0"),
    ({"reward": {"soft": 1}}, r"reward\.soft is 1; give true or false"),
    ({"reward": {"support": 1.5}}, r"reward\.support is 1\.5; give a whole number at least 1"),
    ({"reward": {"seed": 2**63}}, r"reward\.seed"),
    ({"reward": {"weights": {"qualty": 1}}}, r"reward\.weights\.qualty.*did you mean quality"),
    ({"reward": {"weights": [1, 2]}}, r"reward\.weights is \[1, 2\]; give a mapping"),
    ({"reward": {"parity": "darlin"}}, r"reward\.parity is 'darlin'; give one of darling"),
    ({"reward": {"negative": "aware"}}, r"reward\.negative.*sign_aware.*refuse"),
    ({"reward": {"floor": object()}}, "reward: .* JSON has no form for"),
    ({"reward": {1: 2}}, "reward: 1 is a key"),
    ({"reward": "darling"}, "reward is 'darling'; give a mapping"),
    ({"partition": {"linkages": "single"}}, r"partition\.linkages.*did you mean linkage"),
    ({"partition": {"threshold": 1.5}}, r"partition\.threshold is 1\.5.*balanced.*at most 1"),
    ({"partition": {"threshold": "balance"}}, r"partition\.threshold is 'balance'"),
    ({"partition": {"text": "answers"}}, r"partition\.text is 'answers'"),
    ({"partition": 0.5}, "partition is 0.5"),
    ({"run": 7}, "run is 7"),
    ({"run": {"name": "a", "stepp": 1}}, "run is"),
    ({"run": {"name": "a", "step": "1"}}, r"run\.step is '1'"),
    ({"run": {"name": "a", "step": -1}}, r"run\.step is -1"),
    ({"model": 3}, "model is 3"),
    ({"send": "advantages"}, "send is 'advantages'; give one of reward"),
    ({"send": "advantage", "reward": {"advantage": None}}, r"reward\.advantage is None"),
]


@pytest.mark.parametrize("adapter", MADE)
@pytest.mark.parametrize(("params", "told"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_option_is_named_when_the_adapter_is_made(
    adapter: str, params: dict[str, Any], told: str
) -> None:
    with stand_ins(), pytest.raises((ValueError, TypeError), match=told):
        MADE[adapter](**params)


@pytest.mark.parametrize("adapter", MADE)
def test_right_options_are_taken_without_a_service(adapter: str) -> None:
    with stand_ins():
        MADE[adapter](
            reward={
                "floor": np.float32(0.25),
                "support": np.int64(3),
                "exponent": torch.tensor(2.0),
                "soft": np.bool_(False),
                "weights": Config(quality=1),
                "min_quality": None,
            },
            partition={"threshold": "balanced", "text": None},
            run="exp",
            model="unigram",
        )


@pytest.mark.parametrize("adapter", sorted(set(MADE) - {"verl"}))  # which makes its own
def test_a_client_of_the_wrong_kind(adapter: str) -> None:
    blocking = adapter in ("trl", "swift", "nemo_rl")
    wrong = AsyncClient() if blocking else Client()
    name = "darling_client" if adapter in ("skyrl", "verifiers_v1") else "client"
    for client in (wrong, "http://reward:8000"):
        with stand_ins(), pytest.raises(TypeError, match=rf"{name} is .*Client"):
            MADE[adapter](**{name: client})


@pytest.mark.parametrize("quality", [None, 8, "quality"])
def test_a_quality_that_is_no_function(quality: Any) -> None:
    from darling_client.trainers.nemo_rl import environment
    from darling_client.trainers.openrlhf import agent_executor
    from darling_client.trainers.swift import darling_orm

    groups = (
        *(slime.group_reward, areal.group_reward, verifiers.group_reward, art.group_reward),
        lambda quality: made_tinker(quality=quality),
    )
    for make in (*groups, darling_orm, environment):
        with stand_ins(), pytest.raises(TypeError, match=r"quality is .*; give a function"):
            make(quality)
    with pytest.raises(TypeError, match=r"quality is .*; give a function"):
        DarlingReward(quality, 4)
    with stand_ins(), pytest.raises((TypeError, ValueError), match="quality"):
        agent_executor(quality)


@pytest.mark.parametrize("size", ["4", 0, -1, 2.5, True])
def test_a_size_that_is_none(size: Any) -> None:
    with pytest.raises(ValueError, match=r"num_generations is .*; give a whole number"):
        DarlingReward(print, size)
    with pytest.raises(ValueError, match=r"num_generations_eval is .*; give a whole number"):
        DarlingReward(print, 4, num_generations_eval=size or -1)


def test_the_clients_schema_is_the_services() -> None:
    assert COPY.read_text() == text(), "run python -m tests.client.option_schema"


def test_trl_takes_its_sizes_from_the_arguments(caplog: pytest.LogCaptureFixture) -> None:
    args = SimpleNamespace(num_generations=8, num_generations_eval=2, scale_rewards="none")
    sizes = DarlingReward(print, args=args).sizes
    assert (sizes.num_generations, sizes.num_generations_eval) == (8, 2)
    with pytest.raises(ValueError, match="num_generations is missing"):
        DarlingReward(print)
    with pytest.raises(ValueError, match="num_generations is 4 in DarlingReward and 8 in"):
        DarlingReward(print, 4, args=args)
    with pytest.raises(ValueError, match="num_generations_eval is 1 in DarlingReward and 2 in"):
        DarlingReward(print, num_generations_eval=1, args=args)
    ragged = SimpleNamespace(
        num_generations=4, per_device_train_batch_size=3, steps_per_generation=2
    )
    DarlingReward(print, args=ragged)
    with pytest.raises(ValueError, match="gather is False, but a rank has 6 rows"):
        DarlingReward(print, args=ragged, gather=False)
    assert not caplog.records


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({"scale_rewards": "group"}, "scale_rewards='none'"),
        ({"scale_rewards": "batch"}, "scale_rewards='none'"),
        ({"scale_rewards": True}, "scale_rewards='none'"),
        ({"normalize_advantages": True}, "normalize_advantages=False"),
        ({"multi_objective_aggregation": "normalize_then_sum"}, "sum_then_normalize"),
        ({"scale_rewards": "none", "normalize_advantages": False}, None),
        ({"scale_rewards": False}, None),
        ({}, None),
    ],
)
def test_a_trainer_that_divides_by_the_std(
    args: dict[str, Any], told: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Warned of once, from `args` or from the trainer behind `log_metric`; advantages refused."""

    class Trainer:
        args = SimpleNamespace(num_generations=2)
        model = SimpleNamespace(training=True)

        def log_metric(self, name: str, value: float) -> None: ...

    vars(Trainer.args).update(args)
    DarlingReward(print, args=Trainer.args)
    assert [told in record.message for record in caplog.records if told] == [True] * bool(told)
    caplog.clear()
    client = Client("http://127.0.0.1:9", patience_s=0.1)
    reward = DarlingReward(lambda completions, **more: [1.0] * 2, 2, client=client)
    for _ in range(2):
        reward(["p"] * 2, ["a", "b"], log_metric=Trainer().log_metric)
    warned = [record.message for record in caplog.records if "standard deviation" in record.message]
    assert [told in message for message in warned if told] == [True] * bool(told)
    assert bool(warned) == bool(told)
    if told:
        with pytest.raises(ValueError, match="would change the advantages; set "):
            DarlingReward(print, args=Trainer.args, send="advantage")
    else:
        DarlingReward(print, args=Trainer.args, send="advantage")


def test_swift_verl_and_slime_show_their_arguments(caplog: pytest.LogCaptureFixture) -> None:
    with stand_ins():
        args = SimpleNamespace(num_generations=2, scale_rewards="group")
        made_swift()(args=args)
        config = verl_config(2)
        config.algorithm["norm_adv_by_std_in_grpo"] = True
        from darling_client.trainers.verl import DarlingRewardManager

        DarlingRewardManager(config, Letters(), print)
    slime._check_normalization(
        SimpleNamespace(rewards_normalization=True, grpo_std_normalization=True), Request({})
    )
    cures = ("scale_rewards='none'", "norm_adv_by_std_in_grpo=False", "--disable-grpo-std")
    assert [cure in r.message for cure, r in zip(cures, caplog.records, strict=True)] == [True] * 3
    uncentered = Request(
        {"send": "uncentered_advantage", "reward": {"advantage": "psr"}}, may_be_uncentered=True
    )
    with pytest.raises(ValueError, match="--disable-rewards-normalization"):
        slime._check_normalization(SimpleNamespace(rewards_normalization=True), uncentered)
    slime._check_normalization(SimpleNamespace(rewards_normalization=False), uncentered)
