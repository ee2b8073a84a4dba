"""A service that reads texts of odd shapes, through every route, still says that it is alive."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx

from darling_models.embedded.encoder import TextEncoder, wheel_weights
from tests.conftest import Service, running
from tests.faults.hostile import SHAPES, text_of

MAX_CHARS = 200_000
"""The default of the setting."""
MAX_TOKENS = 400
"""Tokens of one text, which the model reads in a tenth of a second. A text of white space has none
and is as long as a text may be."""
SILENCE_S = 1.0
"""A second is four times what is aimed for, since other work shares the cores of a test."""


def as_rewards(text: str) -> dict[str, Any]:
    return {"groups": [{"prompt": "p", "rollouts": ["Lisbon", text], "quality": [1, 1]}]}


def as_messages(text: str) -> dict[str, Any]:
    output = [{"role": "assistant", "content": text}]
    return {"responses_create_params": {"input": "p"}, "response": {"output": output}}


ROUTES: dict[str, Callable[[str], dict[str, Any]]] = {
    "/v1/rewards": as_rewards,
    "/v1/partitions": lambda text: {"groups": [{"prompt": text, "rollouts": ["Lisbon", text]}]},
    "/v1/equivalence": lambda text: {"pairs": [{"prompt": "p", "a": "Lisbon", "b": text}]},
    "/v1/rollouts": lambda text: {
        **{"prompt": "p", "text": text, "quality": 1},
        **{"group_id": 1, "group_size": 1},
    },
    "/get_reward?n=1": lambda text: {"query": [f"p{text}"], "prompts": ["p"], "labels": ["x"]},
    "/trainers/slime/rm?n=1": lambda text: {"prompt": "p", "response": text, "label": "x"},
    "/trainers/nemo-gym/verify?n=1": as_messages,
    "/classify": lambda text: {"input": [f"[CLS] Lisbon [SEP] {text} [SEP]"]},
}


def test_the_service_is_alive_whatever_it_reads(tmp_path: Path) -> None:
    encoder = TextEncoder(wheel_weights())
    with running(tmp_path / "log") as service, service.client() as http:
        silences: dict[str, float] = {}
        for shape, other in zip(SHAPES, cycle(list(ROUTES)[1:]), strict=False):
            sample = text_of(shape, 2_000)
            a_character = len(encoder.tokenize([sample])[0].ids) / len(sample)
            text = text_of(shape, min(MAX_CHARS, int(MAX_TOKENS / a_character)))
            for route in ("/v1/rewards", other):
                with polled(service) as longest:
                    answer = http.post(route, json=ROUTES[route](text))
                # A pair may not be told from its marks, and a rollout of marks alone is no rollout.
                assert answer.status_code in (200, 422), (shape, route, answer.text)
                silences[f"{shape} to {route}"] = longest()
        worst = max(silences, key=lambda place: silences[place])
        print(f"longest silence: {silences[worst]:.3f} s, {worst}")
        assert silences[worst] < SILENCE_S, worst


def said(*messages: dict[str, Any]) -> dict[str, Any]:
    return {"responses_create_params": {"input": "p"}, "response": {"output": list(messages)}}


def calls(**arguments: Any) -> list[dict[str, Any]]:
    """As many messages as a conversation may have, less a few, each with a call."""
    call = {"function": {"name": "f", "arguments": {"x": 1, **arguments}}}
    return [{"role": "assistant", "tool_calls": [call]}] * 4_000


LONG = "word " * (MAX_CHARS // 5)
TOO_LONG = "word " * 1_600_000
"""As long as a text in a body may be, some 8 MB: longer ones are refused before they are parsed."""
ONE = {"prompt": "p", "quality": 1, "group_id": 1, "group_size": 1}
BIG: dict[str, tuple[str, Any, int]] = {
    "slime, many messages": ("/trainers/slime/rm?n=1", {"prompt": calls(), "response": "a"}, 200),
    "slime, labels of 56 MB": (
        "/trainers/slime/rm?n=1",
        {"prompt": "p", "response": "a", "label": [TOO_LONG] * 7},
        422,
    ),
    "slime, other fields of 56 MB": (
        "/trainers/slime/rm?n=1",
        {"prompt": "p", "response": "a", "metadata": [TOO_LONG] * 7},
        200,
    ),
    "NeMo-Gym, many calls": ("/verify?n=1", said(*calls()), 200),
    "NeMo-Gym, calls of 54 MB": ("/verify?n=1", said(*calls(text=LONG[:14_000])), 422),
    "NeMo-Gym, other fields of 56 MB": (
        "/verify?n=1",
        {**said({"role": "assistant", "content": "a"}), "logs": [TOO_LONG] * 7},
        200,
    ),
    "NeMo-Gym's metrics, 56 MB": (
        "/aggregate_metrics",
        {"verify_responses": [{"reward": 1, "response": {"x": TOO_LONG}}] * 7},
        200,
    ),
    "NeMo-Gym's metrics, many tasks": (
        "/aggregate_metrics",
        {"verify_responses": [{"_ng_task_index": k, "reward": 1} for k in range(10_000)]},
        200,
    ),
    "OpenRLHF, long rollouts": (
        "/get_reward?n=1",
        {"query": [f"p{k}{LONG}" for k in range(40)], "prompts": [f"p{k}" for k in range(40)]},
        200,
    ),
    "OpenRLHF, rollouts of 8 MB": (
        "/get_reward?n=1",
        {"query": [f"p{TOO_LONG}"] * 7, "prompts": ["p"] * 7},
        422,
    ),
    "classify, many pairs": ("/classify", {"input": ["[CLS] a [SEP] b [SEP]"] * 40_000}, 200),
    "classify, pairs of 8 MB": ("/classify", {"input": [f"[CLS] {TOO_LONG}"] * 7}, 422),
    "the cohort endpoint, many calls": ("/v1/rollouts", {**ONE, "messages": calls()}, 200),
    "the cohort endpoint, calls of 54 MB": (
        "/v1/rollouts",
        {**ONE, "messages": calls(text=LONG[:14_000])},
        422,
    ),
    "groups of many calls": (
        "/v1/partitions",
        {"groups": [{"prompt": f"p{k}", "rollouts": [calls()]} for k in range(4)]},
        200,
    ),
    "over max_body_bytes": ("/trainers/slime/rm?n=1", {"x": [TOO_LONG] * 9}, 413),
}
"""Biggest legal and too big bodies: (route, body, status of the answer)."""
BIG_SILENCE_S = 0.25
TRIES = 5
"""Tries of a body, of which the shortest silence counts: other work on the machine adds to some,
the service's own to all."""


