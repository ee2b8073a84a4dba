"""the cohort endpoint, through a real service: one rollout a call, rewards of the whole group."""

import asyncio
import random
import signal
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Service, metric, running, until
from tests.faults.test_bad_input import problem

PROMPT = "Name a city."
TEXTS = [
    "Lisbon for its light and its steep streets",
    "Lisbon for its light and its custard tarts",
    "Kyoto because of the temples",
    "Oslo",
]


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("cohorts") / "log", "--model", "ngram") as service:
        yield service


def rollout(group: str, member: Any, text: str, **more: Any) -> dict[str, Any]:
    request = {"run": "t", "group_id": group, "prompt": PROMPT, "text": text, "quality": 1.0}
    named = {} if member is None else {"member_id": member}
    return {**request, **named, "deadline_s": 30, **more}


def group_of(group: str, texts: list[str], **more: Any) -> list[dict[str, Any]]:
    """Every rollout of a group, with a quality of its own."""
    return [
        rollout(group, i, text, group_size=len(texts), quality=1 + i / 10, **more)
        for i, text in enumerate(texts)
    ]


def at_once(url: str, *requests: Coroutine[Any, Any, Any] | dict[str, Any]) -> list[httpx.Response]:
    """The answers to rollouts sent at the same time, each on a connection of its own."""

    async def send() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            posts = (http.post("/v1/rollouts", json=request) for request in requests)
            return await asyncio.gather(*posts)

    return asyncio.run(send())


def ok(answers: list[httpx.Response]) -> list[Any]:
    assert [answer.status_code for answer in answers] == [200] * len(answers), answers[0].text
    return [answer.json() for answer in answers]


def whole(url: str, texts: list[str], quality: list[float], **options: Any) -> dict[str, Any]:
    group = {"prompt": PROMPT, "rollouts": texts, "quality": quality}
    answer = httpx.post(f"{url}/v1/rewards", json={"groups": [group], **options}, timeout=60)
    assert answer.status_code == 200, answer.text
    first: dict[str, Any] = answer.json()["groups"][0]
    return first


def waiting(service: Service, callers: int) -> None:
    until(lambda: metric(service, "darling_waiting_rollouts") == callers)


def test_every_caller_gets_its_share_of_the_whole_group(cohorts: Service) -> None:
    options: dict[str, Any] = {
        "reward": {"advantage": "centered", "floor": 0.1},
        "partition": {"linkage": "single"},
    }
    requests = group_of("share", TEXTS, **options)
    random.Random(1).shuffle(requests)
    answers = ok(at_once(cohorts.url, *requests))
    group = whole(cohorts.url, TEXTS, [1.0, 1.1, 1.2, 1.3], **options)
    assert group["num_classes"] == 3, "two are alike"
    for request, answer in zip(requests, answers, strict=True):
        place = request["member_id"]
        assert answer["reward"] == group["rewards"][place]
        assert answer["diversity"] == group["diversity"][place]
        assert answer["quality"] == group["quality"][place]
        assert answer["class"] == group["partition"][place]
        assert answer["advantage"] == group["advantages"][place]
        assert (answer["num_classes"], answer["group_size"]) == (3, 4)
        assert answer["group_complete"] is True
        assert answer["model"]["id"] == "ngram"
    assert metric(cohorts, "darling_waiting_rollouts") == 0


def test_groups_steps_runs_and_attempts_do_not_mix(cohorts: Service) -> None:
    others: list[dict[str, Any]] = [
        {"group_id": "other"},
        {"run": {"name": "t", "step": 1}},
        {"run": {"name": "t", "step": 2}},
        {"run": "else"},
        {"attempt": 1},
        {},
    ]
    requests = [
        rollout("mix", i, TEXTS[i], group_size=2) | other for other in others for i in (0, 1)
    ]
    random.Random(2).shuffle(requests)
    answers = ok(at_once(cohorts.url, *requests))
    assert {answer["group_size"] for answer in answers} == {2}
    assert all(answer["group_complete"] for answer in answers)


def test_a_partial_group_is_answered_and_flagged_at_the_first_deadline(
    cohorts: Service,
) -> None:
    requests = [rollout("late", i, TEXTS[i], group_size=4) for i in (0, 1)]
    requests[1]["deadline_s"] = 0.5
    started = time.monotonic()
    answers = ok(at_once(cohorts.url, *requests))
    assert 0.4 < time.monotonic() - started < 20
    group = whole(cohorts.url, TEXTS[:2], [1.0, 1.0])
    assert [answer["reward"] for answer in answers] == group["rewards"]
    assert [(a["group_complete"], a["group_size"]) for a in answers] == [(False, 2)] * 2

    # One that comes after the end is scored among those who came in time; nobody waits again.
    (straggler,) = ok(at_once(cohorts.url, rollout("late", 2, TEXTS[2], group_size=4)))
    assert straggler["reward"] == whole(cohorts.url, TEXTS[:3], [1.0] * 3)["rewards"][2]
    assert (straggler["group_complete"], straggler["group_size"]) == (False, 3)


