"""Fine-tuning a checkpoint on pairs, through the command line, and serving what comes out."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertForSequenceClassification

from darling_models.protocol import all_pairs, classify
from darling_models.registry import load
from darling_service.cli.main import main
from tests.checkpoints import SIZE, bert_tokenizer, deberta, modernbert, qwen3

pytestmark = pytest.mark.processor

BRACKETS = ["--template", "[CLS]{a}[SEP]{b}[SEP]"]
TURNS = ["--template", "<|im_start|>{a}<|im_end|>{b}<|im_end|>"]
Make = Callable[[Path], Any]


def bert(folder: Path) -> Any:
    """Tells the two texts apart by segment ids."""
    torch.manual_seed(5)
    tokenizer = bert_tokenizer(folder)
    model: Any = BertForSequenceClassification(BertConfig(vocab_size=len(tokenizer), **SIZE))
    model.save_pretrained(folder)
    return model


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    rows, groups = [], []
    for k in range(40):
        same = k % 2
        rows.append(
            {
                "prompt": f"Name a colour ({k}).",
                "generation_0": f"red {k}",
                "generation_1": f"so red {k}" if same else f"blue {k + 3}",
                "similar": same,
                "labeler": "one",
            }
        )
    for k in range(6):
        texts = [f"red {k}", f"a red {k}", f"green {k}"]
        groups.append({"prompt": f"A colour, {k}", "generations": texts, "partition": [0, 0, 1]})
    pairs_file, groups_file = tmp_path / "pairs.jsonl", tmp_path / "groups.jsonl"
    pairs_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    groups_file.write_text("".join(json.dumps(group) + "\n" for group in groups))
    return pairs_file, groups_file


def command(base: Path, files: tuple[Path, Path], out: Path, *options: str) -> list[str]:
    pairs_file, groups_file = map(str, files)
    return [
        *("train-cross-encoder", "--base", str(base), "--pairs", pairs_file),
        *(
            "--groups",
            groups_file,
            "--out",
            str(out),
            "--max-tokens-per-text",
            "24",
            "--epochs",
            "1",
        ),
        *options,
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "options"),
    [
        (deberta, BRACKETS),
        (modernbert, [*BRACKETS, "--lora", "2"]),
        (bert, [*BRACKETS, "--lora", "2"]),
        (qwen3, TURNS),
    ],
)
def test_any_architecture_is_tuned_and_served(
    tmp_path: Path, files: tuple[Path, Path], make: Make, options: list[str]
) -> None:
    make(tmp_path / "base")
    out = tmp_path / "out"
    assert main(command(tmp_path / "base", files, out, *options)) == 0
    assert oct((out / "model.safetensors").stat().st_mode & 0o777) == "0o644"
    before, after = (load_file(f / "model.safetensors") for f in (tmp_path / "base", out))
    shared = [name for name in before if name in after and after[name].ndim == 2]
    moved = [name for name in shared if not torch.equal(before[name], after[name])]
    assert len(moved) > len(shared) / 2, "most matrices learn"
    served = load(f"cross-encoder:{out}")
    probabilities = [
        classify(served, "", texts, all_pairs(2))[0] for texts in (["a", "b"], ["b", "a"])
    ]
    assert probabilities[0] == probabilities[1]


@pytest.mark.slow
def test_serving_reads_pairs_as_training_did(tmp_path: Path, files: tuple[Path, Path]) -> None:
    """Colours are told apart after some epochs, by a model whose segment ids weigh heavily."""
    bert(tmp_path / "base")
    options = [*BRACKETS, "--lora", "8", "--epochs", "60", "--learning-rate", "3e-3"]
    assert main(command(tmp_path / "base", files, tmp_path / "out", *options)) == 0
    served = load(f"cross-encoder:{tmp_path / 'out'}")
    same = classify(served, "", ["red 50", "so red 50"], all_pairs(2))[0]
    different = classify(served, "", ["red 50", "blue 53"], all_pairs(2))[0]
    assert same > different + 0.25


@pytest.mark.heavy
def test_finished_work_is_not_done_again_and_other_choices_are_refused(
    tmp_path: Path, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    bert(tmp_path / "base")
    work = ["--work", str(tmp_path / "work"), *BRACKETS]
    for name in ("first", "second"):
        assert main(command(tmp_path / "base", files, tmp_path / name, *work)) == 0
    first, second = (load_file(tmp_path / n / "model.safetensors") for n in ("first", "second"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    again = command(tmp_path / "base", files, tmp_path / "third", *work, "--learning-rate", "1e-3")
    assert main(again) == 2
    assert "begun with other recipe" in capsys.readouterr().err


def test_too_little_data_is_refused(
    tmp_path: Path, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = files[0].read_text().splitlines(keepends=True)
    files[0].write_text("".join(lines[:8]))
    assert main(command(tmp_path, files, tmp_path / "out")) == 2
    assert "are too few to train on" in capsys.readouterr().err


def test_a_line_without_a_field_is_refused(
    tmp_path: Path, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    files[0].write_text('{"prompt": "Name a colour."}\n')
    assert main(command(tmp_path, files, tmp_path / "out")) == 2
    assert "line 1: generation_0: missing; add it" in capsys.readouterr().err
