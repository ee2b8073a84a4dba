"""`darling-reward evaluate`; `darling_service.evaluation` does the work."""

import argparse
from functools import partial

from darling_models.extras import require
from darling_service.cli.engine_flags import add_engine, ray_cluster
from darling_service.cli.numbers import integer, integers, number
from darling_service.cli.settings_flags import add_settings, read_settings
from darling_service.cli.shared_flags import add_report

NAME = "evaluate"
SUMMARY = "measure quality and variety of rollouts, or compare two files of them"
EXAMPLE = """darling-reward evaluate before.jsonl after.jsonl --out figures

A line of FILE, of which all but prompt and rollouts may be left out:
  {"prompt": "What is 6 * 7?", "rollouts": ["It is 42.", "36"], "answers": ["42", "36"],
   "reference": "42", "quality": [1.0, 0.0]}"""
EXTRA = "evaluate"
RESUMES = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="one or two JSON lines files, .gz or plain, each of which may be a folder, a quoted "
        "pattern or a URL that stands for many: prompt and rollouts (or generations, "
        "responses), and quality, correct, answers or partition columns where there are any",
    )
    add_report(parser)
    parser.add_argument(
        "--k",
        type=integers(1),
        metavar="K,K",
        help="numbers of tries in pass@k, maj@k and cov@k, each at least 1; default: powers of two "
        "up to the smallest group",
    )
    parser.add_argument(
        "--size",
        type=integer(1),
        metavar="K",
        help="number of rollouts that distinct_K and utility_K look at, at least 1; default: the "
        "size of the smallest group",
    )
    parser.add_argument(
        "--quality-threshold",
        type=number(),
        metavar="Q",
        help="quality from which a rollout is valid in effective diversity; default: correct "
        "rollouts are valid, or all where correctness is unknown",
    )
    parser.add_argument(
        "--patience",
        type=number(0, 1, above=True),
        default=0.8,
        metavar="P",
        help="probability, above 0 and at most 1, that a user asks for another answer in utility_K "
        "(NoveltyBench); default: 0.8",
    )
    parser.add_argument(
        "--encoder",
        nargs="?",
        const="embeddings",
        metavar="NAME",
        help="sentence encoder that adds the Vendi score and cosine distances; embeddings if no "
        "NAME is given; default: leave them out",
    )
    parser.add_argument(
        "--vendi-order",
        type=number(0, infinite=True),
        default=1.0,
        metavar="Q",
        help="order of the Vendi score, from 0 to inf; default: 1",
    )
    parser.add_argument(
        "--repartition",
        action="store_true",
        help="partition all records, also those that have a partition",
    )
    parser.add_argument(
        "--work",
        metavar="DIR",
        help="folder where --engine ray keeps what is measured; the same command goes on there",
    )
    add_engine(parser)
    add_settings(parser, server=False)


def run(arguments: argparse.Namespace) -> int:
    require(EXTRA, ["sacrebleu", *(["matplotlib"] if arguments.out else [])])
    from darling_service.evaluation.command import Request, evaluate
    from darling_service.evaluation.measuring import local_engine

    if len(arguments.files) > 2:
        raise ValueError(f"{len(arguments.files)} files; give one, or two to compare")
    settings = read_settings(arguments)
    # NoveltyBench's classes are by first exemplar, and its figures are what people compare with.
    if settings.linkage is None:
        settings = settings.model_copy(update={"linkage": "greedy"})
    request = Request(
        files=arguments.files,
        ks=arguments.k,
        size=arguments.size,
        quality_threshold=arguments.quality_threshold,
        patience=arguments.patience,
        encoder=arguments.encoder,
        vendi_order=arguments.vendi_order,
        repartition=arguments.repartition,
    )
    engine = local_engine
    if cluster := ray_cluster(arguments):
        from darling_service.ray_data.evaluating import ray_engine

        engine = partial(ray_engine, cluster, arguments.work)
    elif arguments.work is not None:
        raise ValueError("--work is kept by --engine ray alone; give that, or leave --work out")
    evaluate(request, settings, arguments.out, arguments.json, engine)
    return 0
