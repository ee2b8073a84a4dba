"""`darling-reward look`; `darling_service.looking` does the work."""

import argparse
from pathlib import Path

from darling_service.cli.numbers import integer
from darling_service.cli.settings_flags import add_settings, read_settings

NAME = "look"
SUMMARY = "show groups of a file in the terminal, each class in a colour"
EXAMPLE = """darling-reward look groups.jsonl --first 12 --count 1 --full

A line of FILE, of which all but prompt and rollouts may be left out:
  {"prompt": "Name a city.", "rollouts": ["Lisbon", "Kyoto"], "quality": [0.9, 0.7]}"""
EXTRA = ""
RESUMES = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="JSON lines file, .gz or plain, of the groups that evaluate reads: prompt and "
        "rollouts (or generations, responses), and quality, correct, answers or partition columns "
        "where there are any",
    )
    parser.add_argument(
        "--first",
        type=integer(1),
        default=1,
        metavar="LINE",
        help="number of the first line that is shown, from 1; default: 1",
    )
    parser.add_argument(
        "--count",
        type=integer(1),
        default=10,
        metavar="N",
        help="number of groups that are shown, at least 1; default: 10",
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="show texts to their ends and with their line breaks; default: their beginnings",
    )
    parser.add_argument(
        "--repartition",
        action="store_true",
        help="have the model partition all groups, also those that have a partition",
    )
    add_settings(parser, server=False)


def run(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from darling_service.looking.file import classified, read_lines
    from darling_service.looking.terminal import show

    settings = read_settings(arguments)
    lines = read_lines(arguments.file, settings.text, arguments.first, arguments.count)
    groups = classified(arguments.file, lines, settings, repartition=arguments.repartition)
    console = Console(highlight=False)
    for group in groups:
        show(console, group, full=arguments.full)
    return 0
