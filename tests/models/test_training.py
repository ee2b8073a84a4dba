"""Training the embedded classifier: what is fitted, that it repeats itself, that it goes on."""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from darling_models.embedded.classifier import ARTEFACT, Embedded
from darling_models.embedded.encoder import TextEncoder, TokenizedText, wheel_weights
from darling_models.embedded.head import TUNED, PairHead, load_tuned
from darling_models.errors import ModelError
from darling_models.labelled_data import HumanPair, TeacherGroup
from darling_models.protocol import all_pairs, classify
from darling_models.training.encoder.tuning import EVALUATIONS, Tuned, TuningRecipe, apart, tune
from darling_models.training.head.command import train
from darling_models.training.head.featurise import frozen_lexicon
from darling_models.training.head.fit import HeadRecipe, operating_points, platt
from darling_models.training.labelled_groups import LabelledGroup, Noise, of_groups, of_pairs
from darling_models.training.sources import read_recipe, user_sources
from darling_models.training.work_folder import WorkFolder
from darling_service.cli.main import main
from tests.checkpoints import text_encoder
from tests.texts import essay

pytestmark = pytest.mark.processor

PROMPT = "What should a small town do with its old railway station?"
TINY = TuningRecipe(layers=1, steps=8, groups=3)
SHARES = {0: 0.5, 1: 0.5}


def test_platt_scaling_recovers_a_known_calibration() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=20_000)
    similar = random.random(20_000) < 1 / (1 + np.exp(-(2 * logits - 0.5)))
    slope, intercept = platt(logits, similar)
    assert slope == pytest.approx(2, abs=0.1)
    assert intercept == pytest.approx(-0.5, abs=0.1)


def test_operating_points_weigh_errors_as_stated() -> None:
    """900 different pairs at .2 and 100 similar at .4: any cut between is free of error."""
    probabilities = np.concatenate([np.full(900, 0.2), np.full(100, 0.4)])
    for threshold in operating_points(probabilities, np.arange(1000) >= 900).values():
        assert 0.2 < threshold < 0.4


def test_operating_points_are_ordered_where_errors_must_be_traded() -> None:
    random = np.random.default_rng(0)
    similar = random.random(5000) < 0.33
    logits = random.normal(size=5000) + 1.5 * similar - 1
    found = operating_points(1 / (1 + np.exp(-logits)), similar)
    assert found["recall"] < found["balanced"] < found["precision"]


def people(count: int) -> list[HumanPair]:
    pairs = []
    for k in range(count):
        a, b = k % 6, (k % 6 if k % 2 else (k + 1) % 6)
        texts = essay(a, 25 + k), essay(b, 30 + k)
        pairs.append(HumanPair(f"{PROMPT} ({k})", *texts, a == b, f"labeler {k // 30}"))
    return pairs


def teacher(count: int) -> list[TeacherGroup]:
    groups = []
    for k in range(count):
        answers = [k % 6, k % 6, (k + 1) % 6, (k + 2) % 6]
        texts = tuple(essay(a, 10 + 3 * i + k) for i, a in enumerate(answers))
        groups.append(TeacherGroup(f"{PROMPT} [{k}]", texts, np.asarray([0, 0, 1, 2])))
    return groups


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Small made-up data in the real formats."""
    pairs_file, groups_file = tmp_path / "pairs.jsonl", tmp_path / "groups.jsonl"
    rows: list[dict[str, object]] = [
        {
            "prompt": pair.prompt,
            "generation_0": pair.a,
            "generation_1": pair.b,
            "similar": int(pair.similar),
            "labeler": pair.labeler,
        }
        for pair in people(60)
    ]
    pairs_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows = [
        {"prompt": g.prompt, "generations": g.texts, "partition": g.partition.tolist()}
        for g in teacher(10)
    ]
    groups_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return pairs_file, groups_file


def probability(classifier: Embedded, a: str, b: str) -> float:
    return float(classify(classifier, PROMPT, [a, b], all_pairs(2))[0])


@pytest.fixture
def tiny_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In place of MiniLM, for training and for serving."""
    folder = tmp_path / "encoder"
    text_encoder(folder)
    for module in ("training.head.command", "embedded.classifier"):
        monkeypatch.setattr(f"darling_models.{module}.wheel_weights", lambda: folder)
    return folder


