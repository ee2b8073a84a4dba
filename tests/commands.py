"""`darling-reward` commands, each in a process of its own that starts in milliseconds.

One process imports the package once; every command runs in a fork of it, with its own standard
streams, as a command of the shell would. Tests of interrupts, of what is imported, and of shells
start an interpreter themselves.
"""

import multiprocessing
import os
import sys
import tempfile
from multiprocessing.context import ForkServerContext
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired

IMPORTED = [
    "darling_service.cli.main",
    "darling_service.offline",
    "darling_service.evaluation.command",
    "darling_models.evaluation.command",
]
"""What the process imports before it forks: most of a command's time without it."""


def run_command(
    *words: str | Path, stdin: bytes = b"", timeout: float = 120
) -> CompletedProcess[str]:
    """What `darling-reward WORDS` returns and writes, given `stdin`."""
    arguments = [str(word) for word in words]
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder) / name for name in ("stdin", "stdout", "stderr")]
        streams[0].write_bytes(stdin)
        child = _context().Process(
            target=_run, args=(arguments, streams, dict(os.environ), os.getcwd())
        )
        child.start()
        child.join(timeout)
        if child.exitcode is None:
            child.kill()
            child.join()
            raise TimeoutExpired(arguments, timeout)
        out, error = (stream.read_text("utf-8") for stream in streams[1:])
        return CompletedProcess(arguments, child.exitcode, out, error)


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    return context


def _run(words: list[str], streams: list[Path], environment: dict[str, str], folder: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, (path, mode) in enumerate(zip(streams, ("rb", "wb", "wb"), strict=True)):
        with path.open(mode) as stream:
            os.dup2(stream.fileno(), number)
    sys.stdin = os.fdopen(0, encoding="utf-8")
    sys.argv = ["darling-reward", *words]
    from darling_service.cli.main import main

    sys.exit(main())
