"""`darling-reward make-key`: a new API key, and the line by which a service knows it."""

import argparse
import sys

from darling_service.cli.numbers import integer, number

NAME = "make-key"
SUMMARY = "make an API key, and print its line for the file of keys"
EXAMPLE = "darling-reward make-key alice --max-in-flight 512"
EXTRA = ""
RESUMES = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", help="whose key it is; another key of the same name has the same runs"
    )
    parser.add_argument(
        "--max-per-second",
        type=number(0, above=True),
        metavar="N",
        help="limit of requests a second, of which one second's worth may come at once",
    )
    parser.add_argument(
        "--max-in-flight",
        type=integer(1),
        metavar="N",
        help="limit of requests that are being answered at one time; a rollout that waits for its "
        "siblings counts",
    )


def run(arguments: argparse.Namespace) -> int:
    from darling_service.keys import Limits, new_key

    limits = Limits(arguments.max_per_second, arguments.max_in_flight)
    key, kept = new_key(arguments.name, limits)
    print(kept.line())
    print(f"the key, which is kept nowhere: {key}", file=sys.stderr)
    return 0
