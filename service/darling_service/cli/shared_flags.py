"""Flags that several commands have in common."""

import argparse
from pathlib import Path
from typing import get_args

from darling_models.texts.rule import TextRule
from darling_service.cli.numbers import SEED

PAIRS_FORMAT = """

A line of the file of pairs, where similar is 0 or 1:
  {"prompt": "Name a city.", "generation_0": "Lisbon", "generation_1": "Kyoto", "similar": 0,
   "labeler": "Ann"}"""
"""End of the help of commands that read labelled pairs."""


def add_training_files(
    parser: argparse.ArgumentParser, *, writes: str, needs_pairs: bool = True
) -> None:
    """Flags for the labelled data and for what a training command `writes`."""
    parser.add_argument(
        "--pairs",
        required=needs_pairs,
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
    add_text(parser)
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help=f"folder to write the {writes} to"
    )
    parser.add_argument(
        "--work",
        type=Path,
        metavar="DIR",
        help="folder where an interrupted run keeps its work; the same command goes on there",
    )


def add_report(parser: argparse.ArgumentParser) -> None:
    """Flags for where the figures of an evaluation go."""
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder to write evaluation.json and plots to"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def add_text(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--text",
        choices=get_args(TextRule),
        default="answer",
        help="what of each rollout is compared: what follows the reasoning (answer), the same of "
        "the last turn (last), the reasoning, all of the policy's own words (assistant), or "
        "everything (all); default: answer",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device", default="cpu", help="torch device, such as cpu or cuda; default: cpu"
    )


def add_seed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seed", type=SEED, default=0, metavar="N", help="seed of all randomness; default: 0"
    )
