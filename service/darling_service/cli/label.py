"""`darling-reward label`; `darling_models.labelling` does the work."""

import argparse
from pathlib import Path

from darling_service.cli.numbers import SHARE, integer
from darling_service.cli.shared_flags import add_device, add_seed, add_text

NAME = "label"
SUMMARY = "have a model label pairs of your own rollouts, for train to read"
EXAMPLE = """darling-reward label rollouts.jsonl labels.jsonl \\
      --judge judge:gpt-4.1@https://api.openai.com/v1 --pairs 1000 --yes

A line of IN:
  {"prompt": "Name a city.", "rollouts": ["Lisbon", "Kyoto", "Lisbon, Portugal"]}"""
EXTRA = ""
RESUMES = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input", type=Path, metavar="IN", help="JSON lines file of groups, .gz or plain"
    )
    parser.add_argument(
        "output",
        type=Path,
        metavar="OUT",
        help="JSON lines file of labelled pairs; labels are added to it if it exists",
    )
    parser.add_argument(
        "--judge",
        required=True,
        metavar="NAME",
        help="model that labels; `darling-reward models` lists the names",
    )
    parser.add_argument(
        "--judge-threshold",
        type=SHARE,
        metavar="P",
        help="probability above which a pair is labelled similar, from 0 to 1; default: the "
        "judge's own",
    )
    parser.add_argument(
        "--model",
        default="embedded",
        metavar="NAME",
        help="model whose uncertain pairs are labelled; default: embedded",
    )
    parser.add_argument(
        "--pairs",
        type=integer(1),
        default=500,
        metavar="N",
        help="pairs to label, those in OUT included; at least 1, default: 500",
    )
    parser.add_argument(
        "--random-share",
        type=SHARE,
        default=0.25,
        metavar="SHARE",
        help="share of the pairs that is drawn at random instead, from 0 to 1; default: 0.25",
    )
    parser.add_argument(
        "--prompt-field",
        default="prompt",
        metavar="NAME",
        help="field of a line that holds the prompt; default: prompt",
    )
    parser.add_argument(
        "--rollouts-field",
        default="rollouts",
        metavar="NAME",
        help="field of a line that holds the rollouts; default: rollouts",
    )
    add_text(parser)
    add_device(parser)
    add_seed(parser)
    parser.add_argument(
        "--yes", action="store_true", help="label; without it only the estimated cost is printed"
    )


def run(arguments: argparse.Namespace) -> int:
    from darling_models.labelling.command import Request, label

    request = Request(
        source=arguments.input,
        target=arguments.output,
        judge=arguments.judge,
        judge_threshold=arguments.judge_threshold,
        model=arguments.model,
        pairs=arguments.pairs,
        random_share=arguments.random_share,
        prompt_field=arguments.prompt_field,
        rollouts_field=arguments.rollouts_field,
        text=arguments.text,
        device=arguments.device,
        seed=arguments.seed,
    )
    label(request, arguments.yes)
    return 0
