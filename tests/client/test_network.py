"""What the client says of a service that it cannot reach: the host, its name, its certificate, the
proxy; and what it makes of NumPy's and torch's numbers in a request."""

import asyncio
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch

from darling_client import (
    AsyncClient,
    BadRequest,
    BadResponse,
    Client,
    CohortRollout,
    DarlingError,
    Group,
    Misconfigured,
    Overloaded,
    Rollout,
    Run,
    Unavailable,
    Unreachable,
)
from darling_client._json import encoded, plain
from tests.client.test_client import free_port
from tests.conftest import running

GROUP = Group("Name a colour.", ["Blue", "Red"], quality=[1.0, 0.5])
PAGE = b"<!DOCTYPE html><html><body>Access denied by the gateway</body></html>"
Fails = Callable[[str], DarlingError]


def failure_of(url: str, kind: type[Client | AsyncClient]) -> DarlingError:
    """What a call raises."""
    # One try: the pause before the next would pass the patience.
    client = kind(url, patience_s=4, connect_timeout_s=2, backoff_s=10)

    async def call() -> None:
        assert isinstance(client, AsyncClient)
        async with client:
            await client.rewards([GROUP])

    if isinstance(client, AsyncClient):
        with pytest.raises(DarlingError) as raised:
            asyncio.run(call())
    else:
        with client, pytest.raises(DarlingError) as raised:
            client.rewards([GROUP])
    return raised.value


@pytest.fixture(params=[Client, AsyncClient])
def fails(request: Any, monkeypatch: pytest.MonkeyPatch) -> Fails:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return lambda url: failure_of(url, request.param)


