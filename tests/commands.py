"""`darling-reward` commands, each in a process of its own that starts in milliseconds.

One process imports the package once; every command runs in a fork of it, with its own standard
streams, as a command of the shell would. Tests of what is imported, and of shells, start an
interpreter themselves.
"""

import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired

IMPORTED = [
    "darling_service.cli.main",
    "darling_service.server",
    "darling_service.offline",
    "darling_service.evaluation.command",
    "darling_models.evaluation.command",
    "darling_models.embedded.classifier",
]
"""What the process imports before it forks: most of a command's time without it."""


class Command:
    """A command that runs, with the methods of `subprocess.Popen` that tests use."""

    def __init__(
        self,
        words: list[str],
        *,
        stdin: Path | None = None,
        stdout: Path | None = None,
        stderr: Path | None = None,
        environment: Mapping[str, str] | None = None,
        module: str = "darling_service.cli",
    ) -> None:
        """`words` are the arguments of `python -m module`. A stream that is None is the tests'."""
        streams = [stdin or Path(os.devnull), stdout, stderr]
        env = dict(os.environ if environment is None else environment)
        self.words = words
        self._process: BaseProcess = context().Process(
            target=_run, args=(module, words, streams, env, os.getcwd())
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        status = self.poll()
        if status is None:
            raise TimeoutExpired(self.words, timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run_command(
    *words: str | Path, stdin: bytes = b"", timeout: float = 120
) -> CompletedProcess[str]:
    """What `darling-reward WORDS` returns and writes, given `stdin`."""
    arguments = [str(word) for word in words]
    with tempfile.TemporaryDirectory() as folder:
        given, out, error = (Path(folder) / name for name in ("stdin", "stdout", "stderr"))
        given.write_bytes(stdin)
        command = Command(arguments, stdin=given, stdout=out, stderr=error)
        try:
            status = command.wait(timeout)
        finally:
            command.kill()
        said = (stream.read_text("utf-8") for stream in (out, error))
        return CompletedProcess(arguments, status, *said)


def context() -> ForkServerContext:
    """What starts commands: forks of a process that has imported much."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    return context


def _run(
    module: str,
    words: list[str],
    streams: list[Path | None],
    environment: Mapping[str, str],
    folder: str,
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, (path, mode) in enumerate(zip(streams, ("rb", "ab", "ab"), strict=True)):
        if path is not None:
            with path.open(mode) as stream:
                os.dup2(stream.fileno(), number)
    sys.stdin = os.fdopen(0, encoding="utf-8")
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
