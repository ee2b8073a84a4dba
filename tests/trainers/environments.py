"""The trainers' virtual environments, one per dependency set.

    python -m tests.trainers.environments

They live in `.venv-trainers/`, each with the client and nothing of the service. One that cannot be
installed keeps uv's last words in `failed`, which its tests give as their reason to skip. uv, as it
unpacks torch once and links it into each environment.
"""

import ast
import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".venv-trainers"
CLIENT = ROOT / "clients/python"

TORCH = "torch==2.13.0"
"""Pinned: a trainer's own choice brings gigabytes of CUDA."""

UV_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_EXTRA_INDEX_URL",
    "find-links": "UV_FIND_LINKS",
    "constraint": "UV_CONSTRAINT",
    "cert": "SSL_CERT_FILE",
    "default-timeout": "UV_HTTP_TIMEOUT",
}


@dataclass(frozen=True)
class Environment:
    name: str
    steps: tuple[tuple[str, ...], ...]
    """Arguments of one `uv pip install` each."""

    @property
    def folder(self) -> Path:
        return FOLDER / self.name

    @property
    def python(self) -> Path:
        return self.folder / "bin/python"

    @property
    def failed(self) -> Path:
        return self.folder / "failed"

    def install(self, settings: Mapping[str, str]) -> None:
        """Makes what is missing; what was made from the same steps stands."""
        stamp = self.folder / "installed"
        want = hashlib.sha256(repr((self.steps, sys.version)).encode()).hexdigest()
        if stamp.exists() and stamp.read_text() == want:
            return
        stamp.unlink(missing_ok=True)
        if not self.python.exists():
            _uv(settings, "venv", "--python", sys.executable, str(self.folder)).check_returncode()
        self.failed.unlink(missing_ok=True)
        for step in (*self.steps, ("--editable", str(CLIENT))):
            done = _uv(settings, "pip", "install", "--python", str(self.python), *step)
            if done.returncode != 0:
                self.failed.write_text(f"uv pip install {' '.join(step)}: {done.stderr.strip()}")
                return
        stamp.write_text(want)


def _uv(settings: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "uv", *arguments, "--quiet"]
    return subprocess.run(command, env=settings, stderr=subprocess.PIPE, text=True)


def uv_settings(pip: str, given: Mapping[str, str]) -> dict[str, str]:
    """uv's environment variables for what `pip config list` says, as uv does not read pip's.

    Those `given` stand. pip takes the best version of all its indexes, uv that of the first.
    """
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in pip.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.rpartition(".")
        if section in sections and option in UV_NAMES:
            sections[section][option] = ast.literal_eval(value)
    found = {option: value for said in sections.values() for option, value in said.items()}
    settings = {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    for option, value in found.items():
        between = "," if option == "find-links" else " "
        settings[UV_NAMES[option]] = between.join(value.split())
    return {**settings, **given}


def installer_settings() -> dict[str, str]:
    """Environment variables for uv: this process's, and pip's settings as uv takes them."""
    pip = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(pip, check=True, stdout=subprocess.PIPE, text=True).stdout
    return uv_settings(listed, os.environ)


ENVIRONMENTS = {
    environment.name: environment
    for environment in (
        Environment(
            # and OpenRLHF and tinker-cookbook, whose own lists pin flash-attn and deepspeed, and
            # packages that no index has
            "trl",
            (
                (
                    *(TORCH, "trl==1.16.0", "aiohttp", "pylatexenc", "sympy"),
                    *("tinker==0.38.0", "tml-renderers==0.2.1", "chz", "pillow", "blobfile"),
                ),
                ("--no-deps", "openrlhf==0.11.2", "tinker-cookbook==0.6.1"),
            ),
        ),
        Environment(
            "verl",  # and AReaL and SkyRL, whose own lists pin an older torch, flash-attn and vllm
            (
                (
                    *(TORCH, "packaging", "ray[default]", "tensordict>=0.8,<=0.10,!=0.9.0"),
                    *("transformers>=5.5.3,<5.11,!=5.6.0", "omegaconf", "hydra-core", "datasets"),
                    *("pandas", "codetiming", "aiohttp", "jaxtyping", "loguru", "func_timeout"),
                    *("colorlog", "tenacity", "flask", "torchdata", "lark", "uvloop", "pyyaml"),
                    *("numba", "pillow", "orjson", "einops", "aiofiles", "openai", "requests"),
                ),
                ("--no-deps", "verl==0.9.1", "areal==1.0.4", "skyrl==0.3.0", "skyrl-gym==0.4.0"),
            ),
        ),
        Environment("swift", ((TORCH, "ms-swift==4.6.0"),)),
        Environment("light", (("verifiers==0.3.1", "requests"),)),  # no torch
        Environment("v1", (("verifiers==0.4.0", "openpipe-art==0.5.18"),)),  # no torch
    )
}


def main() -> None:
    settings = installer_settings()
    for environment in ENVIRONMENTS.values():
        environment.install(settings)
        state = environment.failed.read_text() if environment.failed.exists() else "ready"
        print(f"{os.path.relpath(environment.folder, ROOT)}: {state}", flush=True)


if __name__ == "__main__":
    main()
