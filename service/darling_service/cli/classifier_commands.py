"""The flags of `train-cross-encoder`, `evaluate-classifier` and `label`.

What they do is in `models`, imported late.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from darling_models.protocol import OperatingPoint, Threshold

LINES = "JSON lines, .gz or plain"


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    fields = "prompt, generation_0, generation_1, similar, labeler"
    parser.add_argument(
        "--pairs", required=True, type=Path, metavar="FILE", help=f"{LINES}: {fields}"
    )
    for name, fields in (
        ("--groups", "prompt, generations, partition"),
        ("--different", "problem, solutions by different methods"),
        ("--same-problem", "question, responses"),
    ):
        parser.add_argument(name, type=Path, metavar="FILE", help=f"{LINES}: {fields}")
    parser.add_argument("--model", default="embedded", help="default: embedded")
    parser.add_argument(
        "--threshold",
        type=threshold,
        metavar="P",
        help="a number, or balanced, precision or recall; default: the model's own",
    )
    parser.add_argument("--device", default="cpu", help="default: cpu")
    parser.add_argument(
        "--baselines",
        metavar="NAMES",
        help="comma-separated; default: all of unigram,ngram,tfidf,rouge1,minilm; '' for none",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="for evaluation.json and plots")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--max-pairs", type=int, metavar="N", help="a random sample of the pairs")
    parser.add_argument(
        "--max-groups", type=int, metavar="N", help="likewise of groups and of maths problems"
    )
    parser.add_argument(
        "--max-lengthened",
        type=int,
        default=100,
        metavar="N",
        help="pairs brought to each length, 0 for none (default 100)",
    )
    parser.add_argument("--seed", type=int, default=0)


def threshold(given: str) -> "Threshold":
    """A number if it is one, else a name, which the model then knows or refuses."""
    try:
        return float(given)
    except ValueError:
        return cast("OperatingPoint", given)


def evaluate(given: argparse.Namespace) -> int:
    from darling_models.evaluation.command import Files, Limits, evaluate
    from darling_models.evaluation.contenders import BASELINES
    from darling_models.options import ModelOptions

    chosen = given.baselines
    return evaluate(
        given.model,
        Files(given.pairs, given.groups, given.different, given.same_problem),
        Limits(given.max_pairs, given.max_groups, given.max_lengthened, given.seed),
        BASELINES if chosen is None else tuple(name for name in chosen.split(",") if name),
        given.out,
        given.json,
        ModelOptions(threshold=given.threshold, device=given.device),
    )


def add_train_cross_encoder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--base", default="", metavar="PATH", help="a folder or hub id; default: the wheel's MiniLM"
    )
    parser.add_argument("--pairs", required=True, type=Path, metavar="FILE", help="labelled pairs")
    parser.add_argument("--groups", type=Path, metavar="FILE", help="groups a teacher partitioned")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="for the checkpoint")
    parser.add_argument(
        "--work", type=Path, metavar="DIR", help="where a stopped run keeps its work, and goes on"
    )
    parser.add_argument(
        "--max-tokens-per-text", type=int, default=254, help="tokens a side; default 254"
    )
    parser.add_argument("--template", help="such as [CLS]{a}[SEP]{b}[SEP]")
    parser.add_argument("--teacher-pairs", type=int, default=5000, help="default 5000")
    parser.add_argument("--epochs", type=int, default=3, help="over people's pairs; default 3")
    parser.add_argument("--learning-rate", type=float, default=5e-5, help="default 5e-5")
    parser.add_argument("--lora", type=int, default=0, metavar="RANK", help="0 trains all weights")
    parser.add_argument("--device", default="cpu", help="default: cpu")
    parser.add_argument("--seed", type=int, default=0)


def train_cross_encoder(given: argparse.Namespace) -> int:
    from darling_models.training.cross_encoder.command import (
        CrossEncoderRecipe,
        train_cross_encoder,
    )

    recipe = CrossEncoderRecipe(
        max_tokens_per_text=given.max_tokens_per_text,
        template=given.template,
        teacher_pairs=given.teacher_pairs,
        human_epochs=given.epochs,
        learning_rate=given.learning_rate,
        lora=given.lora,
    )
    train_cross_encoder(
        given.base,
        given.pairs,
        given.groups,
        given.out,
        given.work,
        given.seed,
        recipe,
        given.device,
    )
    return 0


def add_label(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=Path, metavar="IN", help=f"groups, {LINES}")
    parser.add_argument(
        "output", type=Path, metavar="OUT", help="labelled pairs for train; added to if it exists"
    )
    parser.add_argument("--judge", required=True, metavar="NAME", help="any model, as for serve")
    parser.add_argument(
        "--judge-threshold", type=float, metavar="P", help="similar above it; default: the judge's"
    )
    parser.add_argument(
        "--model", default="embedded", help="whose uncertain pairs are labelled (default embedded)"
    )
    parser.add_argument("--pairs", type=int, default=500, metavar="N", help="default 500")
    parser.add_argument(
        "--random-share",
        type=float,
        default=0.25,
        metavar="SHARE",
        help="of pairs drawn at random instead (default 0.25)",
    )
    parser.add_argument("--prompt-field", default="prompt", help="the field with the prompt")
    parser.add_argument("--rollouts-field", default="rollouts", help="the field with the rollouts")
    parser.add_argument("--device", default="cpu", help="default: cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--yes", action="store_true", help="go on after the estimate of the cost")


def label(given: argparse.Namespace) -> int:
    from darling_models.labelling.command import Request, label

    if not 0 <= given.random_share <= 1:
        raise SystemExit("darling-reward label: --random-share is a number from 0 to 1")
    request = Request(
        source=given.input,
        target=given.output,
        judge=given.judge,
        judge_threshold=given.judge_threshold,
        model=given.model,
        pairs=given.pairs,
        random_share=given.random_share,
        prompt_field=given.prompt_field,
        rollouts_field=given.rollouts_field,
        device=given.device,
        seed=given.seed,
    )
    return label(request, given.yes)
