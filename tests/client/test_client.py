"""The Python client against a real service: batches, routing, outages, refusals."""

import asyncio
import math
import multiprocessing
import pickle
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darling_client import (
    AsyncClient,
    BadRequest,
    BadResponse,
    Client,
    CohortRollout,
    Group,
    GroupPreference,
    GroupRewards,
    Overloaded,
    Refused,
    Rollout,
    RolloutReward,
    TimedOut,
    TooLarge,
    Unauthorized,
    Unavailable,
    Unreachable,
    consecutive,
    regroup,
)
from darling_client._calls import rewards_call, rollout_call
from darling_client._exchange import Call, Send, exchange
from darling_client._hosts import Hosts
from darling_client._options import ClientParams, Options
from tests.conftest import running
from tests.servers.processes import Server, serving
from tests.servers.scripted import Reply, scripted

COLOURS = Group("Name a colour.", ["Blue", "Blue", "Red"], quality=[1.0, 0.5, 0.25], id="colours")
QUICK: dict[str, Any] = {"backoff_s": 0.05, "connect_timeout_s": 1.0}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("ngram") / "log", "--model", "ngram") as service:
        yield service.url


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def proxied(url: str, *arguments: str) -> AbstractContextManager[Server]:
    return serving("tests.servers.flaky_proxy", url, *arguments)


def batch(groups: int) -> list[Group]:
    return [
        Group(f"p{g}", [f"word{g} number{r // 2}" for r in range(4)], quality=[1, 1, 1, g / 100])
        for g in range(groups)
    ]


def answer_of(client: Client | AsyncClient, groups: list[Group]) -> list[GroupRewards]:
    if isinstance(client, Client):
        with client:
            return client.rewards(groups)

    async def ask() -> list[GroupRewards]:
        async with client:
            return await client.rewards(groups)

    return asyncio.run(ask())


BOTH = pytest.mark.parametrize("kind", [Client, AsyncClient])
Kind = type[Client] | type[AsyncClient]


@BOTH
def test_a_typed_answer(url: str, kind: Kind) -> None:
    (answer,) = answer_of(kind(url), [COLOURS])
    assert answer.id == "colours"
    assert answer.partition == [0, 0, 1]
    assert answer.num_classes == 2
    assert answer.diversity == [0.5, 0.5, 1.0]
    assert answer.quality == [1.0, 0.5, 0.25]
    assert answer.rewards == [0.5, 0.25, 0.25]
    assert answer.advantages is None
    assert answer.model.id == "ngram"


@BOTH
def test_a_batch_keeps_its_order_and_goes_out_in_parallel(url: str, kind: Kind) -> None:
    with proxied(url, "--delay", "0.2") as proxy:
        started = time.monotonic()
        answers = answer_of(kind(proxy.url, parallel=20), batch(40))
        took = time.monotonic() - started
        seen = httpx.get(f"{proxy.url}/seen").json()
    assert [answer.rewards[3] for answer in answers] == [2 / 3 * (g / 100) for g in range(40)]
    assert len(seen) == 40
    assert took < 40 * 0.2, "they did not wait for each other"


@BOTH
def test_no_groups_are_no_request(kind: Kind) -> None:
    assert answer_of(kind("http://127.0.0.1:9"), []) == []


def test_options_reach_the_service(url: str) -> None:
    with Client(url) as client:
        (answer,) = client.rewards(
            [COLOURS],
            reward={"objective": "additive", "advantage": "centered"},
            partition={"threshold": 1.0},
            run="exp-7",
            return_probabilities=True,
            record=False,
        )
    assert answer.rewards == pytest.approx([1.5, 1.0, 1.25])
    assert answer.advantages is not None
    assert sum(answer.advantages) == pytest.approx(0)
    assert answer.probabilities is not None
    assert answer.probabilities[0][2] == 0


