"""`darling-reward train`: fits the embedded classifier's head on labelled data and measures it.

Reruns with the same files, seed, versions and number of threads give the same artefact. With
`--tune` the encoder's layers are tuned first, once per fold and once on everything, which takes
most of the time; with `--work` a rerun goes on where an earlier one was stopped.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from safetensors.torch import save_file

from darling_models.checkpoints import let_others_read
from darling_models.embedded.classifier import ARTEFACT
from darling_models.embedded.encoder import wheel_weights
from darling_models.embedded.head import TUNED, PairHead, load_tuned
from darling_models.figures.reliability import draw_reliability
from darling_models.figures.tables import markdown
from darling_models.labelled_data import check_enough
from darling_models.runtime.numpy_threads import one_thread_for_numpy
from darling_models.texts.rule import TextRule
from darling_models.training.encoder.tuning import Tuned, TuningRecipe
from darling_models.training.head import card
from darling_models.training.head.corpus import Corpus, build
from darling_models.training.head.crossval import calibrate, cross_validate, fitted
from darling_models.training.head.figures import best_linkage, by_category, measure
from darling_models.training.head.fit import HeadRecipe
from darling_models.training.labelled_groups import LabelledGroup
from darling_models.training.seen import share_seen, sketch, trained_on
from darling_models.training.sources import Source, gather
from darling_models.training.work_folder import WorkFolder

FOLDS = 5
DEFAULT_HEAD = HeadRecipe()

log = logging.getLogger(__name__)


def train(
    sources: Sequence[Source],
    data: Path,
    out: Path,
    work: Path | None = None,
    seed: int = 0,
    head: HeadRecipe = DEFAULT_HEAD,
    tuning: TuningRecipe | None = None,
    folds: int = FOLDS,
    encoder: Path = ARTEFACT,
    text: TextRule = "answer",
    device: str = "cpu",
) -> None:
    """Writes the artefact with its figures and model card into `out`, and prints the figures.

    `data`: the folder of the sources' files. Without `tuning` the encoder is that of the folder
    `encoder`, tuned or not, which should not have seen these labels; with it, tuning starts from
    the published one. `text`: what of each rollout is compared. `work` keeps what took long; None:
    nothing is kept. Raises `OSError`, and `ValueError` if a file is not what its source says, if
    the data is too little, or if `work` keeps what was made of other data.
    """
    out.mkdir(parents=True, exist_ok=True)
    one_thread_for_numpy()
    groups = gather(sources, data, text, seed)
    check_enough(
        (group.prompt, similar)
        for group in groups
        if sources[group.source].calibration
        for similar in np.unique(group.same).tolist()
    )
    seen = 0.0 if tuning else _seen(sources, groups, encoder)
    with TemporaryDirectory() as scratch:
        workplace = WorkFolder(wheel_weights(), work or Path(scratch), seed, device)
        begun = Tuned(load_tuned(encoder), PairHead.load(encoder).lexicon)
        corpus = build(workplace, sources, groups, tuning, folds, begun)
    choices = {
        "seed": seed,
        "text": text,
        **asdict(head),
        "tuning": None if tuning is None else asdict(tuning),
        "sources": [source.summary() for source in sources],
    }
    fit_and_measure(corpus, out, head, choices, seed, seen)


def fit_and_measure(
    corpus: Corpus,
    out: Path,
    head: HeadRecipe,
    choices: dict[str, object],
    seed: int,
    seen: float,
) -> None:
    """Cross-validates the head, fits it on every row, and writes the artefact."""
    held_out = cross_validate(corpus, head, seed)
    everything = np.ones(len(corpus.fold), dtype=np.bool_)
    slope, intercept, thresholds = calibrate(corpus, held_out.logits, everything)
    report = measure(corpus, held_out, thresholds)
    linkage = best_linkage(report, corpus)
    network = fitted(corpus, head, everything, seed, "final fit")
    PairHead(network, corpus.tuned.lexicon, slope, intercept, thresholds, linkage).save(out)
    (out / TUNED).unlink(missing_ok=True)
    if corpus.tuned.layers:
        save_file(corpus.tuned.layers, out / TUNED)
    let_others_read(out)
    counted = corpus.calibrating > 0
    names = [source.name for source in corpus.sources if source.calibration]
    draw_reliability(
        out / "reliability.png",
        "held-out pairs",
        held_out.probabilities[counted],
        corpus.similar[counted],
        ", ".join(names),
    )
    choices = {**choices, "thresholds": thresholds, "linkage": linkage}
    figures = {name: {k: v.as_dict() for k, v in row.items()} for name, row in report.items()}
    # What `evaluate-classifier` asks to know whether it measures on rows that were trained on.
    prompts = " ".join(sketch(_prompts(corpus.sources, corpus.groups)))
    metrics = {"choices": choices, "figures": figures, "data": {"prompts": prompts}}
    (out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    categories = by_category(corpus, held_out.decisions["balanced"])
    (out / "MODEL_CARD.md").write_text(
        card.render(report, choices, thresholds, corpus, categories, seen)
    )
    print(markdown(report))
    print(f"thresholds {thresholds}, linkage {linkage}; written to {out}")


def _prompts(sources: Sequence[Source], groups: Sequence[LabelledGroup]) -> set[str]:
    """Prompts of files, not those that are made up."""
    return {group.prompt for group in groups if sources[group.source].made_up is None}


def _seen(sources: Sequence[Source], groups: Sequence[LabelledGroup], encoder: Path) -> float:
    """The estimated share of the measured prompts that the encoder was trained on; warns of it."""
    prompts = {group.prompt for group in groups if sources[group.source].calibration}
    share = share_seen(prompts, trained_on(f"embedded:{encoder}") or []) or 0.0
    if share:
        log.warning(
            "the encoder was tuned on about %.0f %% of these prompts, so the figures will be too "
            "good; give another with --encoder, or tune it with --tune",
            100 * share,
        )
    return share
