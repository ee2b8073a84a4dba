"""What a machine's memory says of a checkpoint before it is loaded."""

from pathlib import Path

import pytest

from darling_models.errors import ModelError
from darling_models.registry import load
from darling_models.runtime import memory
from darling_models.runtime.memory import free_bytes, require_memory

TIB = 2**40


def weights(folder: Path, name: str, nbytes: int) -> None:
    with (folder / name).open("wb") as file:
        file.truncate(nbytes)  # sparse: it takes no room on the disk


@pytest.mark.parametrize("kind", ["cross-encoder", "embeddings"])
def test_a_checkpoint_bigger_than_the_memory_is_refused_before_it_is_loaded(
    tmp_path: Path, kind: str
) -> None:
    weights(tmp_path, "model-00001-of-00002.safetensors", 2 * TIB)
    weights(tmp_path, "model-00002-of-00002.safetensors", 1 * TIB)
    with pytest.raises(ModelError, match=r"not enough memory: the weights in .* take 3072.0 GiB"):
        load(f"{kind}:{tmp_path}")


def test_weights_of_the_second_kind_count_where_there_are_none_of_the_first(tmp_path: Path) -> None:
    weights(tmp_path, "pytorch_model.bin", 2 * TIB)
    with pytest.raises(ModelError, match=r"take 2048.0 GiB"):
        require_memory(str(tmp_path), "cpu")
    weights(tmp_path, "model.safetensors", 1000)
    require_memory(str(tmp_path), "cpu")


def test_what_cannot_be_told_is_not_refused(tmp_path: Path) -> None:
    weights(tmp_path, "model.safetensors", 3 * TIB)
    require_memory(str(tmp_path), "cuda")
    require_memory("an-id/of-the-hub", "cpu")


def test_a_container_has_less_than_its_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "CONTROL_GROUP", tmp_path)
    of_machine = free_bytes()
    assert of_machine is not None
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("3000\n")
    (tmp_path / "memory.stat").write_text("anon 2500\ninactive_file 400\n")
    assert free_bytes() == 2400
    (tmp_path / "memory.max").write_text("max\n")
    assert free_bytes() == pytest.approx(of_machine, rel=0.5)
    monkeypatch.setattr(memory, "MEMORY", tmp_path / "nothing")
    assert free_bytes() is None