def test_the_service_is_alive_while_it_refuses_or_reads_big_bodies(tmp_path: Path) -> None:
    with running(tmp_path / "log", "--model", "exact") as service, service.client() as http:
        silences: dict[str, float] = {}
        for name, (route, body, status) in BIG.items():
            content = json.dumps(body).encode()
            for _ in range(TRIES):
                with polled(service) as longest:
                    answer = http.post(
                        route, content=content, headers={"content-type": "application/json"}
                    )
                assert answer.status_code == status, (name, answer.text[:300])
                silences[name] = min(longest(), silences.get(name, 60.0))
                if silences[name] < BIG_SILENCE_S:
                    break
        worst = max(silences, key=lambda place: silences[place])
        print(f"longest silence: {silences[worst]:.3f} s, {worst}")
        assert silences[worst] < BIG_SILENCE_S, silences


@contextmanager
def polled(service: Service) -> Iterator[Callable[[], float]]:
    """Asks a service whether it is alive, over and over; gives the longest that it took."""
    done, longest = Event(), 0.0

    def poll() -> None:
        nonlocal longest
        with httpx.Client(base_url=service.url, timeout=60) as http:
            while not done.is_set():
                started = time.monotonic()
                assert http.get("/health/live").status_code == 200
                longest = max(longest, time.monotonic() - started)
                time.sleep(0.002)

    polling = Thread(target=poll)
    polling.start()
    try:
        yield lambda: longest
    finally:
        done.set()
        polling.join()
