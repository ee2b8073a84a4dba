"""`darling-reward evaluate-classifier`: one classifier and the baselines on the same data."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from darling_models.evaluation.contenders import BASELINES, baselines
from darling_models.evaluation.measures import (
    Contenders,
    Mask,
    MeasuredPairs,
    labelers,
    lengthened,
    measure_pairs,
    partitions,
    sample,
    shares_equivalent,
    word_buckets,
)
from darling_models.evaluation.plots import draw
from darling_models.evaluation.report import BASELINE_NOTES, Report
from darling_models.labelled_data import HumanPair, read_groups, read_pairs, read_texts
from darling_models.options import DEFAULT_OPTIONS, ModelOptions
from darling_models.registry import load
from darling_models.texts.rule import TextRule
from darling_models.training.seen import share_seen, trained_on


@dataclass(frozen=True, slots=True)
class Files:
    """Labelled data; only pairs are needed."""

    pairs: Path
    groups: Path | None = None
    different: Path | None = None
    """Problems and solutions of theirs by different methods."""
    same_problem: Path | None = None
    """Problems and responses to them, whose methods nobody has labelled."""
    text: TextRule = "answer"
    """What of each text is compared."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of the data is looked at; None: all of it."""

    pairs: int | None = None
    groups: int | None = None
    lengthened: int = 100
    """Pairs for each target length; 0: none."""
    seed: int = 0


def evaluate(
    model: str,
    files: Files,
    limits: Limits,
    against: tuple[str, ...] = BASELINES,
    out: Path | None = None,
    as_json: bool = False,
    options: ModelOptions = DEFAULT_OPTIONS,
) -> None:
    """Prints the figures; writes them and the plots into `out`.

    All files are read before any model runs. Raises `ModelError`, `OSError`, and `ValueError` if a
    file holds what it must not.
    """
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    report = _evaluate(model, files, limits, against, out, options)
    document = json.dumps(report.as_dict(), indent=2)
    print(document if as_json else report.table())
    if out is not None:
        (out / "evaluation.json").write_text(document + "\n")


def _evaluate(
    model: str,
    files: Files,
    limits: Limits,
    against: tuple[str, ...],
    out: Path | None,
    options: ModelOptions,
) -> Report:
    pairs = sample(read_pairs(files.pairs, files.text), limits.pairs, limits.seed)
    groups = [] if files.groups is None else read_groups(files.groups, files.text)
    problems = {
        title: [
            (group.prompt, tuple(group.texts)) for group in read_texts(path, *names, files.text)
        ]
        for path, names, title in (
            (files.different, ("problem", "solutions"), "one problem, different methods"),
            (files.same_problem, ("question", "responses"), "one problem, sampled responses"),
        )
        if path is not None
    }
    measured = load(model, options)
    texts = [text for pair in pairs for text in (pair.a, pair.b)]
    others = baselines([name for name in against if name != measured.info.id], texts)
    contenders: Contenders = {measured.info.id: measured, **others}

    report = Report(measured.info, [_seen(model, [pair.prompt for pair in pairs], "pairs")])
    if others:
        report.notes += BASELINE_NOTES
    overall = measure_pairs(contenders, pairs, "pairs")
    report.sections.append(overall.section())
    report.sections += [overall.section(mask, title) for title, mask in labelers(pairs)]
    report.sections += [overall.section(mask, title) for title, mask in word_buckets(pairs)]
    longer = list(lengthened(contenders, pairs, limits.lengthened, limits.seed))
    report.sections += [measured.section() for measured in longer]
    if out is not None:
        draw(out, overall, _by_length(pairs, overall, longer), files.pairs.name)
    if groups:
        groups = sample(groups, limits.groups, limits.seed)
        report.notes.append(_seen(model, [group.prompt for group in groups], "groups"))
        if single := sum(len(group.texts) == 1 for group in groups):
            report.notes.append(f"{single} of {len(groups)} groups have one text; left out.")
        report.sections += partitions(contenders, groups)
    for title, rows in problems.items():
        drawn = sample(rows, limits.groups, limits.seed)
        report.sections.append(shares_equivalent(contenders, drawn, title))
    return report


def _by_length(
    pairs: list[HumanPair], overall: MeasuredPairs, longer: list[MeasuredPairs]
) -> list[tuple[str, MeasuredPairs, Mask]]:
    everyone = [
        (each.title.replace(" to ", "\nto "), each, np.ones(len(each.similar), np.bool_))
        for each in longer
    ]
    return [(title, overall, mask) for title, mask in word_buckets(pairs)] + everyone


def _seen(model: str, prompts: list[str], what: str) -> str:
    """Whether figures on these prompts are of data that the model was trained on."""
    known = trained_on(model)
    if known is None:
        return f"{model} keeps no record of what it was trained on; {what} may be in-sample."
    share = share_seen(prompts, known)
    if share is None:
        return f"too few {what} to tell whether {model} was trained on them."
    if share == 0:
        return f"{model} was trained on none of these {what}."
    return (
        f"IN-SAMPLE: {model} was trained on the prompts of about {share:.0%} of these {what}; its "
        "figures here flatter it. The held-out ones are in its metrics.json and model card."
    )
