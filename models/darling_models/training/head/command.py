"""`darling-reward train`: fits the embedded classifier's head on labelled data and measures it.

Reruns with the same files, seed, versions and number of threads give the same artefact. With
`--tune` the encoder's upper layers are tuned first, once per fold and once on everything, which
takes most of the time; with `--work` a rerun goes on where an earlier one was stopped.
"""

import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from safetensors.torch import save_file

from darling_models.checkpoints import let_others_read
from darling_models.embedded.classifier import ARTEFACT
from darling_models.embedded.encoder import wheel_weights
from darling_models.embedded.head import TUNED, PairHead, load_tuned, sigmoid
from darling_models.figures.intervals import Interval
from darling_models.figures.metrics import grouped_auc, pair_metrics, partition_metrics
from darling_models.figures.reliability import draw_reliability
from darling_models.figures.tables import markdown
from darling_models.labelled_data import check_enough, read_groups, read_pairs
from darling_models.partitions.linkage import LINKAGES
from darling_models.protocol import Linkage, OperatingPoint
from darling_models.runtime.numpy_threads import one_thread_for_numpy
from darling_models.texts.rule import TextRule
from darling_models.training.encoder.tuning import Tuned, TuningRecipe
from darling_models.training.head import card
from darling_models.training.head.corpus import Corpus, build
from darling_models.training.head.crossval import (
    by_labeler,
    by_prompt,
    cross_validate,
    examples,
    same_upper,
    teacher_matrices,
    upper,
)
from darling_models.training.head.fit import Recipe, fit, operating_points, platt
from darling_models.training.seen import sketch
from darling_models.training.work_folder import WorkFolder

OUTER_FOLDS = 10
DEFAULT_RECIPE = Recipe()
DEFAULT_LINKAGE: Linkage = "average"
"""Without stored partitions to choose it by."""

Report = dict[str, dict[str, Interval]]


def train(
    pairs_file: Path,
    groups_file: Path | None,
    out: Path = ARTEFACT,
    work: Path | None = None,
    seed: int = 0,
    recipe: Recipe = DEFAULT_RECIPE,
    tuning: TuningRecipe | None = None,
    folds: int = OUTER_FOLDS,
    encoder: Path = ARTEFACT,
    text: TextRule = "answer",
) -> None:
    """Writes the artefact with its figures and model card into `out`, and prints the figures.

    Without `tuning` the encoder is that of the folder `encoder`, tuned or not, which must not have
    seen these labels; with it, tuning starts from the published one. `text`: what of each rollout
    is compared. `work` keeps what took long; None: nothing is kept. Raises `ValueError` if the data
    is too little, or not that of what `work` keeps.
    """
    out.mkdir(parents=True, exist_ok=True)
    one_thread_for_numpy()
    pairs = read_pairs(pairs_file, text)
    check_enough(pairs)
    groups = [] if groups_file is None else read_groups(groups_file, text)
    with TemporaryDirectory() as scratch:
        workplace = WorkFolder(wheel_weights(), work or Path(scratch), seed)
        begun = Tuned(load_tuned(encoder), PairHead.load(encoder).lexicon)
        corpus = build(workplace, pairs, groups, tuning, folds, begun)
    held_out = cross_validate(
        corpus, recipe, by_prompt(corpus, folds, seed), seed, f"{folds}-fold by prompt"
    )
    by_fold = f"human pairs, {folds}-fold by prompt"
    report: Report = {
        _at(by_fold, point): pair_metrics(held_out.probabilities, decisions, corpus.similar)
        for point, decisions in held_out.decisions.items()
    }
    if len(np.unique(corpus.labeler)) > 1:
        by_person = cross_validate(
            corpus, recipe, by_labeler(corpus), seed, "leave one labeler out"
        )
        # The encoder's folds are by prompt: it was tuned on other pairs of that labeler.
        kind = "labeler" if tuning is None else "labeler (of the head)"
        report[f"human pairs, leave one {kind} out"] = pair_metrics(
            by_person.probabilities, by_person.decisions["balanced"], corpus.similar
        )
    slope, intercept = platt(held_out.logits, corpus.similar)
    calibrated = sigmoid(slope * held_out.logits + intercept)
    thresholds = operating_points(calibrated, corpus.similar)
    linkage = DEFAULT_LINKAGE
    if corpus.groups:
        partitions = _against_teacher(
            corpus, recipe, slope, intercept, thresholds["balanced"], seed
        )
        report |= partitions
        linkage = max(LINKAGES, key=lambda name: partitions[_title(name)]["pair_agreement"].value)

    everything = examples(
        corpus,
        recipe,
        np.ones(len(corpus.similar), np.bool_),
        np.ones(len(corpus.teaching), np.bool_),
    )
    network = fit(everything, recipe, int(corpus.labeler.max()) + 1, seed, "final fit")
    PairHead(network, corpus.tuned.lexicon, slope, intercept, thresholds, linkage).save(out)
    (out / TUNED).unlink(missing_ok=True)
    if corpus.tuned.layers:
        save_file(corpus.tuned.layers, out / TUNED)
    let_others_read(out)
    draw_reliability(
        out / "reliability.png",
        "held-out pairs",
        held_out.probabilities,
        corpus.similar,
        pairs_file.name,
    )
    choices = {
        "seed": seed,
        "text": text,
        **asdict(recipe),
        "tuning": None if tuning is None else asdict(tuning),
        "thresholds": thresholds,
        "linkage": linkage,
    }
    figures = {name: {k: v.as_dict() for k, v in row.items()} for name, row in report.items()}
    (out / "metrics.json").write_text(
        json.dumps({"choices": choices, "figures": figures, "data": _data(corpus)}, indent=2) + "\n"
    )
    (out / "MODEL_CARD.md").write_text(card.render(report, choices, thresholds, corpus))
    print(markdown(report))
    print(f"thresholds {thresholds}, linkage {linkage}; written to {out}")


def _at(title: str, point: OperatingPoint) -> str:
    return title if point == "balanced" else f"{title}, at the threshold for {point}"


def _data(corpus: Corpus) -> dict[str, object]:
    """What `evaluate-classifier` asks to know whether it measures on rows that were trained on."""
    prompts = [*corpus.prompts, *(group.prompt for group in corpus.groups)]
    return {"prompts": " ".join(sketch(prompts))}


def _against_teacher(
    corpus: Corpus, recipe: Recipe, slope: float, intercept: float, threshold: float, seed: int
) -> Report:
    """Pair AUC and partitions, by each linkage, on prompts held out of the fit."""
    matrices = teacher_matrices(corpus, recipe, slope, intercept, seed)
    auc = grouped_auc(
        [upper(matrix) for matrix in matrices],
        [same_upper(group.partition) for group in corpus.groups],
        [group.prompt for group in corpus.groups],
    )
    report: Report = {"stored partitions, unseen prompts": {"auc": auc}}
    for linkage in LINKAGES:
        report[_title(linkage)] = partition_metrics(matrices, corpus.groups, threshold, linkage)
    return report


def _title(linkage: Linkage) -> str:
    return f"stored partitions, unseen prompts, {linkage} linkage"
