"""The log: a line for each request with its id, a line for each failure, and no texts in it."""

import asyncio
import gc
import json
import logging
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from darling_models.errors import ModelUnavailable
from darling_models.lexical import Exact
from darling_models.protocol import IntArray, Plan, Result, Unit, text_unit
from darling_service.app import create_app
from darling_service.cli.main import main
from darling_service.errors import Overloaded, Refusal
from darling_service.http.state import Service
from darling_service.logs import JsonLines, PlainLines, Writer, log_unexpected
from darling_service.misspelt import misspelt
from darling_service.request_id import MAX_ID_CHARS, cleaned
from darling_service.settings import Settings
from darling_service.tracebacks import MAX_CHAIN, types_and_places
from tests.conftest import running
from tests.faults.test_fuzz import DOORS, ROUTES

GROUP = {"prompt": "Name a city.", "rollouts": ["Lisbon", "Kyoto"], "quality": [0.9, 0.7]}


@pytest.fixture(scope="module")
def app() -> Iterator[TestClient]:
    app = create_app(Service(Settings(model="exact", cohort_deadline_s=0.05)))

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("no cure")

    with TestClient(app, raise_server_exceptions=False) as client:
        while client.get("/health/ready").status_code != 200:
            pass
        yield client


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health/live", 200),
        ("HEAD", "/health/live", 200),
        ("GET", "/metrics", 200),
        ("GET", "/v1/models", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/docs", 200),
        ("GET", "/none", 404),
        ("GET", "/v1/rewards", 405),
        ("POST", "/v1/rewards", 400),
        ("GET", "/broken", 500),
    ],
)
def test_every_answer_has_the_callers_id_or_one_of_its_own(
    app: TestClient, method: str, path: str, status: int
) -> None:
    sent = app.request(method, path, headers={"X-Request-ID": "step-17/a"})
    assert sent.status_code == status
    assert sent.headers["x-request-id"] == "step-17/a"
    own = [app.request(method, path).headers["x-request-id"] for _ in range(2)]
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in own)
    assert own[0] != own[1]
    if sent.headers["content-type"] == "application/problem+json":
        assert sent.json()["request_id"] == "step-17/a"


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=600))
def test_an_id_is_cut_and_cleaned(sent: str) -> None:
    kept = cleaned(sent)
    assert len(kept) <= MAX_ID_CHARS
    assert re.fullmatch(r"[A-Za-z0-9._:/@=+-]*", kept)
    assert cleaned(kept) == kept


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        ("a" * 500, "a" * MAX_ID_CHARS),
        ('x"; drop\t<b>', "xdropb"),
        ("é1\x7f", "1"),
        ("7c5b1f0e-0000-4000-8000-1234567890ab", "7c5b1f0e-0000-4000-8000-1234567890ab"),
    ],
)
def test_an_odd_id_is_returned_cleaned(app: TestClient, sent: str, got: str) -> None:
    answer = app.get("/none", headers={b"x-request-id": sent.encode("latin-1")})
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == got


def test_an_id_of_unsafe_characters_alone_is_replaced(app: TestClient) -> None:
    answer = app.get("/health/live", headers={"X-Request-ID": "{} \\"})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def test_a_caller_without_the_key_gets_an_id_too() -> None:
    with TestClient(create_app(Service(Settings(model="exact", api_key="k")))) as client:
        answer = client.get("/v1/models", headers={"X-Request-ID": "mine"})
    assert answer.status_code == 401
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "mine"


def access(records: Sequence[logging.LogRecord]) -> list[dict[str, Any]]:
    """The fields of the access lines."""
    return [vars(record)["fields"] for record in records if hasattr(record, "fields")]


