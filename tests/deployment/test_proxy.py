"""The proxy of docker/nginx before three real services: siblings meet, and a replica may fail."""

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from darling_client import AsyncClient, Client, CohortRollout, Group, Rollout, RolloutReward
from darling_client import Unavailable as GaveUp
from darling_service.settings import Settings
from darling_service.trainers.rollouts import UNLIMITED
from tests.conftest import Service, metric, running, until
from tests.servers.nginx import FOLDER, Proxy, proxy
from tests.servers.scripted import Reply, scripted

CONFIGURATION = (FOLDER / "nginx.conf").read_text()
COMPLETE = 'darling_cohorts_total{end="complete"}'
PARTIAL = 'darling_cohorts_total{end="partial"}'
WAITING = "darling_waiting_rollouts"


@contextmanager
def fleet(folder: Path) -> Iterator[tuple[Proxy, list[Service]]]:
    """A proxy and its three services, in which equal texts are equivalent and others are not."""
    with ExitStack() as stack:
        services = [
            stack.enter_context(running(folder / f"log{i}", "--model", "exact")) for i in range(3)
        ]
        yield stack.enter_context(proxy([s.url for s in services], folder)), services


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxy, list[Service]]]:
    with fleet(tmp_path_factory.mktemp("fleet")) as started:
        yield started


def counts(services: list[Service], name: str) -> list[float]:
    return [metric(service, name) for service in services if service.process.poll() is None]


def members(name: str, groups: int, size: int = 4) -> list[CohortRollout]:
    """The rollouts of groups in which every text comes twice."""
    return [
        CohortRollout(
            group_id=f"{name} {group}",
            member_id=member,
            group_size=size,
            prompt=f"p{group}",
            rollout=Rollout(f"word{member // 2}", quality=member / 8),
        )
        for member in range(size)
        for group in range(groups)
    ]


async def ask(url: str, rollouts: list[CohortRollout]) -> list[RolloutReward]:
    async with AsyncClient(url, backoff_s=0.05) as client:
        return await asyncio.gather(*(client.rollout(one, run="exp") for one in rollouts))


