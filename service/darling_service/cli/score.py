"""`darling-reward score`; `offline` does the work."""

import argparse

from darling_service.cli.settings_flags import add_settings, read_settings

NAME = "score"
SUMMARY = "score a file of groups offline, as /v1/rewards would"
EXAMPLE = """darling-reward score groups.jsonl.gz rewards.jsonl \\
      --options '{"reward": {"advantage": "centered"}}'

A line of IN:
  {"prompt": "Name a city.", "rollouts": ["Lisbon", "Kyoto"], "quality": [0.9, 0.7]}"""
EXTRA = ""
RESUMES = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input", metavar="IN", help="JSON lines file of groups, .gz or plain; - reads stdin"
    )
    parser.add_argument(
        "output",
        metavar="OUT",
        help="JSON lines file of answers; resumed if it exists; - writes stdout",
    )
    parser.add_argument(
        "--options",
        default="{}",
        metavar="JSON",
        help="fields of a /v1/rewards request beside its groups; default: {}",
    )
    parser.add_argument(
        "--rollouts-field",
        default="rollouts",
        metavar="NAME",
        help="field of a line that holds the rollouts; default: rollouts",
    )
    parser.add_argument(
        "--quality-field",
        default="quality",
        metavar="NAME",
        help="field of a line that holds the quality column; default: quality",
    )
    add_settings(parser, server=False)


def run(arguments: argparse.Namespace) -> int:
    from darling_service.offline import Columns, score_file

    columns = Columns(arguments.rollouts_field, arguments.quality_field)
    settings = read_settings(arguments)
    return score_file(arguments.input, arguments.output, settings, columns, arguments.options)
