"""`darling-reward report`; `darling_service.looking` does the work."""

import argparse
from pathlib import Path

from darling_service.cli.numbers import integer
from darling_service.cli.settings_flags import PREFIX, add_settings, read_settings

NAME = "report"
SUMMARY = "write a run, or a file of groups, as one page with its curves and a sample of groups"
EXAMPLE = """darling-reward report rollouts.jsonl -o report.html

A run that the service has recorded:
  darling-reward report exp-7 --history-url sqlite:////PATH/history.db -o report.html

A line of a FILE, of which all but prompt and rollouts may be left out:
  {"step": 120, "prompt": "Name a city.", "rollouts": ["Lisbon", "Kyoto"], "quality": [0.9, 0.7]}"""
EXTRA = ""
RESUMES = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="RUN|FILE",
        help="name of a run that the service has recorded, or a JSON lines file, .gz or plain, of "
        "the groups that evaluate reads; a line may have its training step in `step`, else each "
        "line is a step of its own",
    )
    parser.add_argument(
        "-o", "--out", required=True, type=Path, metavar="HTML", help="file to write the page to"
    )
    parser.add_argument(
        "--groups",
        type=integer(0),
        default=40,
        metavar="N",
        help="groups that the page shows, spread over the steps; at least 0, default: 40",
    )
    parser.add_argument(
        "--history-url",
        dest=f"{PREFIX}history_url",
        metavar="URL",
        help="store of the service's history, such as sqlite:////var/lib/darling/history.db "
        "[DARLING_HISTORY_URL]",
    )
    parser.add_argument(
        "--repartition",
        action="store_true",
        help="have the model partition all groups of a FILE, also those that have a partition",
    )
    add_settings(parser, server=False)


def run(arguments: argparse.Namespace) -> int:
    from darling_service.looking.report import written
    from darling_service.looking.run import recorded_run, run_of_file

    settings, path, out = read_settings(arguments), Path(arguments.source), arguments.out
    if out.is_dir() or not out.parent.is_dir():
        raise ValueError(f"--out: {out} is no file in a folder that exists; choose another")
    # A folder may have a run's name, as that of its checkpoints.
    is_file = path.exists() and not path.is_dir()
    if is_file and out.exists() and path.samefile(out):
        raise ValueError("FILE and --out are the same file; choose another --out")
    if is_file:
        shown = run_of_file(path, settings, arguments.groups, repartition=arguments.repartition)
        source = f"The groups of {path.name}."
    else:
        shown = recorded_run(settings, arguments.source, arguments.groups)
        source = "A training run, as the service has recorded it."
    out.write_text(written(shown, source), "utf-8")
    points, groups = len(shown.curve["steps"]), len(shown.groups)
    print(f"{out}: curves of {points} steps; groups shown: {groups}")
    return 0
