"""The flags of `darling-reward evaluate`; what it does is in `darling_service.evaluation`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from darling_service.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="one or two files of JSON lines, .gz or plain: prompt and rollouts (or generations, "
        "responses), and quality, correct, answers or partition columns where there are any",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="for evaluation.json and plots")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--k",
        type=_numbers,
        metavar="K,K",
        help="of pass@k, maj@k and cov@k; default: powers of two up to the smallest group",
    )
    parser.add_argument(
        "--size",
        type=int,
        metavar="K",
        help="rollouts that distinct_K and utility_K look at; default: the smallest group's",
    )
    parser.add_argument(
        "--quality-threshold",
        type=float,
        metavar="Q",
        help="quality from which a rollout counts for effective diversity; default: if correct",
    )
    parser.add_argument(
        "--patience", type=float, default=0.8, metavar="P", help="of utility_K; default 0.8"
    )
    parser.add_argument(
        "--encoder",
        nargs="?",
        const="embeddings",
        metavar="NAME",
        help="also the Vendi score and cosine distances, by this encoder; default: embeddings",
    )
    parser.add_argument(
        "--vendi-order", type=float, default=1.0, metavar="Q", help="default 1; inf is allowed"
    )
    parser.add_argument(
        "--repartition", action="store_true", help="judge records that carry a partition too"
    )


def evaluate(given: argparse.Namespace, settings: "Settings") -> int:
    from darling_service.evaluation.command import Request, evaluate

    if len(given.files) > 2:
        raise ValueError(f"{len(given.files)} files; give one, or two to compare")
    request = Request(
        files=given.files,
        ks=given.k,
        size=given.size,
        quality_threshold=given.quality_threshold,
        patience=given.patience,
        encoder=given.encoder,
        vendi_order=given.vendi_order,
        repartition=given.repartition,
    )
    # NoveltyBench's classes are by first exemplar, and its figures are what people compare with.
    chosen = settings if settings.linkage else settings.model_copy(update={"linkage": "greedy"})
    evaluate(request, chosen, given.out, given.json)
    return 0


def _numbers(given: str) -> list[int]:
    numbers = [int(part) for part in given.split(",")]
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError("k is at least 1")
    return numbers