@pytest.mark.heavy
@pytest.mark.parametrize(
    "tuning",
    [None, pytest.param(replace(TINY, steps=3), marks=pytest.mark.slow)],
    ids=["frozen", "tuned"],
)
def test_training_learns_and_repeats_itself(
    tmp_path: Path, files: tuple[Path, Path], tuning: TuningRecipe | None
) -> None:
    """Twice from the beginning: the same files, and better than chance."""
    head = HeadRecipe(seeds=1, hidden=32, steps=60)
    sources = user_sources(*files)
    for name in ("first", "second"):
        train(sources, Path(), tmp_path / name, head=head, tuning=tuning, folds=2)
    names = {path.name for path in (tmp_path / "first").iterdir()}
    tuned = (tmp_path / "first" / TUNED).read_bytes()
    assert (tuned == (ARTEFACT / TUNED).read_bytes()) == (tuning is None)
    assert {"head.safetensors", "head.json", "metrics.json", "reliability.png"} < names
    for name in names - {"reliability.png"}:
        first, second = (tmp_path / folder / name for folder in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
    figures = json.loads((tmp_path / "first" / "metrics.json").read_text())["figures"]
    assert figures["pairs, 2-fold by prompt"]["auc"]["low"] > 0.6
    trained = Embedded(artefact=tmp_path / "first")
    assert trained.info.revision != Embedded().info.revision
    same, other = (probability(trained, essay(0, 40), essay(a, 50)) for a in (0, 3))
    assert same > other


@pytest.mark.heavy
def test_work_begun_with_other_choices_is_refused(tmp_path: Path) -> None:
    groups = labelled()
    place = WorkFolder(wheel_weights(), tmp_path, seed=0)
    for _ in range(2):
        place.begin(groups, SHARES, TINY, folds=10)
    first = groups[0]
    relabelled = [replace(first, target=1 - first.target), *groups[1:]]
    elsewhere = replace(place, seed=1)
    published = Tuned({}, PairHead.load(ARTEFACT).lexicon)
    tuned = replace(published, layers=load_tuned(ARTEFACT))
    lexicon = replace(published.lexicon, salience=published.lexicon.salience + 1)
    for where, rows, shares, recipe, folds, changed in (
        (place, relabelled, SHARES, TINY, 10, "labels"),
        (place, groups[1:], SHARES, TINY, 10, "rows, labels"),
        (place, groups, {0: 0.1, 1: 0.5}, TINY, 10, "shares"),
        (place, groups, SHARES, replace(TINY, groups=4), 10, "recipe"),
        (place, groups, SHARES, TINY, 5, "folds"),
        (elsewhere, groups, SHARES, TINY, 10, "seed"),
    ):
        with pytest.raises(ValueError, match=f"begun with other {changed}; give another folder"):
            where.begin(rows, shares, recipe, folds)
    frozen = replace(place, folder=tmp_path / "frozen")
    for rows in (groups, relabelled):  # features do not depend on labels
        frozen.begin(rows, SHARES, None, 10, published)
    for begun, changed in ((tuned, "encoder"), (replace(published, lexicon=lexicon), "lexicon")):
        with pytest.raises(ValueError, match=f"begun with other {changed}; give another folder"):
            frozen.begin(groups, SHARES, None, 10, begun)


def test_all_layers_are_tuned_served_and_taken_up_again(
    tmp_path: Path,
    files: tuple[Path, Path],
    tiny_encoder: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A tiny encoder: its layers change, `--encoder DIR` reads by them, and says what they saw."""
    head = HeadRecipe(seeds=1, hidden=8, steps=5)
    first = tmp_path / "first"
    tuning = TuningRecipe(layers=2, steps=2, groups=2)
    work = tmp_path / "work"
    train(user_sources(*files), Path(), first, work, head=head, tuning=tuning, folds=2)
    layers = load_tuned(first)
    published = load_file(tiny_encoder / "model.safetensors")
    assert {name.split(".")[2] for name in layers} == {"0", "1"}
    assert any(not torch.equal(layers[name], published[name].half()) for name in layers)
    assert {"fold-0", "fold-1", "all"} < {path.name for path in work.iterdir()}
    texts = ["the red door", "a blue door"]
    served = classify(Embedded(artefact=first), PROMPT, texts, all_pairs(2))
    assert 0 < served[0] < 1
    assert "tuned on about" not in caplog.text

    quick = partial(train, head=head)
    monkeypatch.setattr("darling_models.training.head.command.train", quick)
    pairs_file, _ = map(str, files)
    options = ["--folds", "2", "--encoder", str(first), "--out", str(tmp_path / "second")]
    assert main(["train", "--pairs", pairs_file, *options]) == 0
    again = load_tuned(tmp_path / "second")
    assert all(torch.equal(again[name], layers[name]) for name in layers)
    before, after = (PairHead.load(folder) for folder in (first, tmp_path / "second"))
    np.testing.assert_array_equal(after.lexicon.projection, before.lexicon.projection)
    assert not np.array_equal(after.network.hidden_weight, before.network.hidden_weight)
    assert "tuned on about 100 % of these prompts" in caplog.text
    assert "about 100% of these prompts" in (tmp_path / "second" / "MODEL_CARD.md").read_text()


RECIPE = """
[[source]]
groups = "groups.jsonl"
share = 0.5
calibration = 1.0
[[source]]
pairs = "pairs.jsonl"
share = 0.3
wrong_same = 0.15
calibration = 0.5
[[source]]
made_up = "wrapped"
share = 0.1
[[source]]
made_up = "tool_calls"
share = 0.1
max_pairs = 40
"""


def test_a_recipe_is_trained_by_one_command(
    tmp_path: Path, files: tuple[Path, Path], tiny_encoder: Path
) -> None:
    """Careful groups, behaviours, people's pairs and made-up ones, with figures of each file."""
    behaviours = tmp_path / "behaviours.jsonl"
    rows = [
        {"id": f"b{k}", "category": ("short", "long")[k % 2], "prompt": f"Colour {k}?"}
        | {"rollouts": ["Red.", "It is red.", "Blue."], "classes": [0, 0, 1]}
        for k in range(10)
    ]
    behaviours.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = tmp_path / "recipe.toml"
    more = '[[source]]\ngroups = "behaviours.jsonl"\nshare = 0.2\ncalibration = 0.2\n'
    recipe.write_text(RECIPE + more)
    head = HeadRecipe(seeds=1, hidden=8, steps=20)
    out = tmp_path / "out"
    layers = save_tiny_head(tmp_path / "begun", files, head)
    train(read_recipe(recipe), tmp_path, out, head=head, folds=2, encoder=layers)
    stored = json.loads((out / "metrics.json").read_text())
    names = {"groups", "pairs", "behaviours"}
    for name in names:
        for point in ("", ", at the threshold for precision", ", at the threshold for recall"):
            assert stored["figures"][f"{name}, 2-fold by prompt{point}"]["accuracy"]["value"] > 0
    for name in names - {"pairs"}:
        assert "adjusted_rand" in stored["figures"][f"partitions of {name}, average linkage"]
    assert [source["name"] for source in stored["choices"]["sources"]] == [
        *("groups", "pairs", "wrapped", "tool_calls", "behaviours")
    ]
    assert str(tmp_path) not in (out / "metrics.json").read_text()
    card = (out / "MODEL_CARD.md").read_text()
    for row in ("| long | 15 |", "| short | 15 |", "| all | 30 |"):
        assert row in card
    assert re.search(r"\| tool_calls \| \d \| 40 \|", card)
    assert set(PairHead.load(out).thresholds) == {"balanced", "precision", "recall"}


def save_tiny_head(folder: Path, files: tuple[Path, Path], head: HeadRecipe) -> Path:
    """A classifier by the tiny encoder, to begin with."""
    tuning = TuningRecipe(layers=1, steps=1, groups=1)
    train(user_sources(*files), Path(), folder, head=head, tuning=tuning, folds=2)
    return folder


@pytest.mark.heavy
def test_training_without_groups(tmp_path: Path, files: tuple[Path, Path]) -> None:
    head = HeadRecipe(seeds=1, hidden=8, steps=2)
    train(user_sources(files[0], None), Path(), tmp_path / "out", head=head, folds=2)
    card = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert "there were no partitioned groups" in card
    assert "tuned on about" not in card


class Interrupted(TextEncoder):
    """An encoder whose process ends while the trainer asks it for tokens."""

    left = 40

    def tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().tokenize(texts)


def labelled() -> list[LabelledGroup]:
    noise = Noise()
    return [*of_groups(teacher(10), 0, noise), *of_pairs(people(30), 1, noise)]


def test_tuning_goes_on_from_its_last_checkpoint_to_the_same_weights(
    tmp_path: Path, tiny_encoder: Path
) -> None:
    encoder = TextEncoder(tiny_encoder)
    lexicon = frozen_lexicon(encoder, [pair.a for pair in people(30)], seed=0)
    whole = tune(encoder, lexicon, labelled(), SHARES, TINY, 0, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        tune(Interrupted(tiny_encoder), lexicon, labelled(), SHARES, TINY, 0, tmp_path / "parts")
    kept = sorted((tmp_path / "parts").glob("checkpoint-*"))
    assert kept
    assert kept[-1].name != f"checkpoint-{TINY.steps}"
    parts = tune(encoder, lexicon, labelled(), SHARES, TINY, 0, tmp_path / "parts")
    assert parts.layers.keys() == whole.layers.keys()
    for name, weights in whole.layers.items():
        assert torch.equal(parts.layers[name], weights)
    np.testing.assert_array_equal(parts.lexicon.salience, whole.lexicon.salience)


def test_tuning_stops_early_and_returns_the_best_weights(
    tmp_path: Path, tiny_encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is taught is the opposite of what is kept aside, so that training makes it worse."""
    encoder = TextEncoder(tiny_encoder)
    lexicon = frozen_lexicon(encoder, [pair.a for pair in people(30)], seed=0)
    recipe = replace(TINY, steps=80, logit_rate=0.3, warmup=0.0, kept_aside=0.3, patience=2)
    aside, taught = apart(labelled(), recipe.kept_aside, 0)
    opposite = [
        *(replace(group, target=np.ones_like(group.target)) for group in aside),
        *(replace(group, target=np.zeros_like(group.target)) for group in taught),
    ]
    tuned = tune(encoder, lexicon, opposite, SHARES, recipe, 0, tmp_path)
    (kept,) = tmp_path.glob("checkpoint-*")
    best = int(kept.name.removeprefix("checkpoint-")) // (recipe.steps // EVALUATIONS)
    measured = capsys.readouterr().out.count("eval_loss")
    assert measured == best + recipe.patience < EVALUATIONS
    weights = load_file(kept / "model.safetensors")
    assert tuned.layers
    for name, layer in tuned.layers.items():
        assert torch.equal(weights[f"encoder.{name}"].half(), layer)


def test_tuned_weights_of_another_encoder_are_refused(tmp_path: Path) -> None:
    shutil.copytree(ARTEFACT, tmp_path, dirs_exist_ok=True)
    save_file({"encoder.layer.99.weight": torch.zeros(3)}, tmp_path / TUNED)
    with pytest.raises(ModelError, match=r"of another encoder: encoder\.layer\.99"):
        Embedded(artefact=tmp_path)
    (tmp_path / TUNED).write_bytes(b"no tensors")
    with pytest.raises(ModelError, match="cannot read tuned weights"):
        Embedded(artefact=tmp_path)
