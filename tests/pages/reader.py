"""Runs a page's snippets in order, in a folder like a clone after `make install`."""

import io
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from darling_client import Client
from tests.pages.fences import ROOT, Snippet, commands
from tests.pages.stand_ins import trainers
from tests.pages.untried import untried

URLS = ("http://127.0.0.1:8000", "http://reward:8000")
"""What pages call the service."""
TIMEOUT_S = 600
"""Seconds for one command: training takes minutes on a busy machine."""


class Reader:
    """Follows one page; `slow`: also through the commands that take minutes."""

    def __init__(self, folder: Path, url: str, *, slow: bool, names: Mapping[str, Any]) -> None:
        self.folder, self.url, self.slow = folder, url, slow
        self.names = dict(names)
        programs = folder / ".venv/bin"
        programs.mkdir(parents=True)
        for name, module in (("python", ""), ("darling-reward", " -m darling_service.cli")):
            (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable}{module} "$@"\n')
            (programs / name).chmod(0o755)
        (folder / "tests").mkdir()
        for shared in ("examples", "clients", "tests/behaviours"):
            (folder / shared).symlink_to(ROOT / shared)

    def run(self, snippet: Snippet) -> str:
        """What a snippet in `sh` or `python` prints."""
        return self.shell(snippet.code) if snippet.language == "sh" else self.python(snippet.code)

    def shell(self, code: str) -> str:
        """What the commands of a block print on standard output."""
        return "".join(self._command(command) for command in commands(code))

    def _command(self, command: str) -> str:
        if (reason := untried(command, slow=self.slow)) is not None:
            reason.check(command)
            return ""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("DARLING_")}
        paths = [str(ROOT / name) for name in ("service", "models", "clients/python")]
        run = subprocess.run(
            ["bash", "-ec", self._here(command)],
            cwd=self.folder,
            env={
                **kept,
                "PATH": f"{self.folder}/.venv/bin:{kept['PATH']}",
                "PYTHONPATH": os.pathsep.join(paths),
                "DARLING_URL": self.url,
                "no_proxy": "127.0.0.1",
            },
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        assert run.returncode == 0, f"{command}\n{run.stdout}\n{run.stderr}"
        return run.stdout

    def python(self, code: str) -> str:
        """What a block prints. Its names are there for the page's next block."""
        printed = io.StringIO()
        with trainers(), redirect_stdout(printed):
            exec(compile(self._here(code), "page", "exec"), self.names)
        return printed.getvalue()

    def close(self) -> None:
        """Closes the clients that the page has left open."""
        for value in self.names.values():
            if isinstance(value, Client):
                value.close()

    def _here(self, code: str) -> str:
        for url in URLS:
            code = code.replace(url, self.url)
        return code
