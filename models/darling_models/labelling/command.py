"""`darling-reward label`: pairs of one's own rollouts, labelled by a judge, for `train` to read.

First it says what the labels will cost; with `--yes` it goes on. Labels are appended in one fixed
order and pairs already in OUT are left out, so that an interrupted run picks up where it stopped
and a bigger `--pairs` adds to what is there.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from darling_models.errors import ModelError
from darling_models.json_lines import cut_incomplete_line
from darling_models.keys import pair_key
from darling_models.labelled_data import COMPARED, read_pairs
from darling_models.labelling.candidates import Candidate, in_order_of_use, read_questions
from darling_models.options import ModelOptions
from darling_models.progress import progress
from darling_models.protocol import (
    ONE_PAIR,
    EquivalenceClassifier,
    probabilities_of,
    run_units,
)
from darling_models.registry import load
from darling_models.texts.rule import TextRule

BATCH = 16
"""Pairs the judge gets at a time, which an interruption can lose; they are then asked again."""
TOKENS_OUT = 16
"""Tokens assumed for a verdict; a judge that explains itself writes more."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to label, and how."""

    source: Path
    target: Path
    judge: str
    judge_threshold: float | None = None
    model: str = "embedded"
    pairs: int = 500
    random_share: float = 0.25
    prompt_field: str = "prompt"
    rollouts_field: str = "rollouts"
    text: TextRule = "answer"
    """What of each rollout is compared."""
    device: str = "cpu"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """An estimate, at four bytes a token."""

    pairs: int
    calls: int
    tokens_in: int
    tokens_out: int

    def __str__(self) -> str:
        if not self.calls:
            return f"{self.pairs} pairs to label; the judge needs no model"
        return (
            f"{self.pairs} pairs to label: {self.calls} calls, about {self.tokens_in} tokens in "
            f"and {self.tokens_out} out"
        )


def label(request: Request, confirmed: bool) -> None:
    """Prints the cost and, when confirmed, labels. Raises `ModelError`, `OSError`."""
    questions = read_questions(
        request.source, request.prompt_field, request.rollouts_field, request.text
    )
    model = load(request.model, ModelOptions(device=request.device))
    judge = load(
        request.judge, ModelOptions(device=request.device, threshold=request.judge_threshold)
    )
    wanted = in_order_of_use(model, questions, request.random_share, request.seed)
    done = _labelled(request.target, request.text)
    known = sum(candidate.key in done for candidate in wanted)
    fresh = [candidate for candidate in wanted if candidate.key not in done]
    todo = fresh[: max(request.pairs - known, 0)]
    print(f"{len(wanted)} distinct pairs, {known} of them labelled already")
    print(cost(judge, todo))
    if not todo:
        return
    if not confirmed:
        print("nothing labelled yet: run it again with --yes to go on")
        return
    with request.target.open("ab") as out:
        similar = _ask(judge, todo, request.text, out)
    print(f"{len(todo)} pairs labelled in {request.target}, {similar} of them similar")


def cost(judge: EquivalenceClassifier, candidates: Sequence[Candidate]) -> Cost:
    """What the judge will read and write: one call for each of its units."""
    units = {
        unit.key: unit.tokens
        for c in candidates
        for unit in judge.plan(c.prompt, (c.a, c.b), ONE_PAIR).units
    }
    return Cost(len(candidates), len(units), sum(units.values()), len(units) * TOKENS_OUT)


def _ask(
    judge: EquivalenceClassifier, candidates: Sequence[Candidate], rule: TextRule, out: IO[bytes]
) -> int:
    """Writes a line for each candidate, batch by batch; the number of similar ones."""
    similar = 0
    with progress(total=len(candidates), unit="pair", desc="label") as bar:
        for start in range(0, len(candidates), BATCH):
            batch = candidates[start : start + BATCH]
            plans = [judge.plan(c.prompt, (c.a, c.b), ONE_PAIR) for c in batch]
            try:
                results = run_units(judge, (unit for plan in plans for unit in plan.units))
            except Exception as error:  # a judge may be anything, over any network
                raise ModelError(
                    f"the judge failed: {error}; {start} labels are kept, run the same command to "
                    "go on"
                ) from error
            for c in batch:
                p = float(probabilities_of(judge, c.prompt, (c.a, c.b), ONE_PAIR, results)[0])
                row = _row(c, rule, p, judge)
                similar += row["similar"]
                out.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
            out.flush()
            bar.update(len(batch))
    return similar


def _row(
    candidate: Candidate, rule: TextRule, probability: float, judge: EquivalenceClassifier
) -> dict[str, Any]:
    """What `train` reads, and the judge's probability for whoever wants to look."""
    return {
        "prompt": candidate.prompt,
        "generation_0": candidate.a,
        "generation_1": candidate.b,
        COMPARED: rule,
        "similar": int(probability > judge.info.threshold),
        "labeler": f"{judge.info.id}@{judge.info.revision}",
        "probability": round(probability, 6),
    }


def _labelled(target: Path, rule: TextRule) -> set[bytes]:
    """Keys of the pairs in `target`, whose incomplete last line, of a killed run, is cut off."""
    if not target.exists():
        return set()
    try:
        cut_incomplete_line(target)
        pairs = read_pairs(target, rule, may_be_empty=True)
    except ValueError as error:
        raise ModelError(f"OUT does not hold labelled pairs: {error}; choose another OUT") from None
    return {pair_key(pair.prompt, pair.a, pair.b) for pair in pairs}
