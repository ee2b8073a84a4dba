"""`darling-reward train`; `darling_models.training.head` does the work."""

import argparse
from pathlib import Path

from darling_service.cli.numbers import SEED, integer, number

NAME = "train"
SUMMARY = "fit the embedded classifier on labelled pairs"
EXAMPLE = "darling-reward train --pairs labels.jsonl --out my-classifier --tune --work work"
EXTRA = "train"
RESUMES = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pairs",
        required=True,
        type=Path,
        metavar="FILE",
        help="JSON lines file of labelled pairs, .gz or plain",
    )
    parser.add_argument(
        "--groups",
        type=Path,
        metavar="FILE",
        help="JSON lines file of groups that a teacher has partitioned",
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="folder to write the artefact to"
    )
    parser.add_argument(
        "--tune", action="store_true", help="tune the encoder's upper layers as well as the head"
    )
    parser.add_argument(
        "--keep-aside",
        type=number(0, 1, below=True),
        default=0.0,
        metavar="SHARE",
        help="share of the prompts kept aside while tuning, to stop early; from 0 to below 1, "
        "default: 0",
    )
    parser.add_argument(
        "--work",
        type=Path,
        metavar="DIR",
        help="folder where an interrupted run keeps its work; the same command goes on there",
    )
    parser.add_argument(
        "--folds",
        type=integer(2),
        default=10,
        metavar="N",
        help="folds of the cross-validation by prompt; at least 2, default: 10",
    )
    parser.add_argument(
        "--seed", type=SEED, default=0, metavar="N", help="seed of all randomness; default: 0"
    )


def run(arguments: argparse.Namespace) -> int:
    from darling_models.training.encoder.tuning import TuningRecipe
    from darling_models.training.head.command import train

    train(
        arguments.pairs,
        arguments.groups,
        arguments.out,
        arguments.work,
        arguments.seed,
        tuning=TuningRecipe(kept_aside=arguments.keep_aside) if arguments.tune else None,
        folds=arguments.folds,
    )
    return 0
