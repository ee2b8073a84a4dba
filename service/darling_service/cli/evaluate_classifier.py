"""`darling-reward evaluate-classifier`; `darling_models.evaluation` does the work."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, cast

from darling_models.extras import require
from darling_service.cli.numbers import SHARE, integer
from darling_service.cli.shared_flags import (
    PAIRS_FORMAT,
    add_device,
    add_report,
    add_seed,
    add_text,
)

if TYPE_CHECKING:
    from darling_models.protocol import OperatingPoint, Threshold

NAME = "evaluate-classifier"
SUMMARY = "measure a classifier and the baselines on labelled data"
EXAMPLE = """darling-reward evaluate-classifier --pairs test.jsonl \\
      --model embedded:my-classifier --out figures

A line of the file of behaviours, where rollouts of one class are equivalent:
  {"id": "cities-1", "category": "cities", "prompt": "Name a city.",
   "rollouts": ["Lisbon", "How about Lisbon?", "How about Kyoto?"], "classes": [0, 0, 1]}"""
EXAMPLE += PAIRS_FORMAT
EXTRA = "train"
RESUMES = False

OPERATING_POINTS = ("balanced", "precision", "recall")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pairs",
        type=Path,
        metavar="FILE",
        help="JSON lines file, .gz or plain, with prompt, generation_0, generation_1, similar and "
        "labeler in each line",
    )
    for name, fields in (
        ("--groups", "prompt, generations and partition"),
        ("--behaviours", "id, category, prompt, rollouts and classes"),
        ("--different", "problem, and solutions by different methods"),
        ("--same-problem", "question and responses"),
    ):
        parser.add_argument(
            name, type=Path, metavar="FILE", help=f"JSON lines file with {fields} in each line"
        )
    add_text(parser)
    parser.add_argument(
        "--wrappings",
        type=integer(1),
        default=0,
        metavar="N",
        help="number of short answers, of 200 that come with the package, to put into polite "
        "words at random and by a search, at least 1; default: none",
    )
    parser.add_argument(
        "--model",
        default="embedded",
        metavar="NAME",
        help="classifier to measure; default: embedded",
    )
    parser.add_argument(
        "--threshold",
        type=_threshold,
        metavar="P",
        help="probability above which a pair counts as equivalent, from 0 to 1, or balanced, "
        "precision or recall; default: the classifier's own",
    )
    parser.add_argument(
        "--notion",
        choices=("answer", "approach"),
        help="what makes two texts equivalent: that they say the same (answer), or that they use "
        "the same method (approach); baselines have no choice; default: the classifier's own",
    )
    add_device(parser)
    parser.add_argument(
        "--baselines",
        metavar="NAMES",
        help="names of baselines, separated by commas, '' to measure none; default: "
        "unigram,ngram,tfidf,rouge1,minilm",
    )
    add_report(parser)
    parser.add_argument(
        "--max-pairs",
        type=integer(1),
        metavar="N",
        help="number of pairs to draw at random, at least 1; default: all",
    )
    parser.add_argument(
        "--max-groups",
        type=integer(1),
        metavar="N",
        help="number of groups, of behaviours and of maths problems to draw at random, at least 1; "
        "default: all",
    )
    parser.add_argument(
        "--max-lengthened",
        type=integer(0),
        default=100,
        metavar="N",
        help="number of pairs brought to each length, 0 to skip this part; default: 100",
    )
    add_seed(parser)


def run(arguments: argparse.Namespace) -> int:
    require(EXTRA, ["matplotlib"] if arguments.out else [])
    from darling_models.evaluation.command import Files, Limits, evaluate
    from darling_models.evaluation.contenders import BASELINES
    from darling_models.options import ModelOptions

    names = arguments.baselines
    evaluate(
        arguments.model,
        Files(
            pairs=arguments.pairs,
            groups=arguments.groups,
            behaviours=arguments.behaviours,
            different=arguments.different,
            same_problem=arguments.same_problem,
            text=arguments.text,
        ),
        Limits(
            pairs=arguments.max_pairs,
            groups=arguments.max_groups,
            lengthened=arguments.max_lengthened,
            answers=arguments.wrappings,
            seed=arguments.seed,
        ),
        BASELINES if names is None else tuple(name for name in names.split(",") if name),
        arguments.out,
        arguments.json,
        ModelOptions(
            threshold=arguments.threshold, notion=arguments.notion, device=arguments.device
        ),
    )
    return 0


def _threshold(text: str) -> "Threshold":
    if text in OPERATING_POINTS:
        return cast("OperatingPoint", text)
    try:
        return SHARE(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, or {', '.join(OPERATING_POINTS)}") from None
