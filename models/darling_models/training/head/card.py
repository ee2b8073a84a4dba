"""The model card: what the artefact is, what it came from, how good it is, where it ends."""

from collections.abc import Mapping
from typing import Any

from darling_models.figures.intervals import Interval
from darling_models.figures.tables import markdown
from darling_models.protocol import OperatingPoint
from darling_models.training.head.corpus import Corpus

THRESHOLDS = (
    "Each threshold has the least loss on held-out pairs:\n\n"
    "| threshold | value | loss |\n|---|---|---|\n"
    "| `balanced` (default) | {balanced} | mean of both classes' error rates |\n"
    "| `precision` | {precision} | 1 - F(1/2) |\n"
    "| `recall` | {recall} | 1 - F(2) |"
)

TEXT = """\
# Model card: an embedded equivalence classifier

This classifier decides whether two rollouts to one prompt are functionally equivalent, as its
labelers saw it.

- **Encoder**: all-MiniLM-L6-v2, {tuned}. It reads each text once; nothing is cut off.
- **Head**: the average of {seeds} networks with one hidden layer of {hidden} units, followed by
  Platt scaling. It reads {features} symmetric features of two texts and their prompt.
- **Data**: {pairs} labelled pairs from {labelers} labelers, {similar:.1%} of them similar, and
  {groups}. {padded} of the pairs are used a second time, padded on both sides with the same
  sentences of texts to other prompts. The seed is {seed}.
- **Files**: {files}; the figures are in `metrics.json`.

## Figures

The table gives means and 95 % bootstrap intervals. Every prediction is by an encoder and a head
that saw neither the pair nor its prompt; calibration and thresholds were chosen inside the training
folds.

{table}

![Reliability on held-out pairs](reliability.png)

{thresholds}

The default linkage is `{linkage}`{measured}.
"""
"""The card of a head that was fitted on somebody's labels, whose origin is not known here."""


def render(
    report: Mapping[str, Mapping[str, Interval]],
    choices: Mapping[str, Any],
    thresholds: Mapping[OperatingPoint, float],
    corpus: Corpus,
) -> str:
    """The model card as Markdown."""
    tuning = choices["tuning"]
    return TEXT.format(
        features=corpus.features.shape[1],
        pairs=len(corpus.similar),
        padded=len(corpus.padded),
        labelers=int(corpus.labeler.max()) + 1,
        similar=float(corpus.similar.mean()),
        groups=_groups(corpus),
        measured=": under it most pairs agree with the partitions of unseen prompts"
        if corpus.groups
        else ". It was not measured, because there were no partitioned groups",
        table=markdown(report),
        thresholds=THRESHOLDS.format(**{str(name): value for name, value in thresholds.items()}),
        tuned=_origin(tuning, corpus),
        files="`encoder.safetensors` (tuned layers), `head.safetensors`, `head.json`"
        if corpus.tuned.layers
        else "`head.safetensors`, `head.json`",
        **{name: choices[name] for name in ("seed", "seeds", "hidden", "linkage")},
    )


def _groups(corpus: Corpus) -> str:
    if not corpus.groups:
        return "no partitioned groups"
    prompts = len({group.prompt for group in corpus.groups})
    return (
        f"{len(corpus.groups)} partitioned groups over {prompts} prompts, whose labels are "
        "softened, and corrected where the words of a short pair refute them"
    )


def _origin(tuning: Mapping[str, Any] | None, corpus: Corpus) -> str:
    """How the encoder came to be as it is."""
    if tuning is None:
        begun = "with the tuned layers of the classifier that training began with"
        return begun if corpus.tuned.layers else "as published"
    lessons = f"{tuning['teacher']} teacher's groups and " if corpus.groups else ""
    return (
        f"its upper {tuning['layers']} layers tuned for {tuning['steps']} steps of {lessons}"
        f"{tuning['human']} human pairs each, by late interaction of projected tokens"
    )