def test_partitions_and_rollouts_as_objects(url: str) -> None:
    with Client(url) as client:
        chat = [{"role": "user", "content": [{"type": "text", "text": "Name "}, {"text": "one."}]}]
        group = Group(chat, [Rollout("Blue", quality=1), Rollout("Red", quality=0)])
        assert client.partitions([Group("p", ["a b", "a b", "c"])])[0].partition == [0, 0, 1]
        assert client.rewards([group])[0].rewards == [1.0, 0.0]
        assert client.partitions([COLOURS])[0].partition == [0, 0, 1], "quality is left out"


def test_scores_of_several_solutions_reach_the_service(url: str) -> None:
    """Of two rollouts with one solution each, good at one of two things: VPO, by hand."""
    both = [Rollout("Blue", solutions=[(1.0, 0.0)]), Rollout("Red", solutions=[(1.0, 0.0)])]
    with Client(url) as client:
        (answer,) = client.rewards([Group("p", both)], reward={"objective": "vector"})
        with pytest.raises(BadRequest, match="solutions"):
            client.rewards([Group("p", ["Blue", "Red"])], reward={"objective": "vector"})
    assert answer.rewards[0] == answer.rewards[1]
    assert 0 < answer.rewards[0] < 1


def test_preferences(url: str) -> None:
    texts = ["Blue", "Green", "Blue", "Seven", "Seven"]
    group = Group("Name a colour.", texts, quality=[1.0, 0.9, 1.0, 0.0, 0.1])

    async def awaited() -> list[GroupPreference]:
        async with AsyncClient(url) as client:
            return await client.preferences([group], share=0.05)

    with Client(url) as client:
        (answer,) = client.preferences([group])
        narrow = client.preferences([group], share=0.05)
    assert (answer.chosen, answer.rejected, answer.num_classes) == (1, 3, 3)
    assert (narrow[0].chosen, narrow[0].rejected) == (0, 3)
    assert asyncio.run(awaited()) == narrow


def test_large_bodies_are_compressed(url: str) -> None:
    words = " ".join(f"w{i}" for i in range(6000))
    with proxied(url) as proxy, Client(proxy.url) as client:
        small = client.rewards([COLOURS])[0]
        large = client.rewards([Group("p", [words + " x", words, words], quality=[1, 1, 1])])[0]
        encodings = [one["encoding"] for one in httpx.get(f"{proxy.url}/seen").json()]
    assert encodings == [None, "gzip"]
    assert small.num_classes == 2
    assert large.partition[1:] == [1, 1] or large.num_classes == 1


@BOTH
def test_429_is_waited_out_no_sooner_than_told(url: str, kind: Kind) -> None:
    with proxied(url, "--refuse", "3", "--retry-after", "1") as proxy:
        (answer,) = answer_of(kind(proxy.url, **QUICK), [COLOURS])
        at = [one["at"] for one in httpx.get(f"{proxy.url}/seen").json()]
    assert answer.rewards == [0.5, 0.25, 0.25]
    assert len(at) == 4
    assert all(later - earlier >= 0.99 for earlier, later in pairwise(at))


@BOTH
def test_a_429_storm_over_a_batch(url: str, kind: Kind) -> None:
    with proxied(url, "--refuse", "30", "--retry-after", "0.2") as proxy:
        answers = answer_of(kind(proxy.url, **QUICK), batch(40))
    assert [answer.rewards[3] for answer in answers] == [2 / 3 * (g / 100) for g in range(40)]


@BOTH
def test_a_storm_without_end_is_given_up_with_the_reason(url: str, kind: Kind) -> None:
    with proxied(url, "--refuse", "99999", "--status", "503") as proxy:
        started = time.monotonic()
        with pytest.raises(Overloaded, match="answered 503: told to refuse"):
            answer_of(kind(proxy.url, patience_s=1, **QUICK), [COLOURS])
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("status", [429, 500, 503, 401, 413, 422])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"detail": "no", "request_id": "step-3/a"}, "no [request step-3/a]"),
        ({"detail": "no"}, "no"),
        ({"detail": "no", "request_id": 3}, "no"),
        ({"detail": "no", "request_id": "x" * 9000}, f"no [request {'x' * 128}]"),
        ("no", "no"),
    ],
)
def test_an_error_ends_with_the_id_by_which_the_log_names_the_request(
    status: int, body: Any, said: str
) -> None:
    hasty: dict[str, Any] = {"patience_s": 30, "backoff_s": 100, "longest_backoff_s": 100}
    with (
        scripted(lambda _: Reply(status, body)) as server,
        pytest.raises((Overloaded, Refused)) as error,
    ):
        answer_of(Client(server.url, **hasty), [COLOURS])
    assert f"answered {status}: {said}" in str(error.value)
    assert len(str(error.value)) < 1000


