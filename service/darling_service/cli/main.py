"""The entry point of `darling-reward`: picks a command, runs it, and ends it.

Heavy imports wait until a command runs, so that `--help` answers at once.
"""

import argparse
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Protocol

from darling_service import __version__
from darling_service.cli import (
    doctor,
    evaluate,
    evaluate_classifier,
    label,
    look,
    make_key,
    models,
    report,
    score,
    serve,
    size,
    train,
    train_cross_encoder,
)

FAILED = 2
"""Exit status of a command that could not do its work."""
INTERRUPTED = 130
"""Exit status after an interrupt, by the shells' convention: 128 + SIGINT."""


class Command(Protocol):
    """What a module of this package says of its command."""

    NAME: str
    SUMMARY: str
    EXAMPLE: str
    EXTRA: str
    """Name of the extra that its imports need; empty if they need none."""
    RESUMES: bool
    """Whether the same command goes on where an interrupted one stopped."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, arguments: argparse.Namespace) -> int: ...


COMMANDS: tuple[Command, ...] = (
    serve,
    score,
    look,
    report,
    evaluate,
    models,
    doctor,
    size,
    train,
    train_cross_encoder,
    evaluate_classifier,
    label,
    make_key,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the process's exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if isinstance(
        sys.stdout, TextIOWrapper
    ):  # a terminal may lack an arrow, or a file name's bytes
        sys.stdout.reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(
        prog="darling-reward",
        description="Diversity-scaled rewards for RL post-training of language models.",
        epilog="`darling-reward COMMAND --help` explains a command and gives an example.",
    )
    parser.add_argument("--version", action="version", version=f"darling-reward {__version__}")
    parsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    first = next((word for word in words if not word.startswith("-")), None)
    for command in COMMANDS:
        own = parsers.add_parser(
            command.NAME,
            help=command.SUMMARY,
            description=f"{command.SUMMARY[0].upper()}{command.SUMMARY[1:]}.",
            epilog=f"Example:\n  {command.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if first == command.NAME:  # the arguments of other commands may need heavy imports
            command.add_arguments(own)
    arguments = parser.parse_args(words)
    return _run({command.NAME: command for command in COMMANDS}[arguments.command], arguments)


def _run(command: Command, arguments: argparse.Namespace) -> int:
    """Runs the command; whatever keeps it from its work is one line on standard error."""
    from darling_models.errors import ModelFault
    from darling_models.extras import how_to_install

    try:
        return command.run(arguments)
    except KeyboardInterrupt:
        reason = "interrupted"
        if command.RESUMES:
            reason += "; run the same command to go on"
        status = INTERRUPTED
    except ImportError as error:
        if not command.EXTRA:
            raise
        reason = f"{error}; {how_to_install(command.EXTRA)}"
        status = FAILED
    except (ModelFault, ValueError, OSError) as error:
        reason, status = str(error), FAILED
    complain(command.NAME, reason)
    return status


def complain(command: str, reason: object) -> None:
    """Says on standard error why the command could not do its work."""
    print(f"darling-reward {command}: {reason}", file=sys.stderr)