def test_a_request_is_one_line(app: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "darling_service")
    app.post("/v1/rewards", json={"groups": [GROUP, GROUP]})
    app.post("/v1/rollouts", json=DOORS["/v1/rollouts"])
    app.post("/get_reward?n=2&deadline_s=0.01", json=DOORS["/get_reward?n=2"])
    app.post("/v1/rewards?token=secret", json={"groups": [GROUP], "colour": 1})
    app.get("/health/ready")
    app.get("/metrics")
    app.get("/secret/path")
    for name in ("app.js", "vendor/preact.js", "secret.js"):
        app.get(f"/console/{name}")
    lines = access(caplog.records)
    assert [(line["route"], line["status"], line["rollouts"]) for line in lines] == [
        ("/v1/rewards", 200, 4),
        ("/v1/rollouts", 200, 1),
        ("/get_reward", 200, 1),
        ("/v1/rewards", 422, 0),
        ("unmatched", 404, 0),
        ("/console", 200, 0),
        ("/console", 200, 0),
        ("/console", 404, 0),
    ]
    assert all(line["seconds"] >= 0 for line in lines)
    assert lines[3]["cause"] == "Invalid request"
    assert "secret" not in caplog.text
    assert {record.levelname for record in caplog.records} == {"INFO"}


def test_a_failure_is_one_line_with_its_cause(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def plan(self: Exact, prompt: str, texts: Sequence[str], pairs: IntArray) -> Plan:
        return Plan([text_unit(text) for text in texts], pairs)

    def run(self: Exact, units: Sequence[Unit]) -> Sequence[Result]:
        raise ModelUnavailable("connection refused")

    with TestClient(create_app(Service(Settings(model="exact")))) as client:
        while client.get("/health/ready").status_code != 200:
            pass
        monkeypatch.setattr(Exact, "plan", plan)
        monkeypatch.setattr(Exact, "run", run)
        caplog.set_level(logging.INFO, "darling_service")
        assert client.post("/v1/rewards", json={"groups": [GROUP]}).status_code == 503
    (line,) = access(caplog.records)
    assert line["status"] == 503
    assert line["cause"].startswith("the model server is unreachable")
    said = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    assert len([message for message in said if "connection refused" in message]) == 1
    assert not any(one.exc_info for one in caplog.records)


@pytest.mark.parametrize("reason", get_args(Refusal))
def test_a_429_is_counted_by_what_the_request_was_over(
    app: TestClient, monkeypatch: pytest.MonkeyPatch, reason: Refusal
) -> None:
    async def refuse(*_: object) -> None:
        raise Overloaded(reason, "too much", retry_after_s=2)

    pipeline = app.app.state.service.pipeline  # type: ignore[attr-defined]
    monkeypatch.setattr(pipeline, "rewards", refuse)
    line = f'darling_refused_total{{reason="{reason}"}}'
    assert f"{line} 0.0" in app.get("/metrics").text
    assert app.post("/v1/rewards", json={"groups": [GROUP]}).status_code == 429
    assert f"{line} 1.0" in app.get("/metrics").text


def record(message: str, **extra: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": message, "levelname": "INFO", "name": "n", **extra})


@given(st.text(max_size=50))
def test_any_message_is_one_line(message: str) -> None:
    plain = PlainLines().format(record(message))
    assert len(plain.splitlines()) == 1
    line = JsonLines().format(record(message, fields={"route": "/x"}))
    assert "\n" not in line
    assert json.loads(line)["message"] == message
    assert json.loads(line)["route"] == "/x"


def test_half_a_character_breaks_no_line() -> None:
    assert json.loads(JsonLines().format(record("a\ud800")))["message"] == "a\\ud800"


CANARY = "xyzzy plugh"


def raises(error: Exception) -> None:
    raise error


def raises_from(error: Exception, cause: Exception | None) -> None:
    raise error from cause


def raises_beside(error: Exception) -> None:
    try:
        raise ValueError(CANARY)
    except ValueError:
        raise error  # noqa: B904 (the context is the point)


def noted(error: Exception) -> Exception:
    error.add_note(CANARY)
    return error


class OddError(Exception):
    def __str__(self) -> str:
        raise ValueError(CANARY)


FAULTS: dict[str, Callable[[], None]] = {
    "RuntimeError": lambda: raises(RuntimeError(CANARY)),
    "KeyError": lambda: raises(KeyError(CANARY)),
    "UnicodeEncodeError": lambda: raises(UnicodeEncodeError("utf-8", CANARY, 0, 1, CANARY)),
    "SyntaxError": lambda: raises(SyntaxError(CANARY, (CANARY, 1, 1, CANARY))),
    "JSONDecodeError": lambda: json.loads(CANARY),
    "TypeError": lambda: raises_from(TypeError(CANARY), KeyError(CANARY)),
    "LookupError": lambda: raises_beside(LookupError(CANARY)),
    "OSError": lambda: raises(OSError(28, CANARY, CANARY)),
    "ArithmeticError": lambda: raises(noted(ArithmeticError(CANARY))),
    "ExceptionGroup": lambda: raises(ExceptionGroup(CANARY, [ValueError(CANARY)])),
    "OddError": lambda: raises(OddError(CANARY)),
}


@pytest.mark.parametrize("form", [PlainLines, JsonLines])
@pytest.mark.parametrize("kind", FAULTS)
def test_a_traceback_names_types_and_places_and_no_message(
    kind: str, form: Callable[[], logging.Formatter]
) -> None:
    try:
        FAULTS[kind]()
    except Exception as error:
        info = (type(error), error, error.__traceback__)
        said = form().format(record("failed", exc_info=info))
    assert CANARY not in said
    assert f"{kind}" in said
    assert "test_logs.py" in said


def test_a_traceback_says_what_led_to_it() -> None:
    try:
        FAULTS["TypeError"]()
    except TypeError as error:
        said = types_and_places(error)
    assert re.search(r"(?s)^Traceback.*KeyError\nwhich led to:\nTraceback.*TypeError$", said)
    with pytest.raises(OSError, match="28") as full:
        FAULTS["OSError"]()
    assert types_and_places(full.value).endswith("OSError: [Errno 28] No space left on device")


def test_a_chain_that_bites_its_tail_ends() -> None:
    one, other = KeyError(), ValueError()
    one.__cause__, other.__cause__ = other, one
    assert types_and_places(one).count("which led to:") == 1


def test_a_chain_without_end_is_cut() -> None:
    error: Exception = ValueError()
    for _ in range(5000):
        error, cause = ValueError(), error
        error.__cause__ = cause
    assert types_and_places(error).count("ValueError") == MAX_CHAIN


@pytest.mark.parametrize("form", [PlainLines, JsonLines])
def test_messages_are_logged_if_that_was_asked_for(
    form: Callable[[bool], logging.Formatter],
) -> None:
    error = RuntimeError(CANARY)
    said = form(True).format(record("failed", exc_info=(type(error), error, None)))
    assert f"RuntimeError: {CANARY}" in said


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines as a service writes them; pytest has left tracebacks of its own in the records."""
    for one in caplog.records:
        one.exc_text = None
    return [PlainLines().format(one) for one in caplog.records]


def test_a_fault_on_the_event_loop_is_logged_without_what_it_was_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(text: str) -> None:
        raise RuntimeError(text)

    async def forgotten() -> None:
        raise RuntimeError(CANARY)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(log_unexpected)
        loop.call_soon(broken, CANARY)
        asyncio.create_task(forgotten())  # noqa: RUF006 (nobody asks for its result)
        await asyncio.sleep(0.01)
        gc.collect()

    asyncio.run(main())
    said = logged(caplog)
    assert len(said) == 2
    assert not any(CANARY in line for line in said)
    assert "on the event loop: Exception in callback" in said[0]
    assert "on the event loop: Task exception was never retrieved" in said[1]
    assert all(line.endswith("RuntimeError") for line in said)


def test_a_cohort_that_fails_unexpectedly_is_told_without_its_name(
    app: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr(app.app.state.service.pipeline, "rewards", broken)  # type: ignore[attr-defined]
    rollout: Any = DOORS["/v1/rollouts"]
    body = {**rollout, "group_id": CANARY, "group_size": 1}
    assert app.post("/v1/rollouts", json=body).status_code == 500
    said = logged(caplog)
    assert any("scoring a cohort failed" in line for line in said)
    assert not any(CANARY in line for line in said)


TEXTS = frozenset(
    {
        *("prompt", "text", "content", "response", "rollouts", "answer", "a", "b"),
        *("input", "query", "prompts", "label", "labels"),
    }
)
"""Fields of requests that hold texts, in whatever format."""


def with_canary(value: Any, canary: str, everywhere: bool, name: str = "") -> Any:
    """The value with the canary in every text, or in every string and name of a field."""
    if isinstance(value, dict):
        return {
            f"{key}{canary}" if everywhere and name else key: with_canary(
                one, canary, everywhere, key
            )
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [with_canary(one, canary, everywhere, name) for one in value]
    if isinstance(value, str) and (everywhere or name in TEXTS):
        return f"{value} {canary}"
    return value


def requests_with(canary: str) -> Iterator[tuple[str, Any]]:
    """Requests to every route, good ones and refused ones."""
    bodies = [(route, body) for route, several in ROUTES.items() for body in several]
    for route, body in (*bodies, *DOORS.items()):
        for everywhere in (False, True):
            yield route, with_canary(body, canary, everywhere)


def test_from_warnings_on_no_request_that_succeeds_is_logged(
    app: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "darling_service")
    app.post("/v1/rewards", json={"groups": [GROUP]})
    app.get("/broken")
    (line,) = access(caplog.records)
    assert (line["route"], line["status"], line["cause"]) == ("/broken", 500, "RuntimeError")


@pytest.mark.parametrize("level", ["debug", "info"])
def test_a_service_logs_as_its_settings_say(tmp_path: Path, level: str) -> None:
    """No line holds a text of a request, whatever its level and whatever came of the request."""
    canary = "xyzzy plugh"
    arguments = ("--model", "exact", "--log-format", "json", "--log-level", level)
    environment = {"DARLING_MAX_ROLOUTS": "8", "DARLING_COHORT_DEADLINE_S": "0.05"}
    log = tmp_path / "log"
    with running(log, *arguments, environment=environment) as service, service.client() as http:
        http.headers["X-Request-ID"] = "r-1"
        for path, body in requests_with(canary):
            http.post(path, json=body)
        http.post("/v1/rewards", content=canary.encode())
        http.post("/v1/rewards", content=b'{"groups": "' + canary.encode() + b'"}')
    said = log.read_text()
    assert canary not in said
    lines = [json.loads(line) for line in said.splitlines()]
    levels = {line["level"] for line in lines}
    assert levels == {"info", "warning"} | {level}
    (told,) = [line for line in lines if "MAX_ROLOUTS" in line["message"]]
    assert told["message"].endswith("did you mean DARLING_MAX_ROLLOUTS?")
    rewards = [line for line in lines if line.get("route") == "/v1/rewards"]
    assert {line["request_id"] for line in rewards} == {"r-1"}
    assert {line["status"] for line in rewards} >= {200, 400, 422}


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("DARLING_MODLE", "DARLING_MODEL"),
        ("darling_modle", "DARLING_MODEL"),
        ("DARLING_APIKEY", "DARLING_API_KEY"),
        ("DARLING_LOGLEVEL", "DARLING_LOG_LEVEL"),
        ("DARLING_MAX_ROLLOUT", "DARLING_MAX_ROLLOUTS"),
    ],
)
def test_a_misspelt_variable_is_told_with_the_nearest_name(name: str, near: str) -> None:
    (line,) = misspelt({name: "1"}, Settings.model_fields)
    assert line.startswith(f"the environment variable {name} is no setting and is not read")
    assert line.endswith(f"did you mean {near}?")


def test_a_variable_like_no_setting_is_told_where_the_names_are() -> None:
    (line,) = misspelt({"DARLING_ZZZZZZZZ": "1"}, Settings.model_fields)
    assert "--help" in line


@pytest.mark.parametrize(
    "name",
    [
        *(f"DARLING_{name.upper()}" for name in Settings.model_fields),
        *("darling_model", "DARLING_URL", "DARLING_SERVICE_HOST", "DARLING", "HOME"),
    ],
)
def test_no_other_variable_is_told(name: str) -> None:
    assert not list(misspelt({name: "1"}, Settings.model_fields))


def test_commands_tell_it_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DARLING_MODLE", "exact")
    assert main(["score", "/none.jsonl", "-"]) == 2
    assert "did you mean DARLING_MODEL?" in capsys.readouterr().err


def test_a_signal_whose_handler_logs_may_come_while_a_line_is_logged() -> None:
    """As a stop does, whose handler runs in the thread of the event loop: it waits for no lock."""
    writer = Writer(lines := StringIO())
    writer.setFormatter(PlainLines())
    log = logging.Logger("of this test")
    log.addHandler(writer)
    told = 0

    def handler(*_: object) -> None:
        nonlocal told
        told += 1
        log.info("signal")

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        for number in range(5_000):
            log.info("line %d", number)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    writer.flush()
    written = lines.getvalue()
    assert (written.count(" signal\n"), written.count(" line ")) == (told, 5_000)