@contextmanager
def server(
    status: int, content: bytes, content_type: str, context: ssl.SSLContext | None = None
) -> Iterator[str]:
    """A host that answers everything alike, CONNECT of a proxy included."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_CONNECT = do_POST  # noqa: N815

        def log_message(self, *arguments: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        if context is not None:
            http.socket = context.wrap_socket(http.socket, server_side=True)
        thread = threading.Thread(target=http.serve_forever, args=(0.05,))
        thread.start()
        yield f"127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, BadResponse),
        (403, BadRequest),
        (404, BadRequest),
        (407, BadRequest),
        (502, Overloaded),
        (503, Overloaded),
    ],
)
@pytest.mark.parametrize("variable", [None, "HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_web_page_is_no_service(
    fails: Fails,
    status: int,
    kind: type[DarlingError],
    variable: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with server(status, PAGE, "text/html") as host:
        if variable is None:
            error = fails(f"http://{host}")
        else:
            monkeypatch.setenv(variable, f"http://me:secret@{host}")
            error = fails("http://reward.internal:8000")
    assert isinstance(error, kind)
    assert "DARLING_API_KEY" not in str(error)
    if variable is None:
        assert status == 407 or "the answer is a web page" in str(error)
    else:
        assert f"the proxy http://{host}" in str(error)
        assert "secret" not in str(error)
        assert f"which {variable.upper()} names: add reward.internal to NO_PROXY" in str(error)


def test_no_proxy_is_not_blamed(fails: Fails, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    error = fails(f"http://127.0.0.1:{free_port()}")
    assert isinstance(error, Unreachable)
    assert "proxy" not in str(error)
    monkeypatch.setenv("NO_PROXY", "")
    assert "through the proxy http://127.0.0.1:9" in str(fails("http://reward:8000"))


@pytest.mark.parametrize(
    ("status", "kind"), [(407, Misconfigured), (403, Misconfigured), (503, Unreachable)]
)
def test_a_proxy_that_opens_no_tunnel(
    fails: Fails, status: int, kind: type[DarlingError], monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(status, b"", "text/plain") as host:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{host}")
        error = fails("https://reward.internal")
    assert isinstance(error, kind)
    assert f"the proxy http://{host}, which HTTPS_PROXY names" in str(error)


@pytest.mark.parametrize(
    "proxy", ["nonsense://127.0.0.1:9", "socks5://127.0.0.1:9", "http://a:port"]
)
def test_a_proxy_that_cannot_be_used(
    fails: Fails, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    error = fails("http://reward:8000")
    assert isinstance(error, Misconfigured)
    assert f"HTTP_PROXY={proxy}" in str(error)


def test_an_unknown_host_name(fails: Fails) -> None:
    error = fails("http://no-such-host.invalid:8000")
    assert isinstance(error, Unreachable)
    assert "the host name in http://no-such-host.invalid:8000/v1/rewards is not known" in str(error)


def test_https_to_a_service_without_a_certificate(fails: Fails) -> None:
    with server(200, PAGE, "text/html") as host:
        error = fails(f"https://{host}")
    assert isinstance(error, Misconfigured)
    assert not isinstance(error, Unavailable)
    assert "does not speak HTTPS" in str(error)
    assert "write http://" in str(error)


def test_a_certificate_that_is_not_trusted(fails: Fails, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ("-subj", "/CN=127.0.0.1", "-days", "2", "-newkey", "rsa:2048", "-nodes")
    files = ("-keyout", str(key), "-out", str(certificate))
    subprocess.run(["openssl", "req", "-x509", *subject, *files], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    with server(200, b"{}", "application/json", context) as host:
        error = fails(f"https://{host}")
    assert isinstance(error, Misconfigured)
    assert "is not trusted" in str(error)
    assert "SSL_CERT_FILE" in str(error)


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://reward", "reward:8000", "http://", "http://[bad", "http://a b", "http://a:99999"),
        *("http://a:port", "http://reward?x=1", "http://reward#x", "https//reward", "unix:///x"),
    ],
)
def test_a_wrong_url_is_refused_at_once(url: str) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(ValueError, match="give base URLs such as"):
            kind(url)


def test_a_key_from_a_file_may_end_in_a_newline() -> None:
    assert Client(token="key\n").options.token == "key"
    assert Client(token=" \n").options.token is None
    with pytest.raises(ValueError, match="token holds a character"):
        Client(token="one\ntwo")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("ngram") / "log", "--model", "ngram") as service:
        yield service.url


@pytest.mark.parametrize(
    "number",
    [
        np.int64,
        np.int8,
        np.uint16,
        lambda value: torch.tensor(value),
        lambda value: np.array(value),
    ],
)
def test_numbers_of_numpy_and_torch_anywhere(url: str, number: Any) -> None:
    one = number(1)
    rollouts = [
        Rollout("Blue", quality=one, correct=one, logprob=one, solutions=[[one, one]]),
        Rollout("Red", quality=one, correct=number(0), logprob=one, solutions=[[one, one]]),
    ]
    with Client(url) as client:
        (result,) = client.rewards(
            [Group("p", rollouts, id=number(7))],
            reward={
                "advantage": "pkpo",
                "k": one,
                "floor": np.float32(0.5),
                "soft": np.bool_(False),
                "weights": MappingProxyType({"quality": 1.0}),
            },
            run=Run("exp", number(3)),
            return_probabilities=number(1) > 0,
        )
        assert result.id == 7
        assert result.probabilities is not None
        member = CohortRollout(
            group_id=number(5),
            member_id=one,
            group_size=one,
            attempt=number(0),
            prompt="p",
            rollout=rollouts[0],
            deadline_s=number(2),
        )
        assert client.rollout(member, run=Run(f"exp {number!r:.20}", number(3))).group_complete
        partitions = client.partitions([Group("p", ["a"])], partition={"threshold": number(1)})
        assert partitions[0].num_classes == 1


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"groups": [{"id": object()}]}, r"groups\.0\.id: <object .* is of type object"),
        ({"reward": {"weights": {3, 4}}}, r"reward\.weights: \{3, 4\} is of type set"),
        ({"run": {"name": b"exp"}}, r"run\.name: b'exp' is of type bytes"),
        ({"reward": {("a", "b"): 1}}, r"reward: \('a', 'b'\) is a key of type tuple"),
        ({"reward": {"floor": 1j}}, r"reward\.floor: 1j is of type complex"),
    ],
)
def test_what_has_no_json_form_is_named(body: dict[str, Any], told: str) -> None:
    with pytest.raises(TypeError, match=told):
        encoded(body)


def test_a_body_that_holds_itself() -> None:
    body: dict[str, Any] = {}
    body["groups"] = [body]
    with pytest.raises(TypeError, match="nested too deeply, or in itself"):
        encoded(body)


def test_plain_values() -> None:
    assert plain({"a": (np.float64(0.5), torch.arange(2)), "b": np.array([[True]])}) == {
        "a": [0.5, [0, 1]],
        "b": [[True]],
    }


@pytest.mark.parametrize(
    ("rollout", "field"),
    [
        (Rollout("a", quality="1"), "quality"),  # type: ignore[arg-type]
        (Rollout("a", quality=1.0, logprob="x"), "logprob"),  # type: ignore[arg-type]
        (Rollout("a", quality=10**400), "quality"),
    ],
)
def test_a_wrong_field_is_not_made_right(url: str, rollout: Rollout, field: str) -> None:
    with Client(url) as client, pytest.raises(BadRequest) as refused:
        client.rewards([Group("p", [rollout])])
    assert field in refused.value.errors[0]["loc"]


@pytest.mark.parametrize("verdict", ["False", 2, -1, 0.5, [True], np.array([1, 0])])
def test_what_is_no_verdict_is_not_made_one(verdict: Any) -> None:
    with pytest.raises(ValueError, match=r"correct is .*, not a verdict; give True, False"):
        Client().rewards([Group("p", [Rollout("a", correct=verdict)])])
