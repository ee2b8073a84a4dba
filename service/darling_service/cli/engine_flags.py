"""Flags for where a command's work is done: in its own process, or on a Ray cluster."""

import argparse
from typing import TYPE_CHECKING

from darling_models.extras import require
from darling_service.cli.numbers import integer, number

if TYPE_CHECKING:
    from darling_service.ray_data.cluster import Cluster

EXTRA = "ray"


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Flags of the same names and meanings as the settings of `serve --engine ray`."""
    parser.add_argument(
        "--engine",
        choices=("local", EXTRA),
        default="local",
        help="where the work is done: in this process (local), or by workers of a Ray cluster "
        "(ray), which also reads and writes URLs such as s3://; default: local",
    )
    parser.add_argument(
        "--ray-address",
        metavar="ADDRESS",
        help="address of the Ray cluster, such as auto or 10.0.0.5:6379; default: what RAY_ADDRESS "
        "says, else a cluster that is started on this machine for the run",
    )
    parser.add_argument(
        "--workers",
        type=integer(1),
        metavar="N",
        help="number of workers at most with --engine ray, each with a copy of the model; default: "
        "as many as the cluster has room for",
    )
    parser.add_argument(
        "--worker-cpus",
        type=number(0, above=True),
        default=1.0,
        metavar="N",
        help="number of CPUs that each worker takes, which computes with as many threads; "
        "default: 1",
    )
    parser.add_argument(
        "--worker-gpus",
        type=number(0),
        default=0.0,
        metavar="N",
        help="number of GPUs that each worker takes, or a part of one such as 0.25; set it with "
        "--device cuda; default: 0",
    )


def ray_cluster(arguments: argparse.Namespace) -> "Cluster | None":
    """The cluster that the flags name; None for the engine `local`.

    Raises `ModelError` if Ray is not installed.
    """
    if arguments.engine != EXTRA:
        return None
    require(EXTRA, ["ray", "pyarrow", "pandas"])
    from darling_service.ray_data.cluster import Cluster

    return Cluster(
        arguments.ray_address, arguments.workers, arguments.worker_cpus, arguments.worker_gpus
    )
