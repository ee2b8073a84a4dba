"""`darling-reward train`: fits the embedded classifier's head on labelled data and measures it.

Reruns with the same files, seed and versions give the same artefact. Encoding the texts takes most
of the time; with `--features` it is done once and kept.
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from models.embedded import ARTEFACT
from models.encoder import TextEncoder, wheel_weights
from models.head import PairHead, sigmoid
from models.partition import LINKAGES
from models.protocol import Linkage
from models.training import card
from models.training.corpus import Corpus, build, load_features, save_features
from models.training.crossval import (
    by_labeler,
    by_prompt,
    cross_validate,
    examples,
    same_upper,
    teacher_matrices,
    upper,
)
from models.training.data import check_enough, read_groups, read_pairs
from models.training.fit import Recipe, balanced_threshold, fit, platt
from models.training.metrics import Interval, grouped_auc, pair_metrics, partition_metrics
from models.training.seen import sketch

OUTER_FOLDS = 10
DEFAULT_RECIPE = Recipe()
DEFAULT_LINKAGE: Linkage = "average"
"""Without stored partitions to choose it by."""

Report = dict[str, dict[str, Interval]]


def train(
    pairs_file: Path,
    groups_file: Path | None,
    out: Path = ARTEFACT,
    features_file: Path | None = None,
    seed: int = 0,
    recipe: Recipe = DEFAULT_RECIPE,
    folds: int = OUTER_FOLDS,
) -> None:
    """Writes the head, `metrics.json` and `MODEL_CARD.md` into `out`, and prints the figures."""
    corpus = _corpus(pairs_file, groups_file, features_file)
    held_out = cross_validate(
        corpus, recipe, by_prompt(corpus, folds, seed), seed, f"{folds}-fold by prompt"
    )
    report: Report = {
        f"human pairs, {folds}-fold by prompt": pair_metrics(
            held_out.probabilities, held_out.decisions, corpus.similar
        )
    }
    if len(np.unique(corpus.labeler)) > 1:
        by_person = cross_validate(
            corpus, recipe, by_labeler(corpus), seed, "leave one labeler out"
        )
        report["human pairs, leave one labeler out"] = pair_metrics(
            by_person.probabilities, by_person.decisions, corpus.similar
        )
    slope, intercept = platt(held_out.logits, corpus.similar)
    calibrated = sigmoid(slope * held_out.logits + intercept)
    threshold = balanced_threshold(calibrated, corpus.similar)
    linkage = DEFAULT_LINKAGE
    if corpus.groups:
        partitions = _against_teacher(corpus, recipe, slope, intercept, threshold, seed)
        report |= partitions
        linkage = max(LINKAGES, key=lambda name: partitions[_title(name)]["adjusted_rand"].value)

    everything = examples(
        corpus, np.ones(len(corpus.similar), np.bool_), np.ones(len(corpus.teaching), np.bool_)
    )
    network = fit(everything, recipe, int(corpus.labeler.max()) + 1, seed)
    PairHead(network, corpus.lexicon, slope, intercept, threshold, linkage).save(out)
    choices = {"seed": seed, **asdict(recipe), "threshold": threshold, "linkage": linkage}
    figures = {name: {k: asdict(v) for k, v in row.items()} for name, row in report.items()}
    (out / "metrics.json").write_text(
        json.dumps({"choices": choices, "figures": figures, "data": _data(corpus)}, indent=2) + "\n"
    )
    (out / "MODEL_CARD.md").write_text(card.render(report, choices, corpus))
    print(card.table(report))
    print(f"threshold {threshold}, linkage {linkage}; written to {out}")


def _data(corpus: Corpus) -> dict[str, object]:
    """What `evaluate-classifier` asks to know whether it measures on rows that were trained on."""
    prompts = [*corpus.prompts, *(group.prompt for group in corpus.groups)]
    return {"prompts": " ".join(sketch(prompts))}


def _corpus(pairs_file: Path, groups_file: Path | None, features_file: Path | None) -> Corpus:
    pairs = read_pairs(pairs_file)
    check_enough(pairs)
    groups = [] if groups_file is None else read_groups(groups_file)
    encoder = TextEncoder(wheel_weights())
    if features_file is not None and features_file.exists():
        return load_features(features_file, encoder, pairs, groups)
    corpus = build(encoder, pairs, groups)
    if features_file is not None:
        save_features(corpus, features_file)
    return corpus


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