def test_a_retry_after_may_be_a_date(url: str) -> None:
    back = format_datetime(datetime.now(UTC) + timedelta(seconds=4), usegmt=True)
    with proxied(url, "--refuse", "1", "--retry-after", back) as proxy:
        client = Client(proxy.url, backoff_s=60, longest_backoff_s=60, patience_s=30)
        assert answer_of(client, [COLOURS])[0].num_classes == 2


def test_a_retry_after_beyond_patience_is_not_waited_for(url: str) -> None:
    with proxied(url, "--refuse", "99", "--retry-after", "3600") as proxy:
        started = time.monotonic()
        with pytest.raises(Overloaded, match=r"gave up after 1 try, .* patience_s = 20"):
            answer_of(Client(proxy.url, patience_s=20), [COLOURS])
    assert time.monotonic() - started < 10


@BOTH
def test_broken_connections_are_asked_again(url: str, kind: Kind) -> None:
    with proxied(url, "--drop", "2") as proxy:
        (answer,) = answer_of(kind(proxy.url, **QUICK), [COLOURS])
    assert answer.rewards == [0.5, 0.25, 0.25]


@BOTH
def test_slow_answers_are_given_up_in_time(url: str, kind: Kind) -> None:
    with proxied(url, "--delay", "5") as proxy:
        started = time.monotonic()
        with pytest.raises(TimedOut, match="raise timeout_s"):
            answer_of(kind(proxy.url, timeout_s=0.3, patience_s=1, **QUICK), [COLOURS])
    assert time.monotonic() - started < 4


