"""Flags for where a command's work is done: in its own process, or on a Ray cluster."""

import argparse
from typing import TYPE_CHECKING

from darling_models.extras import require
from darling_service.cli.numbers import integer, number

if TYPE_CHECKING:
    from darling_service.ray_data.cluster import Workers

EXTRA = "ray"


def add_engine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--engine",
        choices=("local", EXTRA),
        default="local",
        help="where the work is done: in this process (local), or by workers of the Ray cluster "
        "that RAY_ADDRESS names, or else one of this machine (ray); default: local",
    )
    parser.add_argument(
        "--ray-workers",
        type=integer(1),
        metavar="N",
        help="number of workers at most, each with a copy of the model; default: as many as the "
        "cluster has room for",
    )
    parser.add_argument(
        "--ray-cpus",
        type=number(0, above=True),
        default=1.0,
        metavar="N",
        help="number of CPUs that each worker takes; with a --device other than cpu it takes a GPU "
        "too; default: 1",
    )


def ray_workers(arguments: argparse.Namespace) -> "Workers | None":
    """What the workers take of a Ray cluster; None for the engine `local`.

    Raises `ModelError` if Ray is not installed.
    """
    if arguments.engine != EXTRA:
        return None
    require(EXTRA, ["ray", "pyarrow", "pandas"])
    from darling_service.ray_data.cluster import Workers

    return Workers(arguments.ray_workers, arguments.ray_cpus)
