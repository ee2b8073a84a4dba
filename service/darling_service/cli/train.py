"""`darling-reward train`; `darling_models.training.head` does the work."""

import argparse
from pathlib import Path

from darling_models.extras import require
from darling_service.cli.numbers import integer, number
from darling_service.cli.shared_flags import PAIRS_FORMAT, add_seed, add_training_files

NAME = "train"
SUMMARY = "fit the embedded classifier on labelled pairs"
EXAMPLE = "darling-reward train --pairs labels.jsonl --out my-classifier --tune --work work"
EXAMPLE += PAIRS_FORMAT
EXTRA = "train"
RESUMES = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_training_files(parser, writes="artefact")
    parser.add_argument(
        "--tune", action="store_true", help="tune the encoder's upper layers as well as the head"
    )
    parser.add_argument(
        "--encoder",
        type=Path,
        metavar="DIR",
        help="folder of a trained classifier whose encoder reads the texts, unless --tune is "
        "given; it must not have been tuned on these labels; default: the built-in one",
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
        "--folds",
        type=integer(2),
        default=10,
        metavar="N",
        help="folds of the cross-validation by prompt; at least 2, default: 10",
    )
    add_seed(parser)


def run(arguments: argparse.Namespace) -> int:
    require(EXTRA, ["matplotlib", *(["accelerate"] if arguments.tune else [])])
    from darling_models.embedded.classifier import ARTEFACT
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
        text=arguments.text,
        encoder=arguments.encoder or ARTEFACT,
    )
    return 0