def test_a_service_that_starts_late(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    answers: list[list[GroupRewards]] = []
    client = Client(f"http://127.0.0.1:{port}", **QUICK)
    asking = threading.Thread(target=lambda: answers.append(answer_of(client, [COLOURS])))
    asking.start()
    time.sleep(0.5)
    assert not answers
    with running(tmp_path / "log", "--model", "ngram", "--port", str(port)):
        asking.join(timeout=30)
    assert answers[0][0].rewards == [0.5, 0.25, 0.25]
    assert re.match(r"retrying for up to (600|5\d\d) s: no connection to", caplog.messages[0])


@BOTH
def test_a_storm_is_told_once_in_a_while(
    url: str, kind: Kind, caplog: pytest.LogCaptureFixture
) -> None:
    with proxied(url, "--refuse", "30", "--retry-after", "0.2") as proxy:
        answer_of(kind(proxy.url, **QUICK), batch(40))
    assert 1 <= len(caplog.messages) < 10, "of thirty refusals"
    assert "answered 429: told to refuse" in caplog.messages[0]


def test_a_service_killed_in_the_middle_and_started_again(tmp_path: Path) -> None:
    port, groups = free_port(), batch(200)
    answers: list[list[GroupRewards]] = []
    arguments = ("--model", "ngram", "--port", str(port))
    with running(tmp_path / "first", *arguments) as service:
        client = AsyncClient(service.url, parallel=4, **QUICK)
        asking = threading.Thread(target=lambda: answers.append(answer_of(client, groups)))
        asking.start()
        while 'route="/v1/rewards"' not in httpx.get(f"{service.url}/metrics").text:
            time.sleep(0.01)
        service.process.kill()
        service.process.wait()
    assert not answers, "killed while the batch was under way"
    with running(tmp_path / "second", *arguments):
        asking.join(timeout=60)
    assert [answer.rewards[3] for answer in answers[0]] == [
        pytest.approx(2 / 3 * (g / 100)) for g in range(200)
    ]


@BOTH
def test_a_service_that_never_starts(kind: Kind) -> None:
    with pytest.raises(Unreachable, match="is the service running"):
        answer_of(kind("http://127.0.0.1:9", patience_s=0.5, **QUICK), [COLOURS])


def test_a_group_that_fails_does_not_take_the_others_with_it(url: str) -> None:
    refusal = ("--refuse", "1", "--retry-after", "60")
    with proxied(url, *refusal) as proxy, Client(proxy.url, parallel=1, patience_s=5) as client:
        first, *others = client.try_rewards(batch(3))
    assert isinstance(first, Overloaded)
    assert [isinstance(other, GroupRewards) for other in others] == [True, True]


@BOTH
def test_a_wrong_request_is_refused_at_once_with_the_field(url: str, kind: Kind) -> None:
    with pytest.raises(BadRequest, match=r"groups\[0\]\.quality: 1 values for 2") as refused:
        answer_of(kind(url), [Group("p", ["a", "b"], quality=[1.0])])
    assert refused.value.status == 422
    assert refused.value.errors[0]["loc"] == ["groups", 0, "quality"]
    assert not isinstance(refused.value, Unavailable)
    with pytest.raises(BadRequest, match="finite"):
        answer_of(kind(url), [Group("p", ["a"], quality=[float("nan")])])
    with pytest.raises(BadRequest, match="surrogate"):
        answer_of(kind(url), [Group("p", ["\ud800"], quality=[1.0])])


@BOTH
def test_one_wrong_group_ends_the_batch(url: str, kind: Kind) -> None:
    groups = [*batch(20), Group("p", [], quality=[]), *batch(20)]
    with pytest.raises(BadRequest, match="must not be empty"):
        answer_of(kind(url), groups)


def test_limits_and_tokens(tmp_path: Path) -> None:
    arguments = ("--model", "ngram", "--api-key", "secret", "--max-body-bytes", "2000")
    with running(tmp_path / "log", *arguments) as service:
        with pytest.raises(Unauthorized, match="DARLING_API_KEY"):
            answer_of(Client(service.url), [COLOURS])
        client = Client(service.url, token="secret")
        assert answer_of(client, [COLOURS])[0].num_classes == 2
        assert "secret" not in repr(client)
        with pytest.raises(TooLarge, match="max_body_bytes"):
            answer_of(client, [Group("p", ["a" * 3000], quality=[1])])


@BOTH
def test_a_response_of_something_else(url: str, kind: Kind) -> None:
    with proxied(url, "--nonsense") as proxy, pytest.raises(BadResponse, match="plenty"):
        answer_of(kind(proxy.url), [COLOURS])


def test_a_dead_host_is_passed_over(url: str) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    client = Client([dead, url], **QUICK)
    assert len(answer_of(client, batch(20))) == 20
    started = time.monotonic()
    assert len(answer_of(client, batch(20))) == 20
    assert time.monotonic() - started < 5


def test_a_busy_host_leaves_the_work_to_the_other(url: str) -> None:
    with proxied(url, "--refuse", "99999", "--retry-after", "60") as busy:
        answers = answer_of(Client([busy.url, url], patience_s=30, **QUICK), batch(20))
        seen = httpx.get(f"{busy.url}/seen").json()
    assert len(answers) == 20
    assert len(seen) <= 16, "once told to wait, it is left alone"


def test_hosts_share_the_load(url: str) -> None:
    with proxied(url, "--delay", "0.1") as one, proxied(url, "--delay", "0.1") as other:
        answer_of(Client([one.url, other.url], parallel=8), batch(40))
        shares = [len(httpx.get(f"{host.url}/seen").json()) for host in (one, other)]
    assert sum(shares) == 40
    assert min(shares) >= 12


def members(groups: int, size: int) -> list[CohortRollout]:
    return [
        CohortRollout(
            group_id=f"g{group}",
            member_id=member,
            group_size=size,
            prompt=f"p{group}",
            rollout=Rollout(f"word{member // 2}", quality=member / 8),
        )
        for member in range(size)
        for group in range(groups)
    ]


def test_members_of_cohorts_meet_over_two_hosts(url: str, tmp_path: Path) -> None:
    """More of them wait than a pool of connections has by default, and every host has a share."""

    async def ask(client: AsyncClient) -> list[RolloutReward]:
        async with client:
            return await asyncio.gather(
                *(client.rollout(member, run="exp") for member in members(60, 4))
            )

    with running(tmp_path / "log", "--model", "ngram") as other:
        answers = asyncio.run(ask(AsyncClient([url, other.url])))
        counted = [httpx.get(f"{host}/metrics").text for host in (url, other.url)]
    for member, answer in zip(members(60, 4), answers, strict=True):
        assert answer.reward == pytest.approx(2 / 3 * int(member.member_id) / 8)
        assert (answer.class_, answer.num_classes) == (int(member.member_id) // 2, 2)
        assert (answer.group_complete, answer.group_size) == (True, 4)
    assert all('darling_cohorts_total{end="complete"}' in text for text in counted)


def test_a_cohort_from_threads_and_its_deadline(url: str) -> None:
    three = [member for member in members(1, 4) if member.member_id != 2]
    three = [replace(member, group_id="partial", deadline_s=0.5) for member in three]
    with Client(url) as client, ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(client.rollout, three))
    assert [answer.group_complete for answer in answers] == [False] * 3
    assert [answer.diversity for answer in answers] == [0.5, 0.5, 1.0]
    assert {answer.model.id for answer in answers} == {"ngram"}


def test_a_cohort_ends_when_nobody_new_comes(url: str) -> None:
    """Long before its deadline, for which it would wait without `idle_timeout_s`."""
    alone = replace(members(1, 4)[0], group_id="idle", deadline_s=60, idle_timeout_s=0.5)
    started = time.monotonic()
    with Client(url) as client:
        answer = client.rollout(alone)
    assert 0.5 <= time.monotonic() - started < 30
    assert (answer.group_complete, answer.group_size) == (False, 1)


@given(st.lists(st.text(), min_size=1, max_size=40, unique=True))
def test_a_key_names_the_same_host_for_everyone(keys: list[str]) -> None:
    urls = ["http://a", "http://b", "http://c"]
    hosts = {key: Hosts(urls).take(key) for key in keys}
    assert hosts == {key: Hosts(urls[::-1]).take(key) for key in keys}
    without = Hosts(urls)
    without.avoid("http://a", 60)
    for key, host in hosts.items():
        moved = without.take(key)
        assert moved == host or host == "http://a", "only the keys of the host that is avoided move"


def test_keys_are_spread_over_the_hosts() -> None:
    hosts = Hosts(["http://a", "http://b", "http://c"])
    taken = [hosts.take(str(key)) for key in range(300)]
    assert min(taken.count(url) for url in set(taken)) > 60
    assert len(set(taken)) == 3


def test_pickled_with_its_options(url: str) -> None:
    client = Client(url, token="t", parallel=3)
    with client:
        client.rewards([COLOURS])
        copy = pickle.loads(pickle.dumps(client))
    assert copy.options == client.options
    assert (copy.options.urls, copy.options.token, copy.options.parallel) == ((url,), "t", 3)
    assert answer_of(copy, [COLOURS])[0].num_classes == 2


def test_a_fork_has_connections_of_its_own(url: str) -> None:
    client = Client(url)
    client.rewards([COLOURS])
    mine = client._connections()

    def child(send: Callable[[bool], None]) -> None:
        answered = client.rewards([COLOURS])[0].num_classes == 2
        send(answered and client._connections() is not mine)

    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=child, args=(there.send,))
    process.start()
    assert here.poll(30)
    assert here.recv() is True
    process.join()
    assert answer_of(client, [COLOURS])[0].num_classes == 2