def test_a_group_of_unknown_size_ends_when_nobody_new_comes(cohorts: Service) -> None:
    answers = ok(
        at_once(
            cohorts.url,
            *(rollout("quiet", i, TEXTS[i], idle_timeout_s=0.5) for i in range(3)),
        )
    )
    assert {(a["group_complete"], a["group_size"]) for a in answers} == {(False, 3)}


def test_one_sibling_that_knows_the_size_is_enough(cohorts: Service) -> None:
    requests = [rollout("size", i, TEXTS[i]) for i in range(3)]
    requests[1]["group_size"] = 3
    answers = ok(at_once(cohorts.url, *requests))
    assert {(a["group_complete"], a["group_size"]) for a in answers} == {(True, 3)}


def test_a_size_that_is_told_goes_before_the_usual_one(tmp_path: Path) -> None:
    arguments = ("--model", "exact", "--cohort-size", "2")
    with running(tmp_path / "log", *arguments) as service:
        usual = [rollout("usual", i, TEXTS[i]) for i in range(2)]
        told = [rollout("told", 0, TEXTS[0])]
        told += [rollout("told", i, TEXTS[i], group_size=3) for i in (1, 2)]
        answers = ok(at_once(service.url, *usual, *told))
    assert [answer["group_size"] for answer in answers[:2]] == [2, 2]
    assert all(answer["group_complete"] for answer in answers[:2])
    assert {answer["group_size"] for answer in answers[2:]} == {3}


def test_members_without_ids_fill_one_group_after_the_other(cohorts: Service) -> None:
    texts = [TEXTS[0], TEXTS[0], TEXTS[2]] * 2
    requests = [rollout("unnamed", None, text, group_size=3) for text in texts]
    answers = ok(at_once(cohorts.url, *requests))
    assert all(answer["group_complete"] and answer["group_size"] == 3 for answer in answers)
    again = ok(at_once(cohorts.url, *requests[:3]))
    assert [answer["reward"] for answer in again] == [0.5, 0.5, 1.0], "a new sampling of it"


def test_duplicates_and_late_retries_get_the_same_answer(cohorts: Service) -> None:
    requests = group_of("twice", TEXTS)
    answers = ok(at_once(cohorts.url, *requests[:1], *requests))
    assert answers[0] == answers[1]
    assert answers[1]["group_size"] == 4
    assert ok(at_once(cohorts.url, *requests)) == answers[1:], "asked again after the end"
    changed = {**requests[0], "text": "another text"}
    detail = problem(at_once(cohorts.url, changed)[0], 409)["detail"]
    assert "another attempt or member_id" in detail
    fifth = rollout("twice", 9, "one too many", group_size=4, quality=1.0)
    assert "had its 4 members" in problem(at_once(cohorts.url, fifth)[0], 409)["detail"]


def test_a_retry_with_another_text_replaces_the_member(cohorts: Service) -> None:
    async def send() -> tuple[httpx.Response, list[httpx.Response]]:
        async with httpx.AsyncClient(base_url=cohorts.url, timeout=60) as http:
            first = asyncio.create_task(
                http.post("/v1/rollouts", json=rollout("replace", 0, "old", group_size=2))
            )
            await asyncio.to_thread(waiting, cohorts, 1)
            new, other = (rollout("replace", i, TEXTS[i], group_size=2) for i in (0, 1))
            second = asyncio.create_task(http.post("/v1/rollouts", json=new))
            old = await first
            return old, list(await asyncio.gather(second, http.post("/v1/rollouts", json=other)))

    old, answers = asyncio.run(send())
    assert "which replaced this" in problem(old, 409)["detail"]
    group = whole(cohorts.url, TEXTS[:2], [1.0, 1.0])
    assert [answer["reward"] for answer in ok(answers)] == group["rewards"]


def test_a_caller_that_hangs_up_takes_its_rollout_along(cohorts: Service) -> None:
    left = metric(cohorts, 'darling_cohort_events_total{event="left"}')
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{cohorts.url}/v1/rollouts",
            json=rollout("gone", 0, "old", group_size=2),
            timeout=0.5,
        )
    until(lambda: metric(cohorts, 'darling_cohort_events_total{event="left"}') == left + 1)
    assert metric(cohorts, "darling_waiting_rollouts") == 0
    answers = ok(at_once(cohorts.url, *group_of("gone", TEXTS[:2])))
    assert [answer["group_size"] for answer in answers] == [2, 2]


