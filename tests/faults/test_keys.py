"""API keys: every route asks for one, a file of several is read anew, and each has its limits."""

import asyncio
import re
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.routing import Mount, Route

from darling_service.app import create_app
from darling_service.cli.main import main
from darling_service.errors import Overloaded
from darling_service.http.allowance import Allowance
from darling_service.http.auth import MAX_TOKENS, OPEN, _tokens, is_open
from darling_service.http.state import Service as Parts
from darling_service.key_sources import KEY_SOURCES, refuse_strangers_without_key
from darling_service.keys import ApiKey, Keys, Limits, digest_of, new_key, only_key, read_keys
from darling_service.settings import Settings
from tests.commands import run_command
from tests.conftest import running, until
from tests.faults.in_process import bearer, client_of, keys_of, lines

APP = create_app(Parts(Settings(model="exact")))


def routes_of(routes: Iterable[Any]) -> Iterator[Route | Mount]:
    """The routes with those of the routers among them."""
    for route in routes:
        if isinstance(route, Route | Mount):
            yield route
        elif nested := getattr(route, "original_router", None):
            yield from routes_of(nested.routes)


ROUTES = sorted(
    (method, route.path)
    for route in routes_of(APP.routes)
    for method in {*(getattr(route, "methods", None) or ()), "GET", "HEAD"}
)
"""Every route, those that the OpenAPI document leaves out among them."""


@pytest.fixture(scope="module")
def rotated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, str, str]]:
    """A service whose key has been replaced: its client, the key of before and that of now."""
    file = tmp_path_factory.mktemp("keys") / "keys"
    (old, new), text = keys_of("alice", "alice")
    file.write_text(text.splitlines()[0])
    parts = Parts(Settings(model="exact", api_keys_file=file))
    with TestClient(create_app(parts)) as http:
        until(lambda: http.get("/health/ready").status_code == 200)
        assert http.get("/v1/models", headers=bearer(old)).status_code == 200
        file.write_text(text.splitlines()[1])
        parts.keys.reload()
        yield http, old, new


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_asks_for_a_key(
    rotated: tuple[TestClient, str, str], method: str, path: str
) -> None:
    http, old, new = rotated
    needs_none = is_open(path)
    for headers in ({}, bearer("wrong"), bearer(""), bearer(old), bearer(digest_of(new.encode()))):
        answer = http.request(method, path, headers=headers)
        assert (answer.status_code != 401) == needs_none, headers
        if not needs_none and method != "HEAD":
            assert answer.json()["status"] == 401
    assert http.request(method, path, headers=bearer(new)).status_code not in (401, 403)


def test_the_open_paths_and_the_documented_ones_are_routes() -> None:
    paths = {path for _, path in ROUTES}
    assert APP.openapi()["paths"].keys() <= paths
    assert paths >= OPEN


@pytest.mark.parametrize(
    "path",
    [
        *("/docs/../v1/models", "/docs/assets/../../metrics", "//v1/models", "/v1/models/"),
        *("/v1/./models", "/V1/models", "/docs/assets/%2e%2e/%2e%2e/v1/models", "/v1%2fmodels"),
        *("/docs%2f..%2fmetrics", "/health/live/../../metrics", "/health/live;/metrics"),
    ],
)
def test_no_spelling_of_a_path_goes_without_a_key(path: str) -> None:
    async def ask() -> httpx.Response:
        async with client_of(api_key="k") as http:
            return await http.get(http.base_url.copy_with(raw_path=path.encode()))

    assert asyncio.run(ask()).status_code in (401, 404)


def test_a_url_of_thousands_of_tokens_costs_no_time() -> None:
    """Each would be hashed, and compared with each key."""
    asked = {"query_string": b"token=x&" * 8_000 + b"token=k", "type": "http", "headers": []}
    assert len(list(_tokens(Request(asked)))) == MAX_TOKENS


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
LIMITS = st.builds(
    Limits,
    st.none() | st.integers(1, 10**6).map(lambda n: n / 8),
    st.none() | st.integers(1, 999_999),
)


