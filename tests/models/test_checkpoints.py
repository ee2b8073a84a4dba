"""Where a checkpoint is looked for: a mistyped path is said at once, and the hub is asked once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from darling_models import checkpoints
from darling_models.checkpoints import Checkpoint, locate
from darling_models.errors import ModelError
from darling_models.registry import load

KINDS = ["cross-encoder", "embeddings", "darling-qwen3", "noveltybench-deberta"]
PATHS = [
    "./modles/x",
    "../no-such-model",
    "/nowhere/x",
    "~/nowhere-at-all",
    "a/b/c",
    "modles/x/",
    "a b/c",
    "a//b",
]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids that were looked for on a hub that does not answer."""
    asked: list[str] = []

    def silence(name: str) -> str:
        asked.append(name)
        return "nobody can reach the Hugging Face hub (no route)"

    monkeypatch.setattr(checkpoints, "_hub_silence", silence)
    return asked


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_is_no_folder_is_never_asked_of_the_hub(hub: list[str], path: str) -> None:
    for kind in KINDS:
        with pytest.raises(ModelError, match="there is no folder") as refused:
            load(f"{kind}:{path}")
        assert repr(path) in str(refused.value)
        assert "hub" not in str(refused.value).lower()
    assert hub == []


@pytest.mark.parametrize("name", ["modles/x", "modles", "owner/model.v1"])
def test_what_may_be_an_id_is_asked_of_the_hub_once(hub: list[str], name: str) -> None:
    for kind in KINDS:
        with pytest.raises(
            ModelError, match=rf"^there is no folder '{name}' .*cannot|nobody"
        ) as no:
            load(f"{kind}:{name}")
        assert "check the path" in str(no.value)
    assert hub == [name] * len(KINDS)


def test_a_file_is_no_checkpoint(hub: list[str], tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ModelError, match=r"is a file; give the folder"):
        load(f"cross-encoder:{tmp_path / 'model.safetensors'}")


def test_the_home_folder_may_be_written_short(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "model").mkdir()
    assert locate("~/model").source == str(tmp_path / "model")


def test_an_id_in_the_cache_needs_no_hub(
    hub: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: str(tmp_path))
    found = locate("owner/model")
    assert (found.source, found.cached_only) == ("owner/model", True)


def test_what_the_hub_lacks_is_said_after_the_folder(tmp_path: Path) -> None:
    error = ValueError("no such\n model")
    missing = Checkpoint("a/b", cached_only=False, missing="there is no folder 'a/b'")
    expected = "there is no folder 'a/b', and the Hugging Face hub gives no tokenizer of that name"
    assert str(missing.failure("a tokenizer", error)) == f"{expected}: no such model"


def test_serve_says_it_in_one_line_without_waiting(tmp_path: Path) -> None:
    """The hub of this process is a closed port, as without a network."""
    environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "darling_service.cli", "serve", "--port", "0"]
    run = subprocess.run(
        [*command, "--model", "embeddings:modles/x"],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        cwd=tmp_path,
    )
    assert run.returncode == 2
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith(f"darling-reward serve: there is no folder 'modles/x' below {tmp_path}")
    assert "Traceback" not in run.stderr