def test_a_caller_that_hangs_up_after_the_end_finds_its_answer(tmp_path: Path) -> None:
    """Without ids, the text is what tells a retry from a sibling."""
    texts = [f"{i} " + "word " * 3000 for i in range(2)]
    with running(tmp_path / "log") as service:
        requests = [rollout("found", None, text, group_size=2) for text in texts]

        async def leave() -> None:
            async with httpx.AsyncClient(base_url=service.url, timeout=60) as http:
                tasks = [asyncio.create_task(http.post("/v1/rollouts", json=r)) for r in requests]
                name = 'darling_cohort_events_total{event="joined"}'
                await asyncio.to_thread(until, lambda: metric(service, name) == 2)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run(leave())
        answers = ok(at_once(service.url, *requests))
        assert [answer["group_size"] for answer in answers] == [2, 2]
        assert metric(service, 'darling_cohorts_total{end="complete"}') == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"prompt": "Name a river."}, "prompt"),
        ({"group_size": 3}, "group_size"),
        ({"reward": {"floor": 0.2}}, "reward"),
        ({"partition": {"threshold": 0.9}}, "partition"),
        ({"model": "exact"}, "model"),
        ({"record": False}, "record"),
    ],
)
def test_contradictions_between_siblings_are_told(
    cohorts: Service, change: dict[str, Any], named: str
) -> None:
    group = f"conflict {named}"
    fine = rollout(group, 0, TEXTS[0], group_size=2, deadline_s=1.5)
    odd = rollout(group, 1, TEXTS[1], group_size=2, deadline_s=1.5) | change
    statuses = {answer.status_code: answer for answer in at_once(cohorts.url, fine, odd)}
    assert set(statuses) == {200, 409}
    assert named in problem(statuses[409], 409)["detail"]


@pytest.mark.parametrize(
    ("change", "loc", "words"),
    [
        ({"quality": None}, ["quality"], "needs quality"),
        ({"quality": 1e300}, ["quality"], "less than"),
        ({"text": "x" * 200_001}, ["text"], "max_chars"),
        ({"prompt": "x" * 200_001}, ["prompt"], "max_chars"),
        ({"group_size": 0}, ["group_size"], "greater than"),
        ({"group_size": 513}, ["group_size"], "max_rollouts"),
        ({"deadline_s": 0}, ["deadline_s"], "greater than 0"),
        ({"model": "gpt"}, ["model"], "ngram"),
        ({"partition": {"threshold": "balanced"}}, ["partition", "threshold"], "balanced"),
        ({"member": 3}, ["member"], "unknown field"),
        ({"reward": {"parity": "darling"}, "partition": {"linkage": "average"}}, [], "parity"),
        ({"reward": {"diversity": "unlikelihood"}}, ["logprob"], "missing"),
    ],
)
def test_what_is_wrong_with_one_rollout_is_told_at_once(
    cohorts: Service, change: dict[str, Any], loc: list[Any], words: str
) -> None:
    answer = at_once(cohorts.url, rollout("wrong", 0, "t", group_size=8) | change)[0]
    first = problem(answer, 422)["errors"][0]
    assert first["loc"] == loc
    assert words in first["msg"]


def test_quality_in_some_siblings_only_is_told(cohorts: Service) -> None:
    fine = rollout("some", 0, TEXTS[0], group_size=2, deadline_s=1.5)
    odd = {**rollout("some", 1, TEXTS[1], group_size=2), "quality": None, "correct": True}
    statuses = {answer.status_code: answer for answer in at_once(cohorts.url, fine, odd)}
    assert set(statuses) == {200, 422}
    # Which one it is told of depends on who came first.
    assert problem(statuses[422], 422)["errors"][0]["loc"] in (["quality"], ["correct"])


@pytest.mark.parametrize(
    ("reward", "ours", "odd", "loc"),
    [
        ({"advantage": "psr"}, {"correct": True}, {}, ["correct"]),
        (
            {"objective": "vector"},
            {"solutions": [[1.0, 0.0]]},
            {"solutions": [[1.0, 0.0, 0.5]]},
            ["solutions", 0],
        ),
    ],
)
def test_one_who_differs_does_not_fail_the_others(
    cohorts: Service,
    reward: dict[str, Any],
    ours: dict[str, Any],
    odd: dict[str, Any],
    loc: list[Any],
) -> None:
    group = f"odd one out {loc[0]}"
    requests = [
        rollout(group, i, TEXTS[i], group_size=3, deadline_s=1.5, reward=reward) for i in range(3)
    ]
    ours_too = [request | ours for request in requests[:2]]
    answers = at_once(cohorts.url, *ours_too, requests[2] | odd)
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(refused) < 3, "whoever came first is answered"
    for answer in refused:
        assert problem(answer, 422)["errors"][0]["loc"] == loc


