"""The model card: what the artefact is, what it came from, how good it is, where it ends."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from darling_models.figures.tables import markdown
from darling_models.protocol import OperatingPoint
from darling_models.training.head.corpus import Corpus
from darling_models.training.head.figures import Report
from darling_models.training.sources import names

TEXT = """\
# Model card: an embedded equivalence classifier

This classifier decides whether two rollouts to one prompt are functionally equivalent, as the
labels below say it.

- **Encoder**: all-MiniLM-L6-v2, {tuned}. It reads each text once; nothing is cut off.
- **Head**: the average of {seeds} networks with one hidden layer of {hidden} units, followed by
  Platt scaling. It reads {features} symmetric features of two texts and their prompt.
- **Files**: {files}; the figures are in `metrics.json`. The seed is {seed}.

## Data

{data}

Labels are softened by how often such labels are wrong.

## Figures

The table gives means and 95 % bootstrap intervals, resampled by prompt. Every prediction is by a
head that saw neither the pair nor its prompt; calibration, and the decisions on pairs, are by the
other folds.{seen} Partitions are cut at the threshold below, which all folds together have chosen.

{table}

![Reliability on held-out pairs](reliability.png)
{categories}
{thresholds}

The default linkage is `{linkage}`{measured}.
"""
THRESHOLDS = """\
Each threshold has the least cost on held-out pairs:

| threshold | value | cost of a wrong merge, in wrong splits |
|---|---|---|
| `balanced` (default) | {balanced} | 5/4 |
| `precision` | {precision} | 2 |
| `recall` | {recall} | 2/3 |"""
CATEGORIES = """
Held-out behaviours at the default threshold; wrong merges and wrong splits are shares of all pairs:

{table}
"""


def render(
    report: Report,
    choices: Mapping[str, Any],
    thresholds: Mapping[OperatingPoint, float],
    corpus: Corpus,
    categories: str,
    seen: float,
) -> str:
    """The model card as Markdown. `seen`: share of the prompts that the encoder had been tuned on
    before."""
    partitioned = any(title.startswith("partitions of ") for title in report)
    return TEXT.format(
        features=corpus.features.shape[1],
        data=_data(corpus),
        measured=": under it most pairs agree with the partitions of unseen prompts"
        if partitioned
        else ". It was not measured, because there were no partitioned groups",
        table=markdown(report),
        categories=CATEGORIES.format(table=categories) if categories else "",
        thresholds=THRESHOLDS.format(**{str(name): value for name, value in thresholds.items()}),
        tuned=_origin(choices["tuning"], corpus),
        seen=_seen(seen),
        files="`encoder.safetensors` (tuned layers), `head.safetensors`, `head.json`"
        if corpus.tuned.layers
        else "`head.safetensors`, `head.json`",
        **{name: choices[name] for name in ("seed", "seeds", "hidden", "linkage")},
    )


def _data(corpus: Corpus) -> str:
    """A row for each source."""
    rows = [
        "| source | prompts | pairs | similar | share of training | weight in calibration |",
        "|---|---|---|---|---|---|",
    ]
    total = sum(source.share for source in corpus.sources)
    for number, (source, name) in enumerate(
        zip(corpus.sources, names(corpus.sources), strict=True)
    ):
        mask = corpus.source == number
        prompts = {group.prompt for group in corpus.groups if group.source == number}
        similar = f"{corpus.similar[mask].mean():.1%}" if mask.any() else "-"
        rows.append(
            f"| {name} | {len(prompts)} | {np.count_nonzero(mask)} | {similar} | "
            f"{source.share / total:.1%} | {source.calibration:g} |"
        )
    return "\n".join(rows)


def _seen(share: float) -> str:
    if not share:
        return ""
    return (
        f" The encoder had been tuned on about {share:.0%} of these prompts before, so that the "
        "figures are too good."
    )


def _origin(tuning: Mapping[str, Any] | None, corpus: Corpus) -> str:
    """How the encoder came to be as it is."""
    if tuning is None:
        begun = "with the tuned layers of the classifier that training began with"
        return begun if corpus.tuned.layers else "as published"
    return (
        f"its upper {tuning['layers']} layers tuned for {tuning['steps']} steps of "
        f"{tuning['groups']} labelled groups each, by late interaction of projected tokens"
    )
