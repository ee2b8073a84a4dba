"""`darling-reward score`; `offline` does the work."""

import argparse

from darling_service.cli.engine_flags import add_engine, ray_cluster
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
        "input",
        nargs="+",
        metavar="IN",
        help="JSON lines file of groups, .gz or plain; - reads stdin. Several files, a folder or a "
        "quoted pattern such as 'corpus/*.jsonl.gz' are scored file by file",
    )
    parser.add_argument(
        "output",
        metavar="OUT",
        help="JSON lines file of answers; - writes stdout. One that the same command has begun is "
        "gone on with, and its lines with an error are scored again. Where IN is not one file: "
        "folder of a file of answers for each file of IN, under its name without .gz",
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
    parser.add_argument(
        "--overwrite", action="store_true", help="drop the answers that OUT holds, and start anew"
    )
    add_engine(parser)
    add_settings(parser, server=False)


def run(arguments: argparse.Namespace) -> int:
    from darling_service.offline import Scoring, score_files
    from darling_service.scored_lines import Columns

    scoring = Scoring(
        sources=arguments.input,
        target=arguments.output,
        columns=Columns(arguments.rollouts_field, arguments.quality_field),
        options=arguments.options,
        overwrite=arguments.overwrite,
    )
    settings = read_settings(arguments)
    if cluster := ray_cluster(arguments):
        from darling_service.ray_data import scoring as on_ray

        return on_ray.score_files(scoring, settings, cluster)
    return score_files(scoring, settings)