def check(rollouts: list[CohortRollout], answers: list[RolloutReward]) -> None:
    """Each answer is that of its whole group."""
    for member, answer in zip(rollouts, answers, strict=True):
        assert (answer.group_complete, answer.group_size) == (True, 4)
        assert answer.reward == pytest.approx(2 / 3 * int(member.member_id) / 8)
        assert (answer.class_, answer.num_classes) == (int(member.member_id) // 2, 2)


def rollout(group: str, member: int, size: int = 2, **more: Any) -> dict[str, Any]:
    return {
        **{"run": "exp", "group_id": group, "member_id": member, "group_size": size},
        **{"prompt": "p", "text": f"text {member}", "quality": 1.0, **more},
    }


def test_the_clients_cohorts_meet_and_every_replica_has_a_share(
    shared: tuple[Proxy, list[Service]],
) -> None:
    front, services = shared
    before = counts(services, COMPLETE)
    rollouts = members("meet", 60)
    check(rollouts, asyncio.run(ask(front.url, rollouts)))
    shares = [now - then for now, then in zip(counts(services, COMPLETE), before, strict=True)]
    assert sum(shares) == 60
    assert min(shares) >= 5
    assert counts(services, PARTIAL) == [0, 0, 0]


def test_siblings_of_two_proxies_meet(shared: tuple[Proxy, list[Service]], tmp_path: Path) -> None:
    """Where a cohort goes depends on its name and the list of replicas alone."""
    one, services = shared
    rollouts = members("two proxies", 20)

    async def both() -> list[RolloutReward]:
        halves = [ask(one.url, rollouts[::2]), ask(other.url, rollouts[1::2])]
        even, odd = await asyncio.gather(*halves)
        return [(even, odd)[place % 2][place // 2] for place in range(len(rollouts))]

    with proxy([service.url for service in services], tmp_path) as other:
        check(rollouts, asyncio.run(both()))


def test_any_caller_may_send_the_header_on_any_route(shared: tuple[Proxy, list[Service]]) -> None:
    front, services = shared
    groups = {"groups": [{"prompt": "p", "rollouts": ["a", "b"], "quality": [1, 1]}]}
    before = counts(services, "darling_groups_total")
    with httpx.Client(base_url=front.url, headers={"Darling-Cohort": "exp/prompt 17"}) as http:
        for _ in range(9):
            assert http.post("/v1/rewards", json=groups).status_code == 200
    after = counts(services, "darling_groups_total")
    assert sorted(now - then for now, then in zip(after, before, strict=True)) == [0, 0, 9]


OPENRLHF = {"query": ["pfirst", "psecond"], "prompts": ["p", "p"], "labels": ["gold", "gold"]}
NEMO_GYM: dict[str, Any] = {
    "responses_create_params": {"input": [{"role": "user", "content": "p"}]},
    "_ng_group_id": "1",
}


def wire(path: str, run: str, member: int) -> tuple[str, dict[str, Any]]:
    """URL and body of a rollout in a trainer's format."""
    if path == "/get_reward":
        one = {name: values[member : member + 1] for name, values in OPENRLHF.items()}
        return f"{path}?n=2&run={run}", one
    if path == "/verify":
        text = {"type": "output_text", "text": f"text {member}"}
        said = {"type": "message", "role": "assistant", "content": [text]}
        body = {**NEMO_GYM, "response": {"output": [said]}, "_ng_rollout_index": member}
        return f"{path}?n=2&run={run}", body
    body = {"prompt": f"prompt of {run}", "response": f"text {member}", "label": None}
    return f"{path}?n=2&run={run}", body


@pytest.mark.parametrize("path", ["/trainers/slime/rm", "/get_reward", "/verify"])
def test_trainers_that_send_no_header_meet_by_the_run_of_their_url(
    shared: tuple[Proxy, list[Service]], path: str
) -> None:
    front, services = shared
    before = counts(services, COMPLETE)
    runs = [f"{path.rpartition('/')[2]}-{i}" for i in range(12)]
    with httpx.Client(base_url=front.url, timeout=60) as http, ThreadPoolExecutor(24) as threads:
        asked = [wire(path, run, member) for member in range(2) for run in runs]
        answers = list(threads.map(lambda one: http.post(one[0], json=one[1]), asked))
    assert [answer.status_code for answer in answers] == [200] * 24
    assert {answer.headers["darling-group-complete"] for answer in answers} == {"true"}
    shares = [now - then for now, then in zip(counts(services, COMPLETE), before, strict=True)]
    assert sum(shares) == 12
    assert sum(share > 0 for share in shares) >= 2


def test_rollouts_of_which_nothing_is_named_meet_on_one_replica(
    shared: tuple[Proxy, list[Service]],
) -> None:
    front, services = shared
    before = counts(services, COMPLETE)
    with httpx.Client(base_url=front.url, timeout=60) as http, ThreadPoolExecutor(24) as threads:
        asked = [rollout(f"bare {group}", member) for member in range(2) for group in range(12)]
        answers = list(threads.map(lambda body: http.post("/v1/rollouts", json=body), asked))
    assert {answer.json()["group_complete"] for answer in answers} == {True}
    after = counts(services, COMPLETE)
    assert sorted(now - then for now, then in zip(after, before, strict=True)) == [0, 0, 12]


def test_groups_go_to_the_replica_with_the_fewest_requests(
    shared: tuple[Proxy, list[Service]],
) -> None:
    front, services = shared
    before = counts(services, "darling_groups_total")
    with Client(front.url) as client:
        results = client.rewards([Group(f"p{i}", ["a", "b"], quality=[1, 1]) for i in range(30)])
    assert [result.rewards for result in results] == [[1, 1]] * 30
    after = counts(services, "darling_groups_total")
    assert min(now - then for now, then in zip(after, before, strict=True)) > 0


def test_a_caller_that_hangs_up_leaves_its_cohort(shared: tuple[Proxy, list[Service]]) -> None:
    front, services = shared
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{front.url}/v1/rollouts", json=rollout("left", 0), timeout=0.5)
    until(lambda: sum(counts(services, WAITING)) == 0)


def test_a_large_body_arrives_and_one_over_the_limit_is_told_why(
    shared: tuple[Proxy, list[Service]],
) -> None:
    front, services = shared
    texts = [f"{i} " + "word " * 20_000 for i in range(200)]  # 20 MB
    body = {"groups": [{"prompt": "p", "rollouts": texts, "quality": [1.0] * len(texts)}]}
    direct, through = (
        httpx.post(f"{url}/v1/partitions", json=_without_quality(body), timeout=120).json()
        for url in (services[0].url, front.url)
    )
    assert through["groups"] == direct["groups"]
    refused = httpx.post(
        f"{front.url}/v1/rewards", content=b" " * (Settings().max_body_bytes + 1), timeout=120
    )
    assert refused.status_code == refused.json()["status"] == 413
    assert "DARLING_MAX_BODY_BYTES" in refused.json()["detail"]
    assert refused.headers["content-type"] == "application/problem+json"


def _without_quality(body: dict[str, Any]) -> dict[str, Any]:
    (group,) = body["groups"]
    return {"groups": [{"prompt": group["prompt"], "rollouts": group["rollouts"]}]}


def test_limits_are_those_of_the_service() -> None:
    size = re.search(r"client_max_body_size (\d+)m;", CONFIGURATION)
    hours = re.search(r"proxy_read_timeout (\d+)h;", CONFIGURATION)
    assert size is not None
    assert hours is not None
    assert int(size[1]) * 2**20 == Settings().max_body_bytes
    assert int(hours[1]) * 3600 > UNLIMITED.answer_s, "or a long wait for siblings would be cut"


def test_metrics_are_asked_of_the_replicas(shared: tuple[Proxy, list[Service]]) -> None:
    front, _ = shared
    answer = httpx.get(f"{front.url}/metrics")
    assert answer.status_code == answer.json()["status"] == 404
    assert "scrape the replicas" in answer.json()["detail"]
    assert httpx.get(f"{front.url}/health/ready").status_code == 200


def test_the_log_names_the_replica_and_no_key(shared: tuple[Proxy, list[Service]]) -> None:
    front, _ = shared
    url, body = wire("/trainers/slime/rm", "logged", 0)
    httpx.post(f"{front.url}{url.replace('n=2', 'n=1')}&token=s3cret", json=body)
    line = front.log.read_text().splitlines()[-1]
    assert re.search(r" POST /trainers/slime/rm 200 in \S+ s, replica 127\.0\.0\.1:\d+: 200$", line)
    assert "s3cret" not in front.log.read_text() + front.errors.read_text()


def waiting(front: Proxy, group: str, members: range, size: int) -> list[Future[httpx.Response]]:
    """Rollouts that are sent now; their responses come later."""
    sent: list[Future[httpx.Response]] = []

    def send(future: Future[httpx.Response], body: dict[str, Any]) -> None:
        headers = {"Darling-Cohort": group}
        url = f"{front.url}/v1/rollouts"
        try:
            future.set_result(httpx.post(url, json=body, headers=headers, timeout=60))
        except BaseException as error:
            future.set_exception(error)

    for member in members:
        sent.append(Future())
        body = rollout(group, member, size)
        threading.Thread(target=send, args=(sent[-1], body), daemon=True).start()
    return sent


def holder(services: list[Service], rollouts: int) -> Service:
    """The service where so many rollouts wait."""
    until(lambda: rollouts in counts(services, WAITING))
    return next(service for service in services if metric(service, WAITING) == rollouts)


def test_of_a_replica_that_is_killed_nobody_notices_anything(tmp_path: Path) -> None:
    """Even without the client: the proxy sends all siblings on to one other replica."""
    with fleet(tmp_path) as (front, services):
        first = waiting(front, "killed", range(3), 4)
        killed = holder(services, 3)
        killed.process.kill()
        killed.process.wait(30)
        left = [service for service in services if service is not killed]
        other = holder(left, 3)
        answers = [f.result(60) for f in first + waiting(front, "killed", range(3, 4), 4)]
        assert [answer.status_code for answer in answers] == [200] * 4
        assert [answer.json()["group_complete"] for answer in answers] == [True] * 4
        assert metric(other, COMPLETE) == 1
        assert sum(counts(left, COMPLETE)) == 1
        # With the client, under load: none is lost, and the rest of the fleet does the work.
        rollouts = members("after", 60)
        check(rollouts, asyncio.run(ask(front.url, rollouts)))
        assert httpx.get(f"{front.url}/health/ready").status_code == 200


def test_a_replica_that_stops_and_comes_back(tmp_path: Path) -> None:
    """Those who wait are answered, flagged; whoever comes later is sent to another replica."""
    with fleet(tmp_path) as (front, services):
        first = waiting(front, "stopped", range(3), 4)
        stopped = holder(services, 3)
        stopped.process.terminate()
        answers = [future.result(60) for future in first]
        assert [answer.status_code for answer in answers] == [200] * 3
        assert [answer.json()["group_complete"] for answer in answers] == [False] * 3
        assert {answer.json()["group_size"] for answer in answers} == {3}
        rollouts = members("meanwhile", 30)
        check(rollouts, asyncio.run(ask(front.url, rollouts)))
        stopped.process.wait(30)
        port = stopped.url.rpartition(":")[2]
        with running(tmp_path / "again", "--model", "exact", "--port", port) as again:
            rollouts = members("again", 60)
            check(rollouts, asyncio.run(ask(front.url, rollouts)))
            assert metric(again, COMPLETE) > 0


def test_a_replica_killed_under_load_costs_no_group(tmp_path: Path) -> None:
    with fleet(tmp_path) as (front, services):
        rollouts = members("load", 200)
        kill = threading.Timer(0.3, services[0].process.kill)
        kill.start()
        started = time.monotonic()
        answers = asyncio.run(ask(front.url, rollouts))
        kill.join()
        assert services[0].process.wait(30) != 0
        assert time.monotonic() - started > 0.3, "the replica was killed while it had work"
        check(rollouts, answers)


def test_without_any_replica_callers_are_told_to_come_again(tmp_path: Path) -> None:
    with proxy(["http://127.0.0.1:9"], tmp_path) as front:
        answer = httpx.post(f"{front.url}/v1/rewards", json={"groups": []})
        assert answer.status_code == answer.json()["status"] == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["content-type"] == "application/problem+json"
        assert httpx.get(f"{front.url}/health/ready").status_code == 503
        with Client(front.url, patience_s=2) as client, pytest.raises(GaveUp, match="no replica"):
            client.rewards([Group("p", ["a", "b"], quality=[1, 1])])


BUSY = Reply(429, {"detail": "queue full"}, {"retry-after": "7"})
LOADING = Reply(503, {"detail": "loading"}, {"retry-after": "3"})


@pytest.mark.parametrize("reply", [BUSY, LOADING], ids=["429", "503"])
def test_what_every_replica_refuses_is_told_as_they_tell_it(tmp_path: Path, reply: Reply) -> None:
    with (
        scripted(lambda _: reply) as one,
        scripted(lambda _: reply) as other,
        proxy([one.url, other.url], tmp_path) as front,
    ):
        answer = httpx.post(f"{front.url}/v1/rewards", json={})
        assert (answer.status_code, answer.json()) == (reply.status, reply.body)
        assert answer.headers["retry-after"] == reply.headers["retry-after"]
        asked = len(one.seen) + len(other.seen)
        assert asked == (1 if reply is BUSY else 2), "only a 503 is tried elsewhere"


def test_a_replica_that_loads_is_passed_over(tmp_path: Path) -> None:
    with (
        scripted(lambda _: LOADING) as loading,
        running(tmp_path / "service", "--model", "exact") as ready,
        proxy([loading.url, ready.url], tmp_path) as front,
    ):
        rollouts = members("passed over", 20)
        check(rollouts, asyncio.run(ask(front.url, rollouts)))
        assert loading.seen
