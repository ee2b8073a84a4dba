"""/docs in a browser that reaches no other host, of a service with and without a key."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from darling_service.http.openapi import TAGS
from tests.conftest import Service, running

KEY = "s3cret"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log = tmp_path_factory.mktemp("guarded") / "log"
    with running(log, "--model", "exact", "--api-key", KEY) as service:
        yield service


def test_the_page_and_all_that_it_loads_come_from_the_service_without_a_key(
    guarded: Service,
) -> None:
    with guarded.client() as http:
        page = http.get("/docs")
        assert page.status_code == 200
        links = re.findall(r"""(?:src|href|url)(?:=|: ?)["']([^"']+)""", page.text)
        assert len(links) >= 4, "a script, styles, an icon and the OpenAPI document"
        for link in links:
            assert link.startswith("/"), f"{link} is on another host"
            assert http.get(link).status_code == 200, link


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/models", "/metrics", "/docs/", "/docs/assets", "/docs/assets/../../v1/models"),
        *("/docsx", "/consolex", "/console/../v1/models", "/console/%2e%2e/v1/models"),
        *("/console/../darling_service/settings.py", "/console%2f..%2fmetrics", "/console/none"),
    ],
)
def test_the_open_pages_open_nothing_else(guarded: Service, path: str) -> None:
    response = httpx.get(httpx.URL(guarded.url).copy_with(raw_path=path.encode()))
    assert response.status_code in (401, 404), path
    assert response.headers["content-type"] == "application/problem+json"


def test_the_document_asks_for_a_bearer_key_but_not_for_health(guarded: Service) -> None:
    document = httpx.get(f"{guarded.url}/openapi.json").json()
    scheme = document["components"]["securitySchemes"]["key"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert document["security"] == [{"key": []}]
    free = {
        path
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if operation.get("security") == []
    }
    assert free == {"/health/live", "/health/ready"}


def test_every_route_has_a_topic(guarded: Service) -> None:
    document = httpx.get(f"{guarded.url}/openapi.json").json()
    tags = [
        operation["tags"]
        for operations in document["paths"].values()
        for operation in operations.values()
    ]
    assert all(len(topics) == 1 for topics in tags)
    assert {topics[0] for topics in tags} == set(TAGS)
    assert [tag["name"] for tag in document["tags"]] == list(TAGS)


def browse(chromium: str, url: str, profile: Path) -> str:
    """The page as a headless browser has built it, where every other host is unknown."""
    command = [
        *(chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"),
        *("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--no-proxy-server"),
        *("--virtual-time-budget=20000", "--dump-dom", url),
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return run.stdout


def test_a_browser_without_internet_shows_the_routes_and_a_button_for_the_key(
    guarded: Service, tmp_path: Path
) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium is installed")
    page = browse(chromium, f"{guarded.url}/docs", tmp_path)
    assert re.search(r"<button[^>]*authorize[^>]*>.*?Authorize", page, re.S)
    for tag in TAGS:
        assert f'data-tag="{tag}"' in page
    assert 'data-path="/v1/rewards"' in page
