"""Sends the stored requests to real services and gathers what is comparable of their answers."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import running
from tests.stored.entries import SERVERS, Answers, Entry

USAGE = ("pairs", "skipped", "truncated")
"""What a request costs whatever came before it; what was cached, and the time, is left out."""
TIMEOUT_S = 120


def answers_from(url: str, entries: Sequence[Entry]) -> Answers:
    """The service's answers, entry after entry."""

    async def send() -> Answers:
        async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S) as http:
            return {entry.name: await _answers(http, entry) for entry in entries}

    return asyncio.run(send())


def answers_of(entries: Sequence[Entry]) -> Answers:
    """The same from services started for it."""
    found: Answers = {}
    with tempfile.TemporaryDirectory() as folder:
        for server, arguments in SERVERS.items():
            own = [entry for entry in entries if entry.server == server]
            if own:
                with running(Path(folder) / server, *arguments) as service:
                    found |= answers_from(service.url, own)
    return {entry.name: found[entry.name] for entry in entries}


async def _answers(http: httpx.AsyncClient, entry: Entry) -> list[Any]:
    sent = (http.post(entry.path, json=body) for body in entry.bodies)
    found = [_comparable(answer, entry) for answer in await asyncio.gather(*sent)]
    if "member_id" not in dict(entry.said):
        _renumber([answer["body"] for answer in found])
    return found


def _comparable(answer: httpx.Response, entry: Entry) -> Any:
    """Without what may differ between two runs of the same code, and without the revision."""
    body = answer.json()
    if isinstance(body, dict):
        body.pop("request_id", None)
        if entry.route == "/classify":
            body = {name: body[name] for name in body if name not in ("id", "created")}
        if "usage" in body:
            body["usage"] = {name: body["usage"][name] for name in USAGE if name in body["usage"]}
        if isinstance(body.get("model"), dict):
            body["model"].pop("revision")
    told: dict[str, Any] = {"status": answer.status_code, "body": body}
    if (complete := answer.headers.get("darling-group-complete")) is not None:
        told["complete"] = complete
    return told


def _renumber(bodies: Sequence[Any]) -> None:
    """Classes of members that are numbered as they arrive, by their order in the file instead."""
    seen: dict[int, int] = {}
    for body in bodies:
        if isinstance(body, dict) and "class" in body:
            body["class"] = seen.setdefault(body["class"], len(seen))
