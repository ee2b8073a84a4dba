"""Bodies, URLs' queries, labels and answers of servers that Hypothesis makes up: whatever they are,
a caller gets a result or a problem that is not the service's fault."""

import asyncio
import copy
import gzip
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.testclient import TestClient

from darling_models.remote.hosts import MISREAD
from darling_models.texts.chat_templates import Turn
from darling_service.app import create_app
from darling_service.errors import Problem
from darling_service.http.body import _inflate
from darling_service.http.body_budget import BodyBudget
from darling_service.http.state import Service
from darling_service.quality.math_verify import MathVerify
from darling_service.quality.reward_server import _reward
from darling_service.quality.sample import Sample
from darling_service.quality.sources import LabelMatch
from darling_service.schemas.parse import parse
from darling_service.schemas.requests import PartitionOptions
from darling_service.schemas.reward_options import RewardOptions
from darling_service.settings import Settings
from darling_service.trainers.slime import SlimeQuery
from tests.faults.hostile import UNITS
from tests.faults.test_fuzz import DOORS
from tests.faults.test_limits_first import EXAMPLES, SCHEMAS

ANSWERS = frozenset({200, 400, 409, 413, 415, 422})
LIMIT = 10_000

texts = st.one_of(
    st.text(max_size=30),
    st.lists(st.sampled_from([*UNITS.values(), "42", "the answer is", "\\frac{1}{2}"])).map(
        "".join
    ),
)
values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        texts,
        st.sampled_from(["\ud800", "darling", 10**400, -0.0, 1e308, 2**63]),
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
"""JSON values, and what Python's parser takes for some."""


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all values inside a JSON value."""
    yield place
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(one, (*place, key))


def changed(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    """The value with what is at the place replaced."""
    if not place:
        return new
    whole = copy.deepcopy(value)
    inner = whole
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = new
    return whole


@st.composite
def mutated(draw: st.DrawFn, example: Any) -> Any:
    """The example with one or two of its values replaced, or with a field more."""
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.sampled_from(list(places(example))))
        example = changed(example, place, draw(values))
    if isinstance(example, dict) and draw(st.booleans()):
        example = {**example, draw(texts): draw(values)}
    return example


@contextmanager
def refusals(*statuses: int) -> Iterator[None]:
    """Lets problems of these statuses pass, and nothing else."""
    try:
        yield
    except Problem as problem:
        if problem.status not in statuses:
            raise


@pytest.mark.parametrize("route", SCHEMAS)
def test_any_bytes_are_parsed_or_refused(route: str) -> None:
    schema: type[BaseModel] = SCHEMAS[route]
    good = json.dumps(EXAMPLES[route]).encode()

    @given(st.data())
    def check(data: st.DataObject) -> None:
        start = data.draw(st.integers(0, len(good)))
        end = data.draw(st.integers(start, len(good)))
        raw = good[:start] + data.draw(st.binary(max_size=20)) + good[end:]
        with refusals(400, 422):
            parse(raw, schema)

    check()


@given(st.binary(max_size=200), st.integers(0, 60), st.binary(max_size=5))
def test_any_bytes_are_inflated_or_refused(content: bytes, cut: int, put: bytes) -> None:
    whole = gzip.compress(content)
    for raw in (content, whole[:cut] + put + whole[cut:], whole[:cut], whole + put, whole * 2):
        with refusals(400, 413), BodyBudget(LIMIT).holding() as held:
            assert len(_inflate(raw, LIMIT, held)) <= LIMIT


@pytest.fixture(scope="module")
def http() -> Iterator[TestClient]:
    short = Settings(model="exact", cohort_deadline_s=0.01, cohort_idle_timeout_s=0.01)
    with TestClient(create_app(Service(short))) as client:
        while client.get("/health/ready").status_code != 200:
            pass
        yield client


@pytest.mark.parametrize("route", EXAMPLES)
def test_any_body_and_query_are_answered(http: TestClient, route: str) -> None:
    names = [*SlimeQuery.model_fields, *RewardOptions.model_fields, *PartitionOptions.model_fields]
    queries = st.dictionaries(st.sampled_from(names) | texts, texts | values.map(repr), max_size=3)
    default = next((door for door in DOORS if door.startswith(f"{route}?")), "").partition("?")[2]

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(mutated(EXAMPLES[route]), queries)
    def check(body: Any, query: dict[str, str]) -> None:
        # A wait of a test that made one up would be as long as it says.
        sized = dict(part.split("=") for part in default.split("&") if part)
        written = {k: v for k, v in query.items() if k != "deadline_s"} | sized
        quick = {**written, "deadline_s": "0.01"} if sized else written
        if isinstance(body, dict) and "deadline_s" in body:
            body["deadline_s"] = 0.01
        raw = json.dumps(body).encode()
        answer = http.post(route, content=raw, params=_sendable(quick))
        assert answer.status_code in ANSWERS, (raw, quick, answer.text)
        assert answer.status_code == 200 or answer.json()["detail"]

    check()


def _sendable(query: dict[str, str]) -> dict[str, str]:
    """Without halves of characters, which no URL can hold."""
    return {
        name.encode(errors="replace").decode(): value.encode(errors="replace").decode()
        for name, value in query.items()
    }


def sample(text: str, label: Any) -> Sample:
    return Sample([{"role": "user", "content": "p"}], [Turn("assistant", text)], label)


@given(texts, values)
def test_label_match_gives_a_verdict_or_names_the_label(text: str, label: Any) -> None:
    with refusals(422):
        assert asyncio.run(LabelMatch().quality(sample(text, label))) in (0.0, 1.0)


def test_math_verify_gives_a_verdict_or_names_the_label() -> None:
    source = MathVerify()
    formulas = texts | st.text("0123456789+-*/^(){}=x\\ .,%", max_size=12).map(
        "\\boxed{{{}}}".format
    )

    @settings(max_examples=40, suppress_health_check=list(HealthCheck))
    @given(formulas, formulas)
    def check(text: str, label: str) -> None:
        with refusals(422):
            assert asyncio.run(source.quality(sample(text, label))) in (0.0, 1.0)

    check()


@given(values, st.booleans())
def test_a_reward_servers_answer_is_a_finite_number_or_misread(answer: Any, wrapped: bool) -> None:
    with suppress(*MISREAD):
        assert math.isfinite(_reward({"rewards": answer} if wrapped else answer))
