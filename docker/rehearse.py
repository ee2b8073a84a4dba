"""Runs the Dockerfile's own lines without Docker, in a clean folder, and answers a request.

    python docker/rehearse.py        # some minutes: it installs everything anew

The COPY and RUN lines of the build stage are carried out as written, with the image's paths mapped
into the folder; then the CMD is started with the ENV of the image, a mounted classifier and an API
key in a file, as Compose mounts them. The HEALTHCHECK is awaited, a request is answered, the
metrics are read with the key where Prometheus finds it, the STOPSIGNAL ends it, and the list of
packages (SBOM) is held against what is installed. What this cannot show: the base image, the user,
and the copy between stages.
"""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUEST = {
    "groups": [
        {"prompt": "Name a colour.", "rollouts": ["Blue", "Blue.", "Red"], "quality": [1, 1, 1]}
    ]
}
READY_S = 120
KEY = "rehearsal"
CLASSIFIER = ROOT / "models/darling_models/embedded/artefact"
"""Stands for the folder of a classifier that a user mounts."""


@dataclass
class Stage:
    """One FROM of a Dockerfile: (instruction, arguments) lines, continuations joined."""

    base: str
    lines: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        return [arguments for name, arguments in self.lines if name == instruction]


def read_dockerfile(path: Path) -> dict[str, Stage]:
    """The stages by name."""
    stages: dict[str, Stage] = {}
    current = Stage("")
    text = re.sub(r"\\\n\s*", " ", path.read_text())
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, _, arguments = line.strip().partition(" ")
        if name == "FROM":
            base, _, alias = arguments.partition(" AS ")
            current = stages[alias] = Stage(base)
        else:
            current.lines.append((name, arguments.strip()))
    return stages


def environment(stage: Stage, paths: dict[str, str]) -> dict[str, str]:
    """The ENV lines of a stage, as a process would see them."""
    variables: dict[str, str] = {}
    for line in stage.all("ENV"):
        for assignment in shlex.split(line):
            name, _, value = assignment.partition("=")
            value = value.replace("$PATH", os.environ["PATH"])
            for image_path, real in paths.items():
                value = value.replace(image_path, real)
            variables[name] = value
    return variables


def arguments(stage: Stage) -> dict[str, str]:
    """The build arguments of a stage with their defaults."""
    assignments = (line.partition("=") for line in stage.all("ARG"))
    return {name: "".join(shlex.split(value)) for name, _, value in assignments}


def build(stage: Stage, folder: Path, paths: dict[str, str]) -> None:
    """COPY and RUN of the build stage."""
    source = folder / "src"
    source.mkdir()
    variables = {**os.environ, **arguments(stage)}
    for name, line in stage.lines:
        if name == "COPY":
            *files, target = line.split()
            for file in files:
                origin, place = ROOT / file, source / target
                if origin.is_dir():
                    shutil.copytree(
                        origin, place, ignore=shutil.ignore_patterns("__pycache__", ".venv")
                    )
                else:
                    shutil.copy(origin, place)
        elif name == "RUN":
            command = line
            for image_path, real in paths.items():
                command = command.replace(image_path, real)
            print(f"RUN {command}", flush=True)
            subprocess.run(["sh", "-ec", command], cwd=source, env=variables, check=True)


def check_sbom(folder: Path) -> None:
    """The list of packages names all that are installed, and nothing else."""
    listed = json.loads((folder / "darling/sbom.cdx.json").read_text())
    components = {one["name"].lower(): one["version"] for one in listed["components"]}
    names = "import importlib.metadata as m; print(*{d.name for d in m.distributions()})"
    python = folder / "darling/bin/python"
    run = subprocess.run([python, "-c", names], capture_output=True, text=True, check=True)
    if components.keys() != {name.lower() for name in run.stdout.split()}:
        raise SystemExit("the list of packages is not that of the packages which are installed")
    print(f"sbom.cdx.json lists {len(components)} packages", flush=True)


def mount(folder: Path) -> dict[str, str]:
    """A classifier and a key, laid where Compose mounts them; the settings that name them."""
    classifier, key = folder / "classifiers/mine", folder / "secrets/api-key"
    shutil.copytree(CLASSIFIER, classifier)
    key.parent.mkdir()
    key.write_text(f"{KEY}\n")
    return {"DARLING_MODEL": f"embedded:{classifier}", "DARLING_API_KEY_FILE": str(key)}


def serve(stage: Stage, folder: Path, paths: dict[str, str]) -> None:
    """ENV, CMD, HEALTHCHECK, a request, the metrics, STOPSIGNAL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    variables = environment(stage, paths) | {"HOME": str(folder), "DARLING_PORT": port}
    variables |= mount(folder)
    print(f"CMD {stage.all('CMD')[-1]}", flush=True)
    command = json.loads(stage.all("CMD")[-1])
    process = subprocess.Popen(
        [shutil.which(command[0], path=variables["PATH"]) or command[0], *command[1:]],
        env=variables,
        cwd=folder,
    )
    try:
        health = stage.all("HEALTHCHECK")[-1].partition("CMD ")[2].replace(":8000", f":{port}")
        _await_health(json.loads(health), variables, process)
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/rewards",
            data=json.dumps(REQUEST).encode(),
            headers={"content-type": "application/json", "authorization": f"Bearer {KEY}"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        print(json.dumps(answer), flush=True)
        _scrape(port, folder)
        if len(answer["groups"][0]["rewards"]) != 3:
            raise SystemExit("the service did not answer the group")
    finally:
        process.send_signal(getattr(signal, stage.all("STOPSIGNAL")[-1]))
    if (status := process.wait(timeout=10)) != 0:
        raise SystemExit(f"the service ended with status {status}")


def _scrape(port: str, folder: Path) -> None:
    """Reads the metrics with the key of the file that Prometheus's configuration names."""
    configuration = (ROOT / "docker/prometheus/prometheus.key.yaml").read_text()
    (file,) = re.findall(r"credentials_file: /run/(\S+)", configuration)
    headers = {"authorization": f"Bearer {(folder / file).read_text().strip()}"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers=headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        if b"darling_groups_total 1" not in response.read():
            raise SystemExit("the metrics do not count the group")


def _await_health(
    command: list[str], variables: dict[str, str], process: subprocess.Popen[bytes]
) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit("the service ended before it was healthy")
        if subprocess.run(command, env=variables, capture_output=True).returncode == 0:
            return
        time.sleep(0.5)
    raise SystemExit("the service was not healthy in time")


def main() -> None:
    stages = read_dockerfile(ROOT / "Dockerfile")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        paths = {f"/opt/{name}": str(folder / name) for name in ("darling", "sbom")}
        build(stages["build"], folder, paths)
        check_sbom(folder)
        extras = arguments(stages["build"])["EXTRAS"]
        print(f"the image has the extras {extras}", flush=True)
        subprocess.run(
            [folder / "darling/bin/python", "-c", "import math_verify, redis"], check=True
        )
        serve(stages["runtime"], folder, paths)
    print("the Dockerfile's lines install, start, answer and stop")


if __name__ == "__main__":
    main()
