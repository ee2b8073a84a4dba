"""One key's runs: another key's callers cannot read, replace, add to or push out what is kept."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest

from darling_service.caller import CALLER
from darling_service.scoring.visits import Visit, Visits
from tests.faults.in_process import bearer, client_of, keys_of
from tests.faults.test_keys import ROUTES

PROMPT = "Name a city."
CHAT = [{"role": "user", "content": PROMPT}]


def native(text: str, member: int) -> dict[str, Any]:
    return {
        **{"run": "r", "group_id": "g", "prompt": PROMPT, "text": text, "quality": 1.0},
        **{"member_id": member, "group_size": 2, "deadline_s": 1},
    }


def openrlhf(text: str, member: int) -> dict[str, Any]:
    return {"query": [PROMPT + text], "prompts": [PROMPT], "labels": [None]}


def slime(text: str, member: int) -> dict[str, Any]:
    return {"prompt": PROMPT, "response": text, "label": None}


def nemo_gym(text: str, member: int) -> dict[str, Any]:
    output = [{"type": "message", "role": "assistant", "content": text}]
    return {
        "responses_create_params": {"input": CHAT},
        "response": {"output": output},
        **{"_ng_group_id": "g", "_ng_rollout_index": member},
    }


QUERY = "?n=2&run=r&deadline_s=1"
COHORT_ROUTES = {
    "/v1/rollouts": (native, ""),
    "/get_reward": (openrlhf, QUERY),
    "/trainers/openrlhf/get_reward": (openrlhf, QUERY),
    "/trainers/slime/rm": (slime, f"{QUERY}&answer=object"),
    "/verify": (nemo_gym, QUERY),
    "/trainers/nemo-gym/verify": (nemo_gym, QUERY),
}
"""Routes whose rollouts wait for siblings: what one of them takes, and its query."""
WHOLE_ROUTES = {
    *("/v1/rewards", "/v1/partitions", "/v1/preferences", "/v1/equivalence", "/classify"),
    *("/seed_session", "/trainers/nemo-gym/seed_session"),
    *("/aggregate_metrics", "/trainers/nemo-gym/aggregate_metrics"),
    "/v1/review/marks",
}
"""Routes whose requests wait for no other."""


def test_each_route_that_takes_a_body_is_in_one_of_the_tables() -> None:
    assert {path for method, path in ROUTES if method == "POST"} == {*COHORT_ROUTES, *WHOLE_ROUTES}


def complete(answer: httpx.Response) -> bool:
    """Whether the rollout was scored with its sibling."""
    assert answer.status_code == 200, answer.text
    flag = answer.headers.get("darling-group-complete")
    return bool(answer.json()["group_complete"]) if flag is None else flag == "true"


@pytest.mark.parametrize("path", COHORT_ROUTES)
def test_a_sibling_with_another_key_is_none(path: str) -> None:
    body, query = COHORT_ROUTES[path]
    (alice, bob), lines = keys_of("alice", "bob")

    async def sent(http: httpx.AsyncClient, *senders: str) -> list[httpx.Response]:
        posts: list[Coroutine[Any, Any, httpx.Response]] = [
            http.post(path + query, json=body(f"Oslo {k}", k), headers=bearer(key))
            for k, key in enumerate(senders)
        ]
        return list(await asyncio.gather(*posts))

    async def ask() -> None:
        async with client_of(api_keys=lines) as http:
            assert [complete(a) for a in await sent(http, alice, bob)] == [False, False]
        async with client_of(api_keys=lines) as http:
            assert [complete(a) for a in await sent(http, alice, alice)] == [True, True]

    asyncio.run(ask())


def test_a_member_is_neither_read_nor_replaced_with_another_key() -> None:
    (alice, other, bob), lines = keys_of("alice", "alice", "bob")

    async def ask() -> None:
        async with client_of(api_keys=lines) as http:

            def post(key: str, member: int, **more: Any) -> asyncio.Task[httpx.Response]:
                body = {**native(f"Oslo {member}", member), **more}
                return asyncio.create_task(
                    http.post("/v1/rollouts", json=body, headers=bearer(key))
                )

            first = post(alice, 0)
            await asyncio.sleep(0.05)
            poison = post(bob, 0, quality=-1e30, text="poison")
            joined = post(bob, 1, quality=-1e30, text="poison, too")
            await asyncio.sleep(0.05)
            second = post(other, 1)
            answers = [(await task).json() for task in (first, second, poison, joined)]
            assert [answer["reward"] for answer in answers[:2]] == [1.0, 1.0]
            assert all(answer["group_complete"] for answer in answers)
            assert answers[2]["reward"] < 0
            # The scored cohort answers a retry, but only with a key of the same name.
            again = await post(other, 0)
            assert again.json() == answers[0]
            retry = (await post(bob, 0, quality=-1e30, text="poison")).json()
            assert retry == answers[2]
            late = await post(bob, 2, text="a spy", attempt=1)
            assert late.json()["group_size"] == 1

    asyncio.run(ask())


async def explored(
    http: httpx.AsyncClient, key: str, run: str, step: int, *answers: str
) -> list[float]:
    """The advantages of a group with these answers, lower where an answer came before."""
    group = {
        **{"prompt": PROMPT, "quality": [1.0] * len(answers)},
        "rollouts": [{"text": answer, "answer": answer} for answer in answers],
    }
    exploration = {"exploration": "visits", "exploration_weight": 1.0}
    reward = {"objective": "quality", "advantage": "centered", **exploration}
    body = {"groups": [group], "run": {"name": run, "step": step}, "reward": reward}
    answer = await http.post("/v1/rewards", json=body, headers=bearer(key))
    assert answer.status_code == 200, answer.text
    advantages: list[float] = answer.json()["groups"][0]["advantages"]
    return advantages


@pytest.mark.parametrize("in_file", [False, True])
def test_visits_are_counted_for_each_key_by_itself(in_file: bool, tmp_path: Path) -> None:
    (alice, bob), lines = keys_of("alice", "bob")
    file = tmp_path / "visits.db" if in_file else None

    async def ask() -> None:
        async with client_of(api_keys=lines, visits_file=file) as http:
            fresh = await explored(http, alice, "r", 1, "Oslo", "Rome")
            for step in range(1, 20):
                await explored(http, bob, "r", step, "Oslo", f"City {step}")
            assert await explored(http, bob, "r", 30, "Oslo", "Rome") != fresh
            assert await explored(http, alice, "r", 2, "Oslo", "Rome") == fresh
            await explored(http, alice, "r", 2, "Oslo", "Oslo")
            seen = await explored(http, alice, "r", 3, "Oslo", "Rome")
            assert seen[0] < seen[1], "Oslo came three times, and Rome once"

    asyncio.run(ask())


def test_one_key_cannot_push_out_the_visits_of_another() -> None:
    visits = Visits(None, max_counts=4)

    async def count(caller: str, step: int, answer: str) -> int:
        CALLER.set(caller)
        (counts,) = await visits.count("r", step, [Visit(PROMPT, None, [answer], [answer])])
        return int(counts[0])

    async def ask() -> None:
        await count("alice", 1, "Oslo")
        for step in range(100):
            await count("bob", step, f"{step}")
        assert await count("alice", 2, "Oslo") == 1
        assert await count("bob", 200, "0") == 0, "bob's own oldest are dropped"
        assert await count("bob", 201, "99") == 1
        assert await count("", 300, "Oslo") == 0

    asyncio.run(ask())


@pytest.mark.parametrize(
    "name",
    [
        *(
            "../../etc/passwd",
            "/etc/passwd",
            "..",
            "%2e%2e%2f",
            "r\x00",
            "r'; DROP TABLE visits;--",
        ),
        *("alice", "alice\x00r", "alice/r", " r", "r ", "R", "\u2024\u2024/", "x" * 512),
    ],
)
def test_the_name_of_a_run_is_no_more_than_a_name(name: str, tmp_path: Path) -> None:
    """Neither the key's name nor a path, nor part of a statement; and it opens nothing."""
    (alice, bob), lines = keys_of("alice", "bob")
    file = tmp_path / "visits" / "visits.db"
    file.parent.mkdir()
    before = sorted(tmp_path.rglob("*"))

    async def ask() -> None:
        async with client_of(api_keys=lines, visits_file=file) as http:
            fresh = await explored(http, alice, "r", 1, "Oslo", "Rome")
            for step in range(3):
                await explored(http, bob, name, step, "Oslo", "Oslo")
            assert await explored(http, alice, "r", 1, "Oslo", "Rome") == fresh
            for key in (alice, bob):
                body = {**native("Oslo", 0), "run": name, "group_size": 1}
                answer = await http.post("/v1/rollouts", json=body, headers=bearer(key))
                assert answer.status_code == 200

    asyncio.run(ask())
    assert {p for p in tmp_path.rglob("*") if p.name != "visits.db"} == set(before)
