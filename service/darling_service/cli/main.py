"""The command `darling-reward`. Heavy imports wait until a command needs them."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darling_service import __version__
from darling_service.cli import classifier_commands
from darling_service.cli import evaluate as evaluate_command

if TYPE_CHECKING:
    from darling_service.settings import Settings


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the process's exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="darling-reward",
        description="Diversity-scaled rewards for RL post-training of language models.",
    )
    parser.add_argument("--version", action="version", version=f"darling-reward {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    chosen = next((word for word in arguments if not word.startswith("-")), None)

    serve = commands.add_parser("serve", help="run the HTTP service")
    score = commands.add_parser("score", help="score JSON lines of groups, offline")
    evaluate = commands.add_parser(
        "evaluate", help="measure quality and variety of rollouts, or compare two files of them"
    )
    commands.add_parser("models", help="list the classifiers that can be loaded")
    _add_train(commands.add_parser("train", help="fit the embedded classifier on labelled data"))
    classifier_commands.add_train_cross_encoder(
        commands.add_parser("train-cross-encoder", help="fine-tune a checkpoint on labelled data")
    )
    classifier_commands.add_evaluate(
        commands.add_parser("evaluate-classifier", help="measure a classifier on labelled data")
    )
    classifier_commands.add_label(
        commands.add_parser("label", help="have a judge label pairs of your own rollouts")
    )
    configured = {"serve": serve, "score": score, "evaluate": evaluate}
    if chosen in configured:
        _add_settings(configured[chosen], chosen)
    _add_score(score)
    evaluate_command.add_arguments(evaluate)

    given = parser.parse_args(arguments)
    if given.command == "models":
        return _models()
    if given.command == "train":
        return _explained(given.command, lambda: _train(given))
    if given.command == "train-cross-encoder":
        return _explained(given.command, lambda: classifier_commands.train_cross_encoder(given))
    if given.command == "evaluate-classifier":
        return _explained(given.command, lambda: classifier_commands.evaluate(given))
    if given.command == "label":
        return classifier_commands.label(given)
    settings = _settings(given, configured[given.command])
    if given.command == "evaluate":
        return _explained(given.command, lambda: evaluate_command.evaluate(given, settings))
    if given.command == "serve":
        from darling_service.server import run

        return run(settings)
    from darling_service.offline import Columns, score_file

    columns = Columns(given.rollouts_field, given.quality_field)
    return score_file(given.input, given.output, settings, columns, given.options)


def _add_score(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", metavar="IN", help="JSON lines, .gz or plain; - for stdin")
    parser.add_argument("output", metavar="OUT", help="JSON lines; resumed if it exists; - stdout")
    parser.add_argument(
        "--options",
        default="{}",
        metavar="JSON",
        help='what a /v1/rewards request may say beside its groups, such as {"reward": {...}}',
    )
    parser.add_argument(
        "--rollouts-field", default="rollouts", help="the field that holds the rollouts"
    )
    parser.add_argument(
        "--quality-field", default="quality", help="the field that holds the quality column"
    )


def _add_settings(parser: argparse.ArgumentParser, command: str) -> None:
    from darling_service.settings import SERVER_ONLY, Settings

    for name, field in Settings.model_fields.items():
        if command == "serve" or name not in SERVER_ONLY:
            default = "" if field.default is None else f" (default {field.default})"
            parser.add_argument(
                f"--{name.replace('_', '-')}",
                dest=f"set_{name}",
                metavar="VALUE",
                help=f"{field.description}{default} [DARLING_{name.upper()}]".replace("%", "%%"),
            )


def _settings(given: argparse.Namespace, parser: argparse.ArgumentParser) -> "Settings":
    from pydantic import ValidationError

    from darling_service.settings import Settings

    chosen: dict[str, Any] = {
        name.removeprefix("set_"): value
        for name, value in vars(given).items()
        if name.startswith("set_") and value is not None
    }
    try:
        return Settings(**chosen)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        parser.error(
            f"--{name.replace('_', '-')} (DARLING_{name.upper()}): {first['msg']}; "
            f"got {first['input']!r}"
        )


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pairs", required=True, type=Path, metavar="FILE", help="labelled pairs, JSON lines"
    )
    parser.add_argument(
        "--groups", type=Path, metavar="FILE", help="groups partitioned by a teacher, if any"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="for the artefact")
    parser.add_argument("--tune", action="store_true", help="also tune the encoder's upper layers")
    parser.add_argument(
        "--keep-aside",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="of the prompts, while tuning, to stop early (default 0)",
    )
    parser.add_argument(
        "--work",
        type=Path,
        metavar="DIR",
        help="where a stopped run keeps its work, and goes on",
    )
    parser.add_argument("--folds", type=int, default=10, help="of the cross-validation by prompt")
    parser.add_argument("--seed", type=int, default=0)


def _train(given: argparse.Namespace) -> int:
    from darling_models.training.encoder.tuning import TuningRecipe
    from darling_models.training.head.command import train

    train(
        given.pairs,
        given.groups,
        given.out,
        given.work,
        given.seed,
        tuning=TuningRecipe(kept_aside=given.keep_aside) if given.tune else None,
        folds=given.folds,
    )
    return 0


def _explained(command: str, work: Callable[[], int]) -> int:
    """What a command of the training extra could not use is one line for people."""
    from darling_models.errors import ModelError

    try:
        return work()
    except ImportError as error:
        reason = f"{error}; pip install 'darling-reward[train]'"
    except (OSError, ValueError, ModelError) as error:
        reason = str(error)
    print(f"darling-reward {command}: {reason}", file=sys.stderr)
    return 2


def _models() -> int:
    from darling_models.registry import CATALOGUE

    width = max(map(len, CATALOGUE))
    for name, description in CATALOGUE.items():
        print(f"{name:{width}}  {description}")
    return 0
