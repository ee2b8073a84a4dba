"""The proxy of docker/nginx: a real nginx in front of services on ports of this machine."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.conftest import until

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docker/nginx"
SERVER = re.compile(r"^server \S+ (.*;)$", re.M)
"""A line of replicas.conf, whose parameters are those of every replica."""


@dataclass(frozen=True)
class Proxy:
    url: str
    log: Path
    """Its lines about requests."""
    errors: Path
    """What it says on standard error."""


@contextmanager
def proxy(
    replicas: Sequence[str],
    folder: Path,
    *,
    configuration: str = (FOLDER / "nginx.conf").read_text(),
    servers: str = (FOLDER / "replicas.conf").read_text(),
) -> Iterator[Proxy]:
    """Runs a configuration with the address, the log and the replicas of this test.

    `replicas`: their base URLs. `servers`: the lines that list the replicas, as deployed.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    running = Proxy(f"http://{address}", folder / "log", folder / "errors")
    own = configuration.replace("listen 8000;", f"listen {address};")
    own = own.replace("/dev/stdout", str(running.log))
    assert own.count(address) == own.count(str(running.log)) == 1
    (folder / "nginx.conf").write_text(own)
    (parameters,) = set(SERVER.findall(servers))
    hosts = [url.removeprefix("http://") for url in replicas]
    lines = [f"server {host} {parameters}\n" for host in hosts]
    (folder / "replicas.conf").write_text("".join(lines))
    with running.errors.open("w") as errors:
        process = subprocess.Popen(command(folder), stdout=errors, stderr=errors)
    try:
        with httpx.Client(base_url=running.url) as http:
            until(lambda: _answers(http) or process.poll() is not None)
        assert process.poll() is None, running.errors.read_text()
        yield running
    finally:
        process.terminate()
        process.wait(30)


def command(folder: Path, *more: str) -> list[str]:
    """nginx with the configuration of a folder, and its temporary files there."""
    program = shutil.which("nginx")
    assert program is not None, "nginx is missing; on Debian as root: apt-get install nginx-light"
    # Its processes would otherwise give up root, who alone may enter pytest's folders.
    user = ["-g", "user root;"] if os.geteuid() == 0 else []
    where = ["-e", "stderr", "-p", f"{folder}/", "-c", str(folder / "nginx.conf")]
    return [program, *where, *user, *more]


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/proxy/live").status_code == 200
    except httpx.TransportError:
        return False