def test_an_async_client_in_one_loop_after_another(url: str) -> None:
    client = AsyncClient(url)

    async def once() -> int:
        async with client:
            return (await client.rewards([COLOURS]))[0].num_classes

    assert [asyncio.run(once()) for _ in range(3)] == [2, 2, 2]


def test_a_cancelled_call_counts_as_over(url: str) -> None:
    async def leave() -> None:
        async with client:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.rewards(batch(4)), timeout=0.3)

    with proxied(url, "--delay", "3") as proxy:
        client = AsyncClient([proxy.url])
        asyncio.run(leave())
    assert client.hosts.in_flight() == {proxy.url: 0}


def test_every_option_can_be_given_by_keyword() -> None:
    names = {field.name for field in fields(Options)}
    assert {"urls", *ClientParams.__annotations__} == names


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ValueError, match="localhost:8000"):
        Client("localhost:8000")
    with pytest.raises(ValueError, match="parallel is 0"):
        Client(parallel=0)
    with pytest.raises(ValueError, match="patience_s is -1"):
        Client(patience_s=-1)


@pytest.mark.parametrize(
    "params",
    [{"patience_s": "600"}, {"parallel": 2.5}, {"timeout_s": float("nan")}, {"rest_s": True}],
)
def test_settings_that_are_no_numbers(params: Any) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(params))} is .*; give "):
        Client(**params)


