"""A checkpoint's own code never runs: neither its Python files nor what a pickle calls."""

import ast
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from darling_models.cross_encoder.loading import load_model, load_tokenizer
from darling_models.embeddings import Embeddings
from darling_models.errors import ModelError
from darling_models.reward_model import RewardModel
from darling_models.training.cross_encoder.command import CrossEncoderRecipe, _begin
from tests.checkpoints import bert, sentence_encoder

ROOT = Path(__file__).parent.parent.parent


class Evil:
    """An object whose pickle, when it is read, writes a file."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> Any:
        return (_write, (str(self._mark),))


def _write(mark: str) -> None:
    Path(mark).touch()


def begin_training(path: str) -> None:
    _begin(path, CrossEncoderRecipe(), seed=0)


LOADERS: dict[str, Callable[[str], object]] = {
    "cross-encoder": lambda path: load_model(path, "cpu", None),
    "tokenizer": load_tokenizer,
    "reward-model": RewardModel,
    "embeddings": Embeddings,
    "train-cross-encoder": begin_training,
}
"""Whatever loads a checkpoint that a user names."""


def checkpoint(name: str, folder: Path) -> Path:
    if name == "embeddings":
        sentence_encoder(folder, "bert")
    else:
        bert(folder)
    return folder


def with_code(folder: Path, mark: Path) -> None:
    """Python files that transformers and sentence-transformers would import from a folder."""
    code = f"from pathlib import Path\nPath({str(mark)!r}).touch()\nclass Evil: pass\n"
    (folder / "evil.py").write_text(code)
    for file in folder.rglob("config.json"):
        config = json.loads(file.read_text())
        names = ("AutoConfig", "AutoModel", "AutoModelForSequenceClassification")
        config["auto_map"] = dict.fromkeys(names, "evil.Evil")
        config["model_type"] = "evil"
        file.write_text(json.dumps(config))
        (file.parent / "evil.py").write_text(code)
    for file in folder.rglob("tokenizer_config.json"):
        config = json.loads(file.read_text())
        config["auto_map"] = {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}
        config["tokenizer_class"] = "Evil"
        file.write_text(json.dumps(config))
        (file.parent / "evil.py").write_text(code)
    modules = folder / "modules.json"
    if modules.exists():
        listed = json.loads(modules.read_text())
        modules.write_text(json.dumps([{**module, "type": "evil.Evil"} for module in listed]))


def with_pickle(folder: Path, mark: Path) -> None:
    """Weights in PyTorch's format, in its old form and its new one."""
    for file in folder.rglob("model.safetensors"):
        file.unlink()
        torch.save({"bert.embeddings": Evil(mark)}, file.with_name("pytorch_model.bin"))


def with_old_pickle(folder: Path, mark: Path) -> None:
    for file in folder.rglob("model.safetensors"):
        file.unlink()
        file.with_name("pytorch_model.bin").write_bytes(pickle.dumps(Evil(mark)))


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("spoil", [with_code, with_pickle, with_old_pickle])
def test_no_code_of_a_checkpoint_runs(
    name: str, spoil: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    folder, mark = checkpoint(name, tmp_path / "checkpoint"), tmp_path / "mark"
    LOADERS[name](str(folder))
    spoil(folder, mark)
    if name == "tokenizer" and spoil is not with_code:
        LOADERS[name](str(folder))  # it has no weights
    else:
        with pytest.raises(ModelError) as refused:
            LOADERS[name](str(folder))
        assert "\n" not in str(refused.value)
    assert not mark.exists()


def test_the_hostile_files_would_write_their_mark(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Evil(tmp_path / "mark")))
    assert (tmp_path / "mark").exists()


UNSAFE_MODULES = frozenset(
    {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve", "cloudpickle"}
)
LOADING = frozenset({"from_pretrained", "SentenceTransformer"})
OWN_FOLDERS = frozenset({"models/darling_models/embedded/encoder.py"})
"""Files that load only what this project has written, by a class without code of a checkpoint."""


def sources() -> list[Path]:
    return [file for folder in ("service", "models") for file in (ROOT / folder).rglob("*.py")]


def test_nothing_is_unpickled_and_no_loader_trusts_a_checkpoints_code() -> None:
    calls = 0
    for file in sources():
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):
            at = f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import):
                assert UNSAFE_MODULES.isdisjoint(alias.name for alias in node.names), at
            if isinstance(node, ast.ImportFrom):
                assert node.module not in UNSAFE_MODULES, at
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            options = {word.arg: ast.unparse(word.value) for word in node.keywords}
            assert options.get("allow_pickle", "False") == "False", at
            assert (name, getattr(getattr(node.func, "value", None), "id", "")) != ("load", "torch")
            if name in LOADING and str(file.relative_to(ROOT)) not in OWN_FOLDERS:
                assert options.get("trust_remote_code") == "False", at
                calls += 1
    assert calls >= 4, "the loaders are found"
