"""The trainers' virtual environments, one per dependency set.

    python -m tests.trainers.environments

They live in `.venv-trainers/`, each with the client and nothing of the service. One that cannot be
installed keeps pip's last words in `failed`, which its tests give as their reason to skip.
"""

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".venv-trainers"
CLIENT = ROOT / "clients/python"

TORCH = ("torch==2.13.0",)
"""Installed before the rest: a trainer's own choice brings gigabytes of CUDA."""


@dataclass(frozen=True)
class Environment:
    name: str
    steps: tuple[tuple[str, ...], ...]
    """Arguments of one `pip install` each."""

    @property
    def folder(self) -> Path:
        return FOLDER / self.name

    @property
    def python(self) -> Path:
        return self.folder / "bin/python"

    @property
    def failed(self) -> Path:
        return self.folder / "failed"

    def install(self) -> None:
        """Makes what is missing; what was made from the same steps stands."""
        stamp = self.folder / "installed"
        want = hashlib.sha256(repr((self.steps, sys.version)).encode()).hexdigest()
        if stamp.exists() and stamp.read_text() == want:
            return
        if not self.python.exists():
            subprocess.run([sys.executable, "-m", "venv", self.folder], check=True)
        self.failed.unlink(missing_ok=True)
        for step in (*self.steps, ("--editable", str(CLIENT))):
            command = [str(self.python), "-m", "pip", "install", "--quiet", *step]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
                self.failed.write_text(f"pip install {' '.join(step)}: {' '.join(said)}")
                return
        stamp.write_text(want)


ENVIRONMENTS = {
    environment.name: environment
    for environment in (
        Environment(
            "trl",  # and OpenRLHF, whose own list pins flash-attn and deepspeed
            (
                TORCH,
                ("trl==1.16.0", "aiohttp", "pylatexenc", "sympy"),
                ("--no-deps", "openrlhf==0.11.2"),
            ),
        ),
        Environment(
            "verl",  # and AReaL, whose own list pins an older torch
            (
                TORCH,
                (
                    "packaging",
                    "ray[default]",
                    "tensordict>=0.8,<=0.10,!=0.9.0",
                    "transformers>=5.5.3,<5.11,!=5.6.0",
                    "omegaconf",
                    "hydra-core",
                    "datasets",
                    "pandas",
                    "codetiming",
                    "aiohttp",
                ),
                ("--no-deps", "verl==0.9.1"),
                (
                    *("colorlog", "tenacity", "flask", "torchdata", "lark", "uvloop", "pyyaml"),
                    *("numba", "pillow", "orjson", "einops", "aiofiles", "openai"),
                ),
                ("--no-deps", "areal==1.0.4"),
            ),
        ),
        Environment("swift", (TORCH, ("ms-swift==4.6.0",))),
        Environment(
            "light",  # verifiers and skyrl-gym need no torch
            (
                ("verifiers==0.3.0",),
                ("pandas", "requests", "func_timeout", "omegaconf"),
                ("--no-deps", "skyrl-gym==0.4.0"),
            ),
        ),
    )
}


def main() -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(Environment.install, ENVIRONMENTS.values()))
    for environment in ENVIRONMENTS.values():
        state = environment.failed.read_text() if environment.failed.exists() else "ready"
        print(f"{os.path.relpath(environment.folder, ROOT)}: {state}", flush=True)


if __name__ == "__main__":
    main()
