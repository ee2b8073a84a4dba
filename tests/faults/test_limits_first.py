"""A body is measured before it is parsed: whatever it holds, the answer is short and comes soon."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from darling_service.errors import MAX_ERRORS, Invalid, Problem
from darling_service.schemas.outline import MAX_ITEMS, MAX_MEMBERS, MAX_VALUES
from darling_service.schemas.parse import parse
from darling_service.schemas.requests import (
    EquivalenceRequest,
    PartitionRequest,
    PreferenceRequest,
    RewardRequest,
    RolloutRequest,
)
from darling_service.trainers.classify import ClassifyRequest
from darling_service.trainers.nemo_gym import NemoGymRequest
from darling_service.trainers.openrlhf import OpenRLHFRequest
from darling_service.trainers.slime import SlimeRequest
from tests.conftest import running
from tests.faults.test_fuzz import DOORS, ROUTES

SCHEMAS: dict[str, type[BaseModel]] = {
    "/v1/rewards": RewardRequest,
    "/v1/partitions": PartitionRequest,
    "/v1/preferences": PreferenceRequest,
    "/v1/equivalence": EquivalenceRequest,
    "/v1/rollouts": RolloutRequest,
    "/get_reward": OpenRLHFRequest,
    "/trainers/slime/rm": SlimeRequest,
    "/trainers/nemo-gym/verify": NemoGymRequest,
    "/classify": ClassifyRequest,
}
EXAMPLES = {route: examples[0] for route, examples in ROUTES.items()} | {
    route.partition("?")[0]: example for route, example in DOORS.items()
}
LISTS = ("groups", "pairs", "query", "prompts", "labels", "input", "prompt", "solutions", "quality")
MANY = 20_000
MEGABYTE = 2**20
GROUP = '{"prompt":"p","rollouts":["a"]'


def many(item: str, times: int = MANY) -> str:
    return f"[{','.join([item] * times)}]"


def fields(count: int) -> str:
    return ",".join(f'"k{k}":1' for k in range(count))


def obj(members: str) -> str:
    return f"{{{members}}}"


HOSTILE = {
    **{
        f"{name} of {item}": obj(f'"{name}":{many(item)}') for name in LISTS for item in ("{}", "1")
    },
    "rollouts of {}": obj(f'"groups":[{{"prompt":"p","rollouts":{many("{}")}}}]'),
    "quality of null": obj(f'"groups":[{GROUP},"quality":{many("null")}}}]'),
    "messages of {}": obj(f'"groups":[{{"prompt":{many("{}")},"rollouts":["a"]}}]'),
    "groups of unknown fields": obj(f'"groups":{many(obj(fields(9)), 2_000)}'),
    "output of numbers": obj(
        f'"responses_create_params":{{"input":"p"}},"response":{{"output":{many("1")}}}'
    ),
    "an escaped name": obj(f'"gr\\u006fups":{many("{}")}'),
    "unknown fields": obj(fields(MANY)),
    "unknown fields up to the limit": obj(fields(MAX_MEMBERS - 1)),
    "more items than a list may have": obj(f'"input":{many("1", MAX_ITEMS + 1)}'),
    "more values than are validated at once": many(many("1", 1_000), MAX_VALUES // 1_000),
    "a name of a megabyte": obj(f'"{"n" * MEGABYTE}":1'),
    "a text for a list": obj(f'"groups":"{"n" * MEGABYTE}","pairs":"x"'),
    "a text for a number": obj(f'"group_size":"{"n" * MEGABYTE}"'),
    "a text for a choice": obj(f'"reward":{{"objective":"{"n" * MEGABYTE}"}}'),
    "a text of ten megabytes": obj(f'"groups":[{{"prompt":"{"n" * 10 * MEGABYTE}"}}]'),
    "a number of a megabyte": obj(f'"id":{"1" * MEGABYTE}'),
    "a number of 5,000 digits": obj(f'"group_size":{"1" * 5_000}'),
    "white space": obj(f'"groups":{" " * MEGABYTE}[]'),
    "nested lists": "[" * MANY,
    "nested lists for a field": obj(f'"label":{"[" * 100}{"]" * 100}'),
    "nested objects": '{"a":' * MANY,
    "closing brackets": "]}" * MANY,
    "escaped quotes": obj(f'"groups":["{MANY * (chr(92) + chr(34))}"]'),
    "backslashes": obj(f'"groups":["{MANY * 2 * chr(92)}"]'),
    "a string left open": f'{{"groups":["{MANY * (chr(92) + chr(34))}',
    "commas": "," * MANY,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_body_gets_a_short_answer_from_every_format(name: str) -> None:
    raw = HOSTILE[name].encode()
    for route, schema in SCHEMAS.items():
        started = time.process_time()
        with pytest.raises(Problem) as raised:
            parse(raw, schema)
        assert time.process_time() - started < 2, route
        body = json.dumps(raised.value.body())
        assert raised.value.status in (400, 422)
        assert len(body) < 8_000, (route, body)
        assert len(raised.value.body().get("errors", ())) <= MAX_ERRORS


def test_errors_are_counted_and_the_first_are_listed() -> None:
    raw = json.dumps({"groups": [{"prompt": "p", "rolouts": []}] * 30}).encode()
    with pytest.raises(Invalid) as raised:
        parse(raw, RewardRequest)
    assert "groups[0].rollouts: missing" in raised.value.detail
    assert f"errors lists the first {MAX_ERRORS}" in raised.value.detail
    places = [error["loc"][:2] for error in raised.value.body()["errors"]]
    assert places == [["groups", k // 2] for k in range(MAX_ERRORS)]


blank = st.sampled_from(["", " ", "\n\t", "  \r\n"])
word = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ['"', "\\", '\\"', "[{", "]},", "groups", '"groups":[', "\\\\"]
)
rollouts = st.lists(
    word
    | st.fixed_dictionaries({"text": word}, optional={"quality": st.just(0.5), "answer": word}),
    min_size=1,
    max_size=3,
)
group = st.fixed_dictionaries(
    {"prompt": word, "rollouts": rollouts},
    optional={"id": word, "reference": word.map("42 {}".format)},  # a blank one is refused
)
request = st.fixed_dictionaries(
    {"groups": st.lists(group, min_size=1, max_size=4)},
    optional={"model": word, "return_probabilities": st.booleans()},
)


def written(value: Any, space: str, ascii_only: bool) -> bytes:
    separators = (f"{space},{space}", f"{space}:{space}")
    return json.dumps(value, separators=separators, ensure_ascii=ascii_only).encode()


@given(request, blank, st.booleans())
def test_groups_validated_one_by_one_are_the_request(
    body: dict[str, Any], space: str, ascii_only: bool
) -> None:
    raw = written(body, space, ascii_only)
    assert parse(raw, RewardRequest) == RewardRequest.model_validate_json(raw)


@given(request, blank, st.data())
def test_what_is_no_request_stays_none(
    body: dict[str, Any], space: str, data: st.DataObject
) -> None:
    """Bytes changed, dropped or doubled anywhere: taken or refused as by one call of pydantic."""
    raw = bytearray(written(body, space, ascii_only=False))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(raw) - 1))
        end = data.draw(st.integers(start, min(start + 4, len(raw))))
        raw[start:end] = data.draw(
            st.sampled_from([b"", b"[", b"]", b"{", b"}", b",", b'"', b"\\"])
        )
        if not raw:
            return
    try:
        expected = RewardRequest.model_validate_json(bytes(raw))
    except ValidationError:
        with pytest.raises(Problem):
            parse(bytes(raw), RewardRequest)
    else:
        assert parse(bytes(raw), RewardRequest) == expected


def test_a_list_that_is_there_twice_is_refused() -> None:
    with pytest.raises(Invalid, match="body: has groups twice"):
        parse(f'{{"groups":[{GROUP}}}],"groups":[{GROUP}}}]}}'.encode(), RewardRequest)


SURROGATES = {
    "leading": "\\ud800",
    "trailing": "\\udfff",
    "in the wrong order": "\\udc00\\ud800",
    "before a letter": "\\ud83dx",
    "as bytes": "\\ud800",
}


def places(
    value: Any, loc: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], bool]]:
    """Places of a body that can hold a text, and whether it would be a field's name."""
    if isinstance(value, str):
        yield loc, False
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*loc, index))
    elif isinstance(value, dict):
        yield loc, True
        for name, item in value.items():
            yield from places(item, (*loc, name))