@given(st.dictionaries(NAMES, LIMITS, min_size=1, max_size=5))
def test_the_lines_of_keys_are_read_as_they_were_made(named: dict[str, Limits]) -> None:
    made = [new_key(name, limits) for name, limits in named.items()]
    text = "# keys\n\n" + lines([kept for _, kept in made])
    assert all(key not in text for key, _ in made), "only hashes are kept"
    keys = Keys(lambda: read_keys(text))
    for key, kept in made:
        assert keys.find([b"other", key.encode()]) == kept
        assert keys.find([key.encode() + b" ", kept.digest.encode(), b""]) is None


HASH = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no key is in it"),
        ("# only a comment", "no key is in it"),
        ("s3cret", "line 1: it is not written as NAME"),
        ("\n\nalice s3cret", "line 3: it is not written as NAME"),
        (f"alice {HASH[:-1]}", "line 1: it is not written as NAME"),
        (f"alice {HASH}0", "line 1: it is not written as NAME"),
        (f"alice {HASH.replace('sha256', 'sha512')}", "line 1: it is not written as NAME"),
        (f"al/ice {HASH}", "line 1: a name is up to 64"),
        (f"../alice {HASH}", "line 1: a name is up to 64"),
        (f"älice {HASH}", "line 1: a name is up to 64"),
        (f"{'a' * 65} {HASH}", "line 1: a name is up to 64"),
        (f"alice {HASH} max_per_minute=1", "line 1: what follows its hash is no limit"),
        (f"alice {HASH} max_in_flight", "line 1: what follows its hash is no limit"),
        (f"alice {HASH} max_in_flight=1 max_in_flight=2", "line 1: what follows its hash"),
        (f"alice {HASH} max_in_flight=0", "line 1: max_in_flight is no whole number above 0"),
        (f"alice {HASH} max_in_flight=1.5", "line 1: max_in_flight is no whole number above 0"),
        (f"alice {HASH} max_per_second=-1", "line 1: max_per_second is no number above 0"),
        (f"alice {HASH} max_per_second=nan", "line 1: max_per_second is no number above 0"),
        (f"alice {HASH} max_per_second=inf", "line 1: max_per_second is no number above 0"),
        (f"alice {HASH} max_per_second=", "line 1: max_per_second is no number above 0"),
        (f"alice {HASH}\nbob {HASH}", "line 2: its key stands above already"),
        (
            f"alice {HASH}\nalice {HASH[:-1]}1 max_in_flight=2",
            "line 2: its name has other limits above",
        ),
    ],
)
def test_a_wrong_line_is_named_and_nothing_of_it_is_repeated(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "keys"
    file.write_text(text or " ")
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        read_keys(text)
    assert "s3cret" not in str(refused.value)
    assert main(["serve", "--api-keys-file", str(file)]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "s3cret" not in said


def blank_settings() -> list[tuple[str, str]]:
    return [(name, blank) for name in KEY_SOURCES for blank in ("", " ", "\n")]


@pytest.mark.parametrize(("name", "blank"), blank_settings())
@pytest.mark.parametrize("case", [str.upper, str.lower])
def test_a_blank_key_is_refused_at_the_start(
    name: str,
    blank: str,
    case: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(case(f"darling_{name}"), blank)
    assert main(["serve", "--model", "exact"]) == 2
    said = capsys.readouterr().err
    assert f"DARLING_{name.upper()})" in said
    assert "blank, as when a secret was not mounted" in said
    monkeypatch.delenv(case(f"darling_{name}"))
    assert main(["serve", f"--{name.replace('_', '-')}", blank]) == 2
    assert "blank" in capsys.readouterr().err


def test_a_key_is_the_same_with_white_space_around_it(tmp_path: Path) -> None:
    file = tmp_path / "key"
    for written in ("k", "k\n", "\ufeffk\r\n", " k "):
        file.write_text(written)
        assert Settings(api_key_file=file).keys() == only_key("k")
        assert Settings(api_key=written.lstrip("\ufeff")).keys() == only_key("k")


def test_one_source_of_keys_is_enough(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"alice {HASH}\n")
    values = {
        "api_key": "k",
        "api_key_file": file,
        "api_keys": f"bob {HASH}",
        "api_keys_file": file,
    }
    for first in KEY_SOURCES:
        for second in KEY_SOURCES[KEY_SOURCES.index(first) + 1 :]:
            with pytest.raises(ValueError, match=f"{first} is set too"):
                Settings.model_validate({name: values[name] for name in (first, second)})
    shown = repr(Settings(api_key="s3cret", judge_api_key="s3cret"))
    assert "s3cret" not in shown


@pytest.mark.parametrize(
    ("host", "refused"),
    [
        *(("127.0.0.1", False), ("127.0.0.2", False), ("localhost", False), ("::1", False)),
        *(("0.0.0.0", True), ("::", True), ("", True), ("192.0.2.1", True), ("fe80::1", True)),
        *(("0", True), ("::ffff:192.0.2.1", True), ("no-such-host.invalid", False)),
        *(("a..b", False), ("☃" * 70, False)),  # which no server can listen on
    ],
)
def test_other_machines_need_a_key_unless_they_are_let_in_by_name(host: str, refused: bool) -> None:
    refuse_strangers_without_key(host, only_key("k"), allow_no_key=False)
    refuse_strangers_without_key(host, [], allow_no_key=True)
    if refused:
        with pytest.raises(ValueError, match="no API key is set: set --api-key-file"):
            refuse_strangers_without_key(host, [], allow_no_key=False)
    else:
        refuse_strangers_without_key(host, [], allow_no_key=False)


def test_serve_without_a_key_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARLING_HOST", "0.0.0.0")
    assert main(["serve", "--model", "exact"]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "--allow-no-key true (DARLING_ALLOW_NO_KEY)" in said


def test_a_key_is_made_once_and_only_its_hash_is_for_the_file() -> None:
    run = run_command("make-key", "alice", "--max-in-flight", "3", "--max-per-second", "0.5")
    assert run.returncode == 0
    (key,) = read_keys(run.stdout)
    assert (key.name, key.limits) == ("alice", Limits(0.5, 3))
    token = run.stderr.split()[-1]
    assert digest_of(token.encode()) == key.digest
    assert len(token) >= 43, "256 bits in base 64"
    assert run_command("make-key", "alice").stderr.split()[-1] != token
    for words in (
        ["al/ice"],
        ["alice", "--max-in-flight", "0"],
        ["alice", "--max-per-second", "0"],
    ):
        wrong = run_command("make-key", *words)
        assert wrong.returncode == 2
        assert not wrong.stdout


ROLLOUT = {"run": "r", "group_id": "g", "prompt": "p", "quality": 1.0, "group_size": 2}


def test_a_signal_changes_the_keys_and_no_request_is_lost(tmp_path: Path) -> None:
    """A rollout that came with the old key waits, and its sibling comes with the new one."""
    file, log = tmp_path / "keys", tmp_path / "log"
    (old, new), text = keys_of("alice", "alice")
    first, second = text.splitlines()
    file.write_text(first)

    def changed(content: str, said: str) -> None:
        before = log.read_text().count(said)
        file.write_text(content)
        service.process.send_signal(signal.SIGHUP)
        until(lambda: log.read_text().count(said) > before)

    async def rotate() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=service.url, timeout=60) as http:
            post = http.post("/v1/rollouts", json={**ROLLOUT, "text": "a"}, headers=bearer(old))
            waiting = asyncio.create_task(post)
            while (
                "darling_waiting_rollouts 1.0"
                not in (await http.get("/metrics", headers=bearer(old))).text
            ):
                pass
            changed("", "the API keys stay as they were: the file is empty")
            assert (await http.get("/v1/models", headers=bearer(old))).status_code == 200
            changed("nonsense", "the API keys stay as they were: line 1")
            changed(f"{first}\n{second}", "the API keys have been read anew: 2")
            for key in (old, new):
                assert (await http.get("/v1/models", headers=bearer(key))).status_code == 200
            changed(second, "the API keys have been read anew: 1")
            assert (await http.get("/v1/models", headers=bearer(old))).status_code == 401
            sibling = http.post("/v1/rollouts", json={**ROLLOUT, "text": "b"}, headers=bearer(new))
            return list(await asyncio.gather(waiting, sibling))

    with running(log, "--model", "exact", "--api-keys-file", str(file)) as service:
        answers = asyncio.run(rotate())
    assert [answer.status_code for answer in answers] == [200, 200]
    assert all(answer.json()["group_complete"] for answer in answers)
    said = log.read_text()
    assert old not in said
    assert new not in said


def test_the_single_key_of_a_file_is_read_anew_too(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("one")
    keys = Keys(Settings(api_key_file=file).keys)
    file.write_text("two")
    assert keys.find([b"one"])
    keys.reload()
    assert keys.find([b"two"])
    assert not keys.find([b"one"])
    file.unlink()
    keys.reload()
    assert keys.find([b"two"]), (
        "a file that is away for a moment opens nothing and locks nobody out"
    )


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("darling_service.http.allowance.monotonic", clock)
    return clock


def entered(allowance: Allowance, key: ApiKey) -> float:
    """0 if a request gets in, else the seconds after which its caller is told to come again."""
    try:
        with allowance.request(key):
            return 0.0
    except Overloaded as problem:
        return problem.retry_after_s or -1.0


@pytest.mark.parametrize("rate", [0.25, 0.5, 1.0, 2.0, 8.0, 64.0])
def test_retry_after_of_the_rate_is_the_truth(rate: float, clock: Clock) -> None:
    allowance, key = Allowance(), ApiKey("alice", "", Limits(max_per_second=rate))
    at_once = 0
    while not (wait_s := entered(allowance, key)):
        at_once += 1
    assert at_once == max(1, rate), "a second's worth"
    for _ in range(20):
        clock.now += wait_s * 0.98
        assert entered(allowance, key) > 0, "not before"
        clock.now += wait_s * 0.03
        assert entered(allowance, key) == 0
        wait_s = entered(allowance, key)
        assert 0 < wait_s <= 1 / rate


def test_retry_after_of_requests_in_flight_is_their_mean_time(clock: Clock) -> None:
    allowance, key = Allowance(), ApiKey("alice", "", Limits(max_in_flight=4))
    for _ in range(100):
        with allowance.request(key):
            clock.now += 60
    four = [allowance.request(key) for _ in range(4)]
    for request in four:
        request.__enter__()
    assert entered(allowance, key) == pytest.approx(60 / 4)
    four[0].__exit__(None, None, None)
    assert entered(allowance, key) == 0


def test_limits_are_each_keys_own_and_outlast_a_reload(tmp_path: Path) -> None:
    (alice, bob), text = keys_of("alice", "bob", limits=Limits(max_in_flight=2))
    file = tmp_path / "keys"
    file.write_text(text)

    async def ask() -> None:
        async with client_of(api_keys_file=file) as http:

            async def send(key: str, member: int) -> httpx.Response:
                body = {**ROLLOUT, "member_id": member, "group_size": 8, "deadline_s": 0.5}
                return await http.post(
                    "/v1/rollouts", json={**body, "text": "t"}, headers=bearer(key)
                )

            answers = await asyncio.gather(*(send(alice, k) for k in range(6)), send(bob, 0))
            statuses = [answer.status_code for answer in answers]
            assert sorted(statuses[:6]) == [200, 200, 429, 429, 429, 429]
            assert statuses[6] == 200, "another key's callers notice nothing"
            refused = next(answer for answer in answers if answer.status_code == 429)
            assert "max_in_flight" in refused.json()["detail"]
            assert int(refused.headers["Retry-After"]) >= 1
            assert (await http.get("/health/ready")).status_code == 200, "probes have no limit"
            assert (await send(alice, 7)).status_code == 200, "and those that ended are forgotten"

    asyncio.run(ask())
