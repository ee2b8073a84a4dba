"""What helm makes of the chart, and Kubernetes' own schemas for it."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import jsonschema
import yaml
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.deployment.tools import HELM, SCHEMAS

CHART = Path(__file__).parents[2] / "docker/helm/darling-reward"
KEY = {"apiKey": {"secret": "darling-key"}}
Manifest = dict[str, Any]
CUSTOM = ("ServiceMonitor", "PrometheusRule")
"""Kinds of the Prometheus operator, of which Kubernetes has no schema."""


def helm(*words: str | Path, values: Mapping[str, Any] = KEY) -> subprocess.CompletedProcess[str]:
    """A command on the chart, with values on its standard input."""
    command = [str(HELM), words[0], *map(str, words[1:]), "--values", "-"]
    given = json.dumps(values)
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=60)


def rendered(values: Mapping[str, Any] = KEY, *more: str | Path) -> list[Manifest]:
    """The manifests for a release `reward` in the namespace `training`."""
    run = helm("template", "reward", CHART, "--namespace", "training", *more, values=values)
    assert run.returncode == 0, run.stderr
    return [manifest for manifest in yaml.safe_load_all(run.stdout) if manifest]


def refusal(values: Mapping[str, Any]) -> str:
    """What helm says of values that it does not take."""
    run = helm("template", "reward", CHART, values=values)
    assert run.returncode != 0, "the values were taken"
    return run.stderr


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    """The manifests of a kind by name."""
    return {m["metadata"]["name"]: m for m in manifests if m["kind"] == kind}


def faults(manifest: Manifest, release: str) -> Iterator[str]:
    """Where a manifest differs from the schema of its kind in a release of Kubernetes."""
    group, _, version = manifest["apiVersion"].rpartition("/")
    parts = [manifest["kind"].lower(), *filter(None, [group.split(".")[0]]), version]
    for error in _validator(release, "-".join(parts)).iter_errors(manifest):
        where = f"{manifest['kind']} {manifest['metadata']['name']}{error.json_path[1:]}"
        yield f"{where} in Kubernetes {release}: {error.message}"


@cache
def _validator(release: str, name: str) -> jsonschema.Draft202012Validator:
    folder = SCHEMAS / f"v{release}-local-strict"
    schema = json.loads((folder / f"{name}.json").read_text())
    return jsonschema.Draft202012Validator(schema, registry=_definitions(release))


@cache
def _definitions(release: str) -> Registry[Any]:
    content = json.loads((SCHEMAS / f"v{release}-local-strict/_definitions.json").read_text())
    resource = Resource.from_contents(content, default_specification=DRAFT202012)
    return cast("Registry[Any]", Registry().with_resource("/api/_definitions.json", resource))
