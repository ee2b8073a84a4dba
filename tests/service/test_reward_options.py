"""Options of a request: each is read by the terms that name it, and refused beside all others."""

from inspect import Parameter
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from pydantic import ValidationError

from darling_models.lexical import Exact
from darling_service.engine.engine import Engine
from darling_service.rewards.registry import CHOICES, OPTIONS, readers
from darling_service.rewards.terms import COLUMNS
from darling_service.schemas.requests import PartitionRequest, PromptGroup
from darling_service.schemas.reward_options import RewardOptions
from darling_service.scoring.rules import rule_of

CANDIDATES = (
    True,
    2,
    0.25,
    0.5,
    "class",
    "correct",
    "zscore",
    "as_published",
    "ngram",
    {"diversity": 2.0},
)
"""Values of which each option takes one that is not its default."""


def another(option: str) -> Any:
    """A value of the option that is not its default."""
    default = RewardOptions.model_fields[option].default
    for value in CANDIDATES:
        try:
            RewardOptions.__pydantic_validator__.validate_assignment(
                RewardOptions.model_construct(), option, value
            )
        except ValidationError as error:
            if error.errors()[0]["loc"]:  # not a value of this option
                continue
        if value != default:
            return value
    raise AssertionError(f"add a value of {option} that is not its default to CANDIDATES")


BESIDE: dict[str, dict[str, Any]] = {
    "gapo": {"support": 4},
    "pass_at_k": {"k": 2},
    "pkpo": {"k": 2},
    "poly_epo": {"k": 2},
    "smoothing": {"advantage": "centered"},
    "set_diversity": {"advantage": "centered"},
    "vpo": {"objective": "vector"},
    "volume": {"objective": "additive"},
    "batch": {"advantage": "centered"},
    "visits": {"advantage": "centered"},
    "min_quality": {"among": "quality"},
}
"""What a choice or an option needs beside it."""


EVERY_CHOICE = [(choice, name) for choice, terms in CHOICES.items() for name in terms]


def chosen(choice: str, name: str) -> dict[str, Any]:
    return {**BESIDE.get(name, {}), choice: name}


def test_every_option_of_a_term_is_a_field() -> None:
    assert RewardOptions.model_fields.keys() >= OPTIONS


@pytest.mark.parametrize(("choice", "name"), EVERY_CHOICE)
def test_a_terms_parameters_are_columns_options_or_have_defaults(choice: str, name: str) -> None:
    """A misspelt column would be a parameter that nobody fills."""
    term = CHOICES[choice][name]
    for parameter in term.parameters:
        if parameter.kind is not Parameter.KEYWORD_ONLY and parameter.name not in COLUMNS:
            assert parameter.default is not Parameter.empty, parameter.name


@pytest.mark.parametrize(("choice", "name"), EVERY_CHOICE)
def test_each_choice_stands_alone(choice: str, name: str) -> None:
    options = RewardOptions.model_validate(chosen(choice, name))
    assert options.needs <= COLUMNS.keys()


@pytest.mark.parametrize("option", sorted(OPTIONS))
@pytest.mark.parametrize(("choice", "name"), EVERY_CHOICE)
def test_an_option_is_taken_where_a_term_reads_it_and_refused_elsewhere(
    choice: str, name: str, option: str
) -> None:
    request = {**chosen(choice, name), option: another(option)}
    if option == "min_quality":
        request["among"] = "quality"
    if option == choice or (option == "outcome" and name == "visits"):
        return
    base = RewardOptions.model_validate(chosen(choice, name))
    read = frozenset().union(*(term.options for term in base.terms.values()))
    if option in read:
        assert getattr(RewardOptions.model_validate(request), option) is not None
        return
    with pytest.raises(ValidationError) as refusal:
        RewardOptions.model_validate(request)
    message = str(refusal.value)
    assert option in message or "among" in message
    assert any(f"{place} = " in message for place, _ in readers(option)) or "needs" in message


@pytest.mark.parametrize(
    ("reward", "words"),
    [
        (
            {"objective": "quality", "negative": "shift_min"},
            "negative belongs to objective",
        ),
        ({"objective": "gapo", "support": 2, "among": "correct"}, "among belongs to objective"),
        ({"objective": "vector", "among": "quality", "min_quality": 0.5}, "among belongs to"),
        ({"objective": "evol", "diversity": "ngram"}, "diversity belongs to objective"),
        ({"advantage": "nsr", "uniqueness": 1.0}, "uniqueness scales advantages above 0"),
        ({"advantage": "vpo"}, "advantage = 'vpo' belongs to objective = 'vector'"),
        ({"objective": "gapo"}, "needs support"),
        ({"advantage": "pkpo"}, "needs k"),
        ({"exploration": "batch"}, "exploration changes advantages; set advantage"),
        ({"diversity": "volume"}, "volume is a term to add, not a factor"),
        ({"parity": "darling", "floor": 0.2}, "parity fixes every option but advantage"),
        ({"objective": "entropy"}, "choose one of darling, additive"),
    ],
)
def test_a_refusal_names_the_option_and_the_cure(
    http: httpx.Client, reward: dict[str, Any], words: str
) -> None:
    group = {"prompt": "Name one.", "rollouts": ["A.", "B."], "quality": [1.0, 0.5]}
    request = {"groups": [group], "reward": reward, "model": "exact"}
    answer = http.post("/v1/rewards", json=request)
    assert answer.status_code == 422, answer.text
    assert words in answer.json()["errors"][0]["msg"]


def test_negative_advantages_may_be_scaled_as_published(http: httpx.Client) -> None:
    """With `uniqueness_of: all`, uniqueness means something beside nsr too."""
    group = {"prompt": "Name one.", "rollouts": ["A.", "A.", "B."], "quality": [0.0, 0.0, 0.0]}
    reward = {"advantage": "nsr", "uniqueness": 1.0, "uniqueness_of": "all"}
    request = {"groups": [group], "reward": reward, "model": "exact"}
    answer = http.post("/v1/rewards", json=request).json()["groups"][0]
    assert answer["advantages"] == [-0.5, -0.5, -1.0]


@pytest.mark.parametrize(
    ("column", "partition_only"),
    [("partition", True), ("quality", True), ("equivalent", False), ("probabilities", False)],
)
def test_no_pair_is_left_out_where_a_term_reads_pairs(column: str, partition_only: bool) -> None:
    class Options(RewardOptions):
        @property
        def needs(self) -> frozenset[str]:
            return frozenset({column})

    engine = cast(Engine, SimpleNamespace(classifier=Exact()))
    request = PartitionRequest(groups=[PromptGroup(prompt="", rollouts=["a"])])
    assert rule_of(engine, request, Options()).partition_only is partition_only