@pytest.mark.parametrize(
    ("left_s", "waits_s"), [(600, 35), (10, 10)], ids=["its own time-out", "what patience leaves"]
)
def test_a_request_says_how_long_it_waits(left_s: float, waits_s: float) -> None:
    def first_step(client: Client) -> Send:
        call = Call("/v1/rollouts", {}, read=lambda response: response, wait_s=5)
        step = next(exchange(call, client, time.monotonic() + left_s))
        assert isinstance(step, Send)
        return step

    told = first_step(Client("http://a", timeout_s=30))
    assert float(told.headers["x-request-timeout"]) == pytest.approx(waits_s, abs=0.5)
    assert told.timeout.read == pytest.approx(float(told.headers["x-request-timeout"]), abs=0.01)
    silent = first_step(Client("http://a", timeout_s=30, send_timeout=False))
    assert "x-request-timeout" not in silent.headers


def test_siblings_name_their_cohort_to_a_proxy() -> None:
    def header(rollout: CohortRollout, run: str) -> str:
        step = next(exchange(rollout_call(rollout, {"run": run}), Client("http://a"), math.inf))
        assert isinstance(step, Send)
        return step.headers["darling-cohort"]

    first, other = members(2, 1)
    sibling = replace(first, member_id=7, rollout=Rollout("another text"))
    assert header(first, "exp") == header(sibling, "exp")
    named = [header(first, "exp"), header(other, "exp"), header(first, "exp 2")]
    assert len(set(named)) == 3
    assert header(replace(first, group_id="é\r\n\ud800"), "日本語").isalnum()
    call = rewards_call(COLOURS, {})
    step = next(exchange(call, Client("http://a"), math.inf))
    assert isinstance(step, Send)
    assert "darling-cohort" not in step.headers


def test_settings_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARLING_URL", "http://a:1/, http://b:2")
    monkeypatch.setenv("DARLING_API_KEY", "k")
    client = Client()
    assert client.options.urls == ("http://a:1", "http://b:2")
    assert client.options.token == "k"
    assert Client("http://c", token="mine").options == Options(("http://c",), token="mine")


@given(st.lists(st.integers(0, 5)))
def test_regrouped_and_joined_is_as_before(uids: list[int]) -> None:
    grouping = regroup(uids)
    columns = grouping.split(list(enumerate(uids)))
    assert all(len({uid for _, uid in group}) == 1 for group in columns)
    assert len(columns) == len(set(uids))
    assert grouping.join(columns) == list(enumerate(uids))


def test_consecutive_groups() -> None:
    assert consecutive(6, 3).rows == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(ValueError, match="5 rows"):
        consecutive(5, 2)
    with pytest.raises(ValueError, match=r"zip|shorter|longer"):
        consecutive(4, 2).join([["a"], ["b", "c"]])


def test_the_package_needs_httpx_alone() -> None:
    script = """
import sys
import darling_client
loaded = {name.partition(".")[0] for name in sys.modules}
ours = {"darling_service", "darling_models"}
heavy = loaded & ({"torch", "numpy", "pydantic", "fastapi", "trl", "verl"} | ours)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", script], check=True)
