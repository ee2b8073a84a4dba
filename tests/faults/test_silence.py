"""A service that reads texts of odd shapes, through every route, still says that it is alive."""

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