def test_a_late_retry_that_asks_for_something_else_is_told(cohorts: Service) -> None:
    group = group_of("asked otherwise", TEXTS[:2])
    ok(at_once(cohorts.url, *group))
    (answer,) = at_once(cohorts.url, group[0] | {"reward": {"floor": 0.5}})
    assert "reward" in problem(answer, 409)["detail"]


def test_a_partial_group_smaller_than_k_has_rewards_and_no_advantages(
    cohorts: Service,
) -> None:
    reward = {"advantage": "pkpo", "k": 3}
    few = [rollout("few", i, TEXTS[i], group_size=4, reward=reward) for i in range(2)]
    few[0]["deadline_s"] = 0.3
    answers = ok(at_once(cohorts.url, *few))
    assert [(a["group_complete"], a["advantage"]) for a in answers] == [(False, None)] * 2
    assert [a["reward"] for a in answers] == whole(cohorts.url, TEXTS[:2], [1.0, 1.0])["rewards"]
    (refused,) = at_once(cohorts.url, rollout("never", 0, "t", group_size=2, reward=reward))
    assert problem(refused, 422)["errors"][0]["loc"] == ["reward", "k"]


def test_a_rollout_without_an_answer_waits_for_siblings_that_have_one(
    cohorts: Service,
) -> None:
    reward = {"advantage": "centered", "exploration": "batch"}
    requests = [rollout("no answer", i, TEXTS[i], group_size=2, reward=reward) for i in range(2)]
    ok(at_once(cohorts.url, requests[0], requests[1] | {"answer": "7"}))


def test_correctness_and_references_are_quality_too(cohorts: Service) -> None:
    base = {"quality": None, "group_size": 2}
    verdicts = [rollout("correct", i, TEXTS[i * 2], **base, correct=i == 0) for i in range(2)]
    assert [a["reward"] for a in ok(at_once(cohorts.url, *verdicts))] == [1.0, 0.0]
    solved = [
        rollout("solved", i, TEXTS[i * 2], **base, reference="42", answer=answer)
        for i, answer in enumerate(["42", "41"])
    ]
    assert [a["reward"] for a in ok(at_once(cohorts.url, *solved))] == [1.0, 0.0]


def test_memory_is_bounded_and_siblings_of_who_waits_are_let_in(tmp_path: Path) -> None:
    arguments = ("--model", "exact", "--cohort-bytes", "400000")
    with running(tmp_path / "log", *arguments) as service:
        # Room for one waiting group of four, and not for a second.
        answers = at_once(service.url, *group_of("in", TEXTS), rollout("out", 0, "t", group_size=8))
        assert [answer.status_code for answer in answers] == [200] * 4 + [429]
        assert "cohort_bytes" in problem(answers[4], 429)["detail"]
        assert int(answers[4].headers["retry-after"]) >= 1
        for number in range(20):
            ok(at_once(service.url, *group_of(f"next {number}", TEXTS)))
        assert metric(service, "darling_cohort_bytes") <= 400_000, "finished ones made room"
        assert metric(service, 'darling_cohort_events_total{event="refused"}') == 1


def test_finished_cohorts_are_forgotten(tmp_path: Path) -> None:
    arguments = ("--model", "exact", "--cohort-ttl-s", "0.3")
    with running(tmp_path / "log", *arguments) as service:
        ok(at_once(service.url, *group_of("forgotten", TEXTS)))
        until(lambda: metric(service, "darling_cohort_bytes") == 0)


def test_a_stop_scores_the_rollouts_that_wait_and_says_that_some_are_missing(
    tmp_path: Path,
) -> None:
    with running(tmp_path / "log", "--model", "exact") as service:

        async def stop() -> list[httpx.Response]:
            async with httpx.AsyncClient(base_url=service.url, timeout=60) as http:
                two = [
                    asyncio.create_task(
                        http.post("/v1/rollouts", json=rollout("stop", i, "t", group_size=3))
                    )
                    for i in range(2)
                ]
                await asyncio.to_thread(waiting, service, 2)
                service.process.send_signal(signal.SIGTERM)
                return await asyncio.gather(*two)

        for answer in asyncio.run(stop()):
            body = answer.json()
            assert (body["group_complete"], body["group_size"]) == (False, 2)
            assert body["diversity"] == 0, "both say the same"
        assert service.process.wait(timeout=20) == 0
        assert "Traceback" not in service.log.read_text()
