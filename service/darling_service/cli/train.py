"""`darling-reward train`; `darling_models.training.head` does the work."""

import argparse
from pathlib import Path

from darling_models.extras import require
from darling_service.cli.numbers import integer, number
from darling_service.cli.shared_flags import (
    PAIRS_FORMAT,
    add_device,
    add_seed,
    add_training_files,
)

NAME = "train"
SUMMARY = "fit the embedded classifier on labelled pairs and groups"
EXAMPLE = "darling-reward train --pairs labels.jsonl --out my-classifier --tune --work work"
EXAMPLE += PAIRS_FORMAT
EXTRA = "train"
RESUMES = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_training_files(parser, writes="artefact", needs_pairs=False)
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder of the files that the recipe names, in place of --pairs and --groups",
    )
    parser.add_argument(
        "--recipe",
        type=Path,
        metavar="FILE",
        help="TOML file of the sources to train on and what their labels are worth; default: the "
        "one of the built-in classifier",
    )
    parser.add_argument("--tune", action="store_true", help="tune the encoder as well as the head")
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
        default=5,
        metavar="N",
        help="folds of the cross-validation by prompt; at least 2, default: 5",
    )
    add_device(parser)
    add_seed(parser)


def run(arguments: argparse.Namespace) -> int:
    if (arguments.data is None) == (arguments.pairs is None):
        raise ValueError("give either --pairs, or --data for the files of a recipe")
    if arguments.data is None and arguments.recipe is not None:
        raise ValueError("--recipe names files; give their folder with --data")
    if arguments.data is not None and arguments.groups is not None:
        raise ValueError("--groups goes with --pairs; with --data, name the file in a recipe")
    require(EXTRA, ["matplotlib", *(["accelerate"] if arguments.tune else [])])
    from darling_models.embedded.classifier import ARTEFACT
    from darling_models.training.encoder.tuning import TuningRecipe
    from darling_models.training.head.command import train
    from darling_models.training.sources import DEFAULT_RECIPE, read_recipe, user_sources

    if arguments.data is None:
        sources = user_sources(arguments.pairs, arguments.groups)
    else:
        sources = read_recipe(arguments.recipe or DEFAULT_RECIPE)
    train(
        sources,
        arguments.data or Path(),
        arguments.out,
        arguments.work,
        arguments.seed,
        tuning=TuningRecipe(kept_aside=arguments.keep_aside) if arguments.tune else None,
        folds=arguments.folds,
        encoder=arguments.encoder or ARTEFACT,
        text=arguments.text,
        device=arguments.device,
    )
    return 0
