"""`darling-reward size`; `darling_service.sizing` does the work."""

import argparse
import json
from typing import TYPE_CHECKING

from darling_service.cli.numbers import SHARE, integer, number

if TYPE_CHECKING:
    from darling_service.sizing.answer import Question
    from darling_service.sizing.cost import Processor

NAME = "size"
SUMMARY = "tell how many cores and replicas and how much memory a training run needs"
EXAMPLE = """darling-reward size --prompts 256 --rollouts 16 --tokens 4000 --step-seconds 60"""
EXTRA = ""
RESUMES = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--prompts", type=integer(1), required=True, metavar="N", help="groups of a training step"
    )
    parser.add_argument(
        "--rollouts", type=integer(1), required=True, metavar="N", help="rollouts of a group"
    )
    parser.add_argument(
        "--tokens",
        type=number(1),
        required=True,
        metavar="N",
        help="mean tokens of what is compared of a rollout: by default its answer without the "
        "reasoning before it",
    )
    parser.add_argument(
        "--step-seconds",
        type=number(0, above=True),
        required=True,
        metavar="S",
        help="seconds in which the groups of a step are to be scored: a whole step where rollouts "
        "come and are scored all along, and the pause that you allow where the trainer waits",
    )
    parser.add_argument(
        "--prompt-tokens",
        type=number(0),
        default=200.0,
        metavar="N",
        help="mean tokens of a prompt; default: 200",
    )
    parser.add_argument(
        "--model",
        default="embedded",
        help="embedded, cross-encoder:NAME or cascade:NAME; NAME is a cross-encoder of the table "
        "of docs/scaling.md, or with --measure a checkpoint's folder; default: embedded",
    )
    parser.add_argument(
        "--share",
        type=SHARE,
        metavar="S",
        help="share of the pairs that a cascade hands to its second model, from 0 to 1",
    )
    parser.add_argument(
        "--pair-tokens",
        type=integer(1),
        default=512,
        metavar="N",
        help="tokens that a cross-encoder reads of a pair at most; default: 512",
    )
    parser.add_argument(
        "--processor",
        metavar="NAME",
        help="amx, avx512-bf16 or h100; default: what this machine is like",
    )
    parser.add_argument(
        "--measure",
        action="store_true",
        help="measure this machine's coefficients, in under a minute for the default model, and "
        "use them in place of the table's",
    )
    parser.add_argument(
        "--busy",
        type=number(0, 1, above=True),
        default=0.7,
        metavar="SHARE",
        help="share of the time in which cores compute, above 0 and at most 1; the rest is for "
        "groups that come unevenly; default: 0.7",
    )
    parser.add_argument(
        "--cores-per-replica",
        type=integer(1),
        metavar="N",
        help="cores (or GPUs) of a replica; default: 4 cores, or 1 GPU",
    )
    parser.add_argument(
        "--spare",
        type=integer(0),
        default=0,
        metavar="N",
        help="replicas beyond those, which may be down; default: 0",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    from darling_service.settings import Settings
    from darling_service.sizing.answer import Question, answer
    from darling_service.sizing.fleet import Plan
    from darling_service.sizing.processors import MEMORY
    from darling_service.sizing.work import Groups

    if arguments.measure and arguments.processor is not None:
        raise ValueError("--measure measures this machine; leave --processor out")
    plan = Plan(
        step_seconds=arguments.step_seconds,
        busy=arguments.busy,
        cores_per_replica=arguments.cores_per_replica
        or (1 if arguments.processor == "h100" else 4),
        spare=arguments.spare,
        cache_bytes=Settings.model_fields["cache_bytes"].default,
    )
    groups = Groups(
        arguments.prompts, arguments.rollouts, arguments.tokens, arguments.prompt_tokens
    )
    question = Question(groups, arguments.model, plan, arguments.share, arguments.pair_tokens)
    question.check()
    name, processor = _measured(question) if arguments.measure else _known(arguments.processor)
    found = answer(question, name, processor, MEMORY)
    print(json.dumps(found.document(), indent=2) if arguments.json else "\n".join(found.lines()))
    return 0


def _known(name: str | None) -> "tuple[str, Processor]":
    from darling_service.sizing.processors import PROCESSORS, detected

    name = name or detected()
    if name not in PROCESSORS:
        raise ValueError(f"--processor is {name!r}; it is one of {', '.join(PROCESSORS)}")
    return name, PROCESSORS[name]


def _measured(question: "Question") -> "tuple[str, Processor]":
    from darling_service.sizing.cost import Processor
    from darling_service.sizing.measure import measured_encoder, measured_pairs

    checkpoint = question.checkpoint
    pairs = ((checkpoint, measured_pairs(f"cross-encoder:{checkpoint}")),) if checkpoint else ()
    encoder = measured_encoder() if question.encoded else None
    return "this machine", Processor(
        "this machine, CPU seconds", encoder=encoder, cross_encoders=pairs
    )
