"""Training the embedded classifier: what is fitted, that it repeats itself, that it goes on."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
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
from darling_models.training.encoder.examples import LabelledGroups, from_people, from_teacher
from darling_models.training.encoder.tuning import Tuned, TuningRecipe, tune
from darling_models.training.head.command import train
from darling_models.training.head.featurise import Rows, different_pairs, frozen_lexicon
from darling_models.training.head.fit import Recipe, operating_points, platt
from darling_models.training.work_folder import WorkFolder
from tests.texts import essay

pytestmark = pytest.mark.processor

PROMPT = "What should a small town do with its old railway station?"
TINY = TuningRecipe(layers=1, steps=8, teacher=1, human=2, made_up=1)


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


@pytest.mark.heavy
@pytest.mark.parametrize(
    "tuning", [None, pytest.param(TINY, marks=pytest.mark.slow)], ids=["frozen", "tuned"]
)
def test_training_learns_and_repeats_itself(
    tmp_path: Path, files: tuple[Path, Path], tuning: TuningRecipe | None
) -> None:
    """Twice from the beginning: the same files, and better than chance."""
    recipe = Recipe(seeds=1, steps=40)
    for name in ("first", "second"):
        train(*files, tmp_path / name, recipe=recipe, tuning=tuning, folds=3)
    names = {path.name for path in (tmp_path / "first").iterdir()}
    tuned = (tmp_path / "first" / TUNED).read_bytes()
    assert (tuned == (ARTEFACT / TUNED).read_bytes()) == (tuning is None)
    assert {"head.safetensors", "head.json", "metrics.json", "reliability.png"} < names
    for name in names - {"reliability.png"}:
        first, second = (tmp_path / folder / name for folder in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
    figures = json.loads((tmp_path / "first" / "metrics.json").read_text())["figures"]
    assert figures["human pairs, 3-fold by prompt"]["auc"]["low"] > 0.6
    trained = Embedded(artefact=tmp_path / "first")
    assert trained.info.revision != Embedded().info.revision
    same, other = (probability(trained, essay(0, 40), essay(a, 50)) for a in (0, 3))
    assert same > other


@pytest.mark.heavy
def test_work_begun_with_other_choices_is_refused(tmp_path: Path) -> None:
    rows = Rows(people(30), [], teacher(5), [])
    place = WorkFolder(wheel_weights(), tmp_path, seed=0)
    place.begin(rows, TINY, folds=10)
    place.begin(rows, TINY, folds=10)
    first = replace(rows.pairs[0], similar=not rows.pairs[0].similar)
    relabelled = Rows([first, *rows.pairs[1:]], [], rows.groups, [])
    fewer = Rows(rows.pairs[1:], [], rows.groups, [])
    elsewhere = replace(place, seed=1)
    published = Tuned({}, PairHead.load(ARTEFACT).lexicon)
    tuned = replace(published, layers=load_tuned(ARTEFACT))
    lexicon = replace(published.lexicon, salience=published.lexicon.salience + 1)
    for where, given, recipe, folds, changed in (
        (place, relabelled, TINY, 10, "labels"),
        (place, fewer, TINY, 10, "rows, labels"),
        (place, rows, replace(TINY, human=3), 10, "recipe"),
        (place, rows, TINY, 5, "folds"),
        (elsewhere, rows, TINY, 10, "seed"),
    ):
        with pytest.raises(ValueError, match=f"begun with other {changed}; give another folder"):
            where.begin(given, recipe, folds)
    frozen = replace(place, folder=tmp_path / "frozen")
    frozen.begin(rows, None, 10, published)
    for begun, changed in ((tuned, "encoder"), (replace(published, lexicon=lexicon), "lexicon")):
        with pytest.raises(ValueError, match=f"begun with other {changed}; give another folder"):
            frozen.begin(rows, None, 10, begun)


@pytest.mark.heavy
def test_training_without_groups_and_with_several_labelers(
    tmp_path: Path, files: tuple[Path, Path]
) -> None:
    train(files[0], None, tmp_path / "out", recipe=Recipe(seeds=1, steps=2), folds=2)
    card = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert "leave one labeler out" in card
    assert "teacher" not in card


class Interrupted(TextEncoder):
    """An encoder whose process ends while the trainer asks it for tokens."""

    left = 40

    def tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().tokenize(texts)


def labelled() -> LabelledGroups:
    groups = teacher(10)
    pairs = [different_pairs(group.texts) for group in groups]
    return LabelledGroups(from_teacher(groups, pairs, frozenset()), from_people(people(30)), [])


@pytest.mark.slow
def test_tuning_goes_on_from_its_last_checkpoint_to_the_same_weights(tmp_path: Path) -> None:
    encoder = TextEncoder(wheel_weights())
    lexicon = frozen_lexicon(encoder, [pair.a for pair in people(30)], seed=0)
    whole = tune(encoder, lexicon, labelled(), TINY, 0, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        tune(Interrupted(wheel_weights()), lexicon, labelled(), TINY, 0, tmp_path / "parts")
    kept = sorted((tmp_path / "parts").glob("checkpoint-*"))
    assert kept
    assert kept[-1].name != f"checkpoint-{TINY.steps}"
    parts = tune(encoder, lexicon, labelled(), TINY, 0, tmp_path / "parts")
    assert parts.layers.keys() == whole.layers.keys()
    for name, weights in whole.layers.items():
        assert torch.equal(parts.layers[name], weights)
    np.testing.assert_array_equal(parts.lexicon.salience, whole.lexicon.salience)


@pytest.mark.slow
def test_tuning_stops_early_and_returns_the_best_weights(tmp_path: Path) -> None:
    """At an absurd learning rate the first measured weights are the best, and training ends."""
    encoder = TextEncoder(wheel_weights())
    lexicon = frozen_lexicon(encoder, [pair.a for pair in people(30)], seed=0)
    wild = replace(TINY, steps=40, learning_rate=1.0, projection_rate=1.0, kept_aside=0.3)
    wild = replace(wild, patience=1)
    tuned = tune(encoder, lexicon, labelled(), wild, 0, tmp_path)
    last = max(tmp_path.rglob("trainer_state.json"), key=lambda path: path.stat().st_mtime)
    state = json.loads(last.read_text())
    assert state["global_step"] < wild.steps
    best = load_file(Path(state["best_model_checkpoint"]) / "model.safetensors")
    for name, weights in tuned.layers.items():
        assert torch.equal(best[f"encoder.{name}"].half(), weights)


def test_tuned_weights_of_another_encoder_are_refused(tmp_path: Path) -> None:
    shutil.copytree(ARTEFACT, tmp_path, dirs_exist_ok=True)
    save_file({"encoder.layer.99.weight": torch.zeros(3)}, tmp_path / TUNED)
    with pytest.raises(ModelError, match=r"of another encoder: encoder\.layer\.99"):
        Embedded(artefact=tmp_path)
    (tmp_path / TUNED).write_bytes(b"no tensors")
    with pytest.raises(ModelError, match="cannot read tuned weights"):
        Embedded(artefact=tmp_path)
