"""A PostgreSQL server of Debian's package, for the tests of what keeps its data in one."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER = "darling"


def program(name: str) -> Path | None:
    """A program of the newest PostgreSQL that is installed; None where there is none."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return versions[-1] if versions else None


@contextmanager
def running() -> Iterator[str]:
    """The URL of an empty database of a server that lives as long as this."""
    initdb, server = program("initdb"), program("postgres")
    assert initdb is not None
    assert server is not None
    # The server refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="darling-postgres-"))
    try:
        if user is not None:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        data = folder / "data"
        subprocess.run(
            [initdb, "-D", data, "-A", "trust", "-U", USER, "--no-sync"],
            user=user,
            cwd=folder,
            check=True,
            capture_output=True,
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        words: list[str | Path] = [
            server,
            "-D",
            data,
            "-p",
            str(port),
            "-k",
            folder,
            "-h",
            "127.0.0.1",
            "-F",
        ]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(words, user=user, cwd=folder, stdout=log, stderr=log)
        try:
            yield f"postgresql://{USER}@127.0.0.1:{port}/postgres"
        finally:
            process.send_signal(signal.SIGINT)  # at once, also while somebody is connected
            process.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
