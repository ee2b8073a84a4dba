"""No text in a request makes the service call a URL or open a file, whichever field it is in."""

import copy
import shutil
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from darling_models.embedded.classifier import ARTEFACT
from darling_models.registry import CATALOGUE, load
from darling_service.app import create_app
from darling_service.http.state import Service
from darling_service.schemas.requests import PartitionOptions
from darling_service.schemas.reward_options import RewardOptions
from darling_service.settings import Settings
from darling_service.trainers.query import Query

MARK = "bait-4711"
"""Part of every name in these requests: whatever is called or opened by it is seen."""
WATCHED = ("open", "os.", "shutil.", "socket.", "subprocess.", "sqlite3.", "import", "ctypes.")
"""Starts of the interpreter's audit events by which something is called or opened."""

_seen: list[str] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event.startswith(WATCHED) and MARK in repr(arguments):
        _seen.append(f"{event} {arguments!r}")


sys.addaudithook(_watch)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that could be loaded."""
    folder = tmp_path_factory.mktemp(MARK) / "mine"
    shutil.copytree(ARTEFACT, folder)
    return folder


@pytest.fixture(scope="module")
def http() -> Iterator[TestClient]:
    with TestClient(create_app(Service(Settings(model="exact")))) as client:
        while client.get("/health/ready").status_code != 200:
            pass
        yield client


@pytest.fixture
def opened() -> list[str]:
    _seen.clear()
    return _seen


def baits(folder: Path) -> list[str]:
    """Names by which the settings would call or open something."""
    url, up = f"http://{MARK}.invalid/x", f"../../{folder.parent.name}/mine"
    return [
        *(url, f"file://{folder}", str(folder), up, f"{up}/config.json\x00"),
        *(f"{model.partition(':')[0]}:{folder}" for model in CATALOGUE),
        *(f"remote:{url}", f"judge:m@{url}", f"cascade:judge:m@{url}", f"reward-model:{folder}"),
    ]


@cache
def routes() -> dict[str, Any]:
    """A body that each route takes, from its documentation."""
    paths = create_app(Service(Settings(model="exact"))).openapi()["paths"]
    bodies = {}
    for path, operations in paths.items():
        if body := operations.get("post", {}).get("requestBody"):
            (examples,) = (kind["examples"] for kind in body["content"].values())
            bodies[path] = next(iter(examples.values()))["value"]
    return bodies


@cache
def fields() -> set[str]:
    """Every name of a field in a request's body."""
    schemas = create_app(Service(Settings(model="exact"))).openapi()["components"]["schemas"]
    return {name for schema in schemas.values() for name in schema.get("properties", ())}


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all that a body holds, of every field that it might, and of some that none has."""
    if isinstance(value, dict):
        for name in {*value, *(() if at else fields()), "url", "path", "file", "checkpoint"}:
            yield (*at, name)
            yield from places(value.get(name), (*at, name))
    elif isinstance(value, list):
        for index, item in enumerate(value[:1]):
            yield (*at, index)
            yield from places(item, (*at, index))


def with_bait(body: Any, at: tuple[Any, ...], bait: str) -> Any:
    changed = copy.deepcopy(body)
    inner = changed
    for step in at[:-1]:
        inner = inner[step]
    inner[at[-1]] = bait
    return changed


NAMING = ("model", "quality")
"""Fields that name what is served, and get each of the baits."""


def hurried(body: Any) -> Any:
    """The body, whose caller waits for no sibling."""
    return {**body, "deadline_s": 0.001} if "group_id" in body else body


@pytest.mark.heavy
@pytest.mark.parametrize("path", routes())
def test_no_field_of_a_body_opens_anything(
    path: str, http: TestClient, folder: Path, opened: list[str]
) -> None:
    body = hurried(routes()[path])
    url, *_ = names = baits(folder)
    query = "?n=1&deadline_s=0.001" if path.startswith("/trainers") else ""
    asked = 0
    for place in places(body):
        for bait in names if place[-1] in NAMING else (url, str(folder)):
            answer = http.post(path + query, json=with_bait(body, place, bait))
            assert answer.status_code < 500, (place, bait, answer.text)
            asked += 1
    assert asked > 50
    assert not opened


@pytest.mark.heavy
@pytest.mark.parametrize("path", [path for path in routes() if path.startswith("/trainers")])
def test_no_parameter_of_a_url_opens_anything(
    path: str, http: TestClient, folder: Path, opened: list[str]
) -> None:
    body = routes()[path]
    models = (Query, RewardOptions, PartitionOptions)
    names = {name for model in models for name in model.model_fields}
    for name in {*names, "url", "callback"}:
        for bait in baits(folder) if name in NAMING else baits(folder)[:3]:
            url = f"{path}?n=1&deadline_s=0.001&{name}={quote(bait, safe='')}"
            answer = http.post(url, json=body)
            assert answer.status_code < 500, (url, answer.text)
            if name in NAMING:
                assert answer.status_code == 422, "only what is served has a name"
    assert not opened


HEADERS = (
    *("Host", "X-Forwarded-Host", "X-Forwarded-For", "Forwarded", "Origin", "Referer", "Link"),
    *("X-Original-URL", "X-Rewrite-URL", "Content-Location", "Destination", "Authorization"),
    *("Content-Type", "Content-Encoding", "Traceparent", "X-Request-Id"),
)


def test_no_header_and_no_path_opens_anything(
    http: TestClient, folder: Path, opened: list[str]
) -> None:
    body = routes()["/v1/rewards"]
    for header in HEADERS:
        for bait in (f"http://{MARK}.invalid/", str(folder)):
            answer = http.post("/v1/rewards", json=body, headers={header: bait})
            assert answer.status_code < 500
    for start in ("/", "/docs/", "/docs/assets/", "/docs/assets//", "/v1/models/"):
        for up in ("", "../" * 12, "..%2f" * 12, "%2e%2e/" * 12, "%252e%252e/" * 12):
            answer = http.get(f"{start}{up}{str(folder).lstrip('/')}/config.json")
            assert answer.status_code == 404
            assert MARK not in answer.headers.get("location", "")
    assert not opened


def test_what_opens_a_bait_is_seen(folder: Path, opened: list[str]) -> None:
    load(f"embedded:{folder}")
    assert opened
