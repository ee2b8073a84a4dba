"""`darling-reward evaluate-classifier`: one classifier and the baselines on the same data."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from darling_models.evaluation.behaviours import measure_behaviours
from darling_models.evaluation.contenders import BASELINES, baselines
from darling_models.evaluation.invariance import at_random, invariance
from darling_models.evaluation.measures import (
    Contenders,
    Mask,
    MeasuredPairs,
    labelers,
    lengthened,
    measure_pairs,
    pair_regimes,
    partitions,
    sample,
    shares_equivalent,
    word_buckets,
)
from darling_models.evaluation.plots import draw
from darling_models.evaluation.report import BASELINE_NOTES, Report
from darling_models.evaluation.wrappings import short_answers
from darling_models.labelled_data import (
    TRAINED,
    HumanPair,
    TeacherGroup,
    read_behaviours,
    read_groups,
    read_pairs,
    read_texts,
)
from darling_models.options import DEFAULT_OPTIONS, ModelOptions
from darling_models.registry import load
from darling_models.texts.rule import TextRule
from darling_models.training.seen import share_seen, trained_on


@dataclass(frozen=True, slots=True)
class Files:
    """Labelled data, any of it."""

    pairs: Path | None = None
    groups: Path | None = None
    behaviours: Path | None = None
    different: Path | None = None
    """Problems and solutions of theirs by different methods."""
    same_problem: Path | None = None
    """Problems and responses to them, whose methods nobody has labelled."""
    text: TextRule = "answer"
    """What of each text is compared."""

    @property
    def none(self) -> bool:
        """Whether there is no file, whatever is said of texts."""
        return self == Files(text=self.text)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of the data is looked at; None: all of it."""

    pairs: int | None = None
    groups: int | None = None
    lengthened: int = 100
    """Pairs for each target length; 0: none."""
    answers: int = 0
    """Short answers that are put into wrappings; 0: none."""
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
    """Prints the figures; writes them, the plots and the mistakes in behaviours into `out`.

    All files are read before any model runs. Raises `ModelError`, `OSError`, and `ValueError` if a
    file holds what it must not, or if there is nothing to measure on.
    """
    if files.none and limits.answers == 0:
        raise ValueError(
            "nothing to measure on; give --pairs, --groups, --behaviours, --different, "
            "--same-problem or --wrappings"
        )
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
    notion = options.notion or TRAINED
    pairs = [] if files.pairs is None else read_pairs(files.pairs, files.text, notion=notion)
    groups = [] if files.groups is None else read_groups(files.groups, files.text)
    behaviours = [] if files.behaviours is None else read_behaviours(files.behaviours, files.text)
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
    answers = sample(short_answers(), limits.answers, limits.seed)
    pairs = sample(pairs, limits.pairs, limits.seed)
    groups = sample(groups, limits.groups, limits.seed)
    behaviours = sample(behaviours, limits.groups, limits.seed)
    texts = [
        *(text for pair in pairs for text in (pair.a, pair.b)),
        *(text for group in (*groups, *behaviours) for text in group.texts),
        *(text for rows in problems.values() for _, own in rows for text in own),
        *(text for group in at_random(answers, limits.seed) for text in group.texts),
    ]
    measured = load(model, options)
    others = baselines([name for name in against if name != measured.info.id], texts)
    contenders: Contenders = {measured.info.id: measured, **others}

    report = Report(measured.info)
    if others and not files.none:
        report.notes += BASELINE_NOTES
    if files.pairs is not None:
        report.notes.append(_seen(model, [pair.prompt for pair in pairs], "pairs"))
        _measure_pairs(report, contenders, pairs, files.pairs.name, limits, out)
    if groups:
        report.notes += _notes(model, groups, "groups")
        report.sections += partitions(contenders, groups)
    if behaviours:
        report.notes += _notes(model, behaviours, "behaviours")
        suite = measure_behaviours(contenders, behaviours)
        report.sections += suite.sections()
        if out is not None:
            mistakes = suite.mistakes(measured.info.id)
            lines = "".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in mistakes)
            (out / "mistakes.jsonl").write_text(lines, encoding="utf-8")
    for title, rows in problems.items():
        drawn = sample(rows, limits.groups, limits.seed)
        report.sections.append(shares_equivalent(contenders, drawn, title))
    if answers:
        report.sections += invariance(contenders, answers, limits.seed)
    return report


def _measure_pairs(
    report: Report,
    contenders: Contenders,
    pairs: list[HumanPair],
    source: str,
    limits: Limits,
    out: Path | None,
) -> None:
    """Adds the figures of pairs to the report, and draws them into `out`."""
    overall = measure_pairs(contenders, pairs, "pairs")
    report.sections.append(overall.section())
    for parts in (labelers, word_buckets, pair_regimes):
        report.sections += [overall.section(mask, title) for title, mask in parts(pairs)]
    longer = list(lengthened(contenders, pairs, limits.lengthened, limits.seed))
    report.sections += [measured.section() for measured in longer]
    if out is not None:
        draw(out, overall, _by_length(pairs, overall, longer), source)


def _notes(model: str, groups: Sequence[TeacherGroup], what: str) -> Iterator[str]:
    yield _seen(model, [group.prompt for group in groups], what)
    if single := sum(len(group.texts) == 1 for group in groups):
        yield f"{single} of {len(groups)} {what} have one text; left out."


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