def with_mark(value: Any, loc: tuple[str | int, ...], as_name: bool) -> Any:
    """A copy of a body with the text MARK at a place."""
    if not loc:
        return {**value, "MARK": "MARK"} if as_name else "MARK"
    copy: Any = value.copy()
    copy[loc[0]] = with_mark(copy[loc[0]], loc[1:], as_name)
    return copy


@pytest.mark.parametrize("route", SCHEMAS)
@pytest.mark.parametrize("kind", SURROGATES)
def test_a_lone_surrogate_is_named_wherever_it_stands(route: str, kind: str) -> None:
    for loc, as_name in places(EXAMPLES[route]):
        raw = json.dumps(with_mark(EXAMPLES[route], loc, as_name)).encode()
        lone = b"\xed\xa0\x80" if kind == "as bytes" else SURROGATES[kind].encode()
        with pytest.raises(Invalid) as raised:
            parse(raw.replace(b"MARK", lone), SCHEMAS[route])
        body = raised.value.body()
        json.dumps(body).encode()
        body["detail"].encode()
        named = [error["loc"] for error in body["errors"] if "lone surrogate" in error["msg"]]
        assert any(place[: len(loc)] == list(loc) for place in named), (loc, body)


@pytest.mark.slow
def test_hostile_bodies_take_little_memory_and_no_request_waits(tmp_path: Any) -> None:
    """Every route of one service, beside which another caller asks whether it is alive."""
    with running(tmp_path / "log", "--model", "exact") as service, service.client() as http:
        before = memory_mb(service.process.pid)
        million = many("{}", 10**6)
        for raw in (
            obj(f'"groups":{million}'),
            obj(f'"pairs":{million}'),
            HOSTILE["rollouts of {}"],
        ):
            for route in SCHEMAS:
                answer = http.post(route, content=raw.encode())
                assert answer.status_code in (400, 422), (route, answer.text[:200])
                assert len(answer.content) < 8_000
        lone = b'{"text":"a","\\ud800":"\\ud800"}'
        for route in SCHEMAS:
            answer = http.post(route, content=lone)
            assert answer.status_code == 422, (route, answer.text)
            assert "lone surrogate" in answer.text
        url = "/get_reward?objective=%22%5Cud800%22"
        body = {"query": ["pa"], "prompts": ["p"]}
        assert http.post(url, json=body).status_code == 422
        assert memory_mb(service.process.pid) - before < 200


def memory_mb(process: int) -> float:
    """The most memory that a process has held, in MiB."""
    with open(f"/proc/{process}/status") as status:
        (line,) = (line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def test_a_text_over_the_limit_is_refused_before_any_work(http: httpx.Client) -> None:
    """Neither pairs nor prompts nor rollouts of megabytes reach a model."""
    long = "word " * 400_000
    for route, body in {
        "/v1/equivalence": {"pairs": [{"a": long, "b": "x"}]},
        "/v1/rewards": {"groups": [{"prompt": long, "rollouts": ["a", "b"], "quality": [1, 1]}]},
        "/v1/partitions": {"groups": [{"prompt": "p", "rollouts": ["a", long]}]},
        "/v1/rollouts": {"group_id": 1, "group_size": 1, "prompt": "p", "text": long, "quality": 1},
    }.items():
        started = time.monotonic()
        answer = http.post(route, json=body)
        assert answer.status_code == 422, answer.text[:200]
        assert "max_chars = 200000" in answer.json()["detail"]
        assert time.monotonic() - started < 5
