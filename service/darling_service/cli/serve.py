"""`darling-reward serve`; `server` and `app` do the work."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from darling_models.errors import ModelError
from darling_service.cli.settings_flags import add_settings, read_settings

if TYPE_CHECKING:
    from darling_service.settings import Settings

NAME = "serve"
SUMMARY = "run the HTTP service"
EXAMPLE = "darling-reward serve --host 0.0.0.0 --api-keys-file api-keys --max-rollouts 64"
EXTRA = ""
RESUMES = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, server=True)


def run(arguments: argparse.Namespace) -> int:
    from darling_service import server
    from darling_service.cli.main import FAILED, complain

    settings = read_settings(arguments, tell=False)  # the log tells
    serve = _on_ray() if settings.engine == "ray" else server.run
    try:
        serve(settings)
    except ModelError as failure:
        complain(NAME, failure)
        server.end(FAILED)
    server.end(0)


def _on_ray() -> Callable[["Settings"], None]:
    """What serves on a Ray cluster. Raises `ModelError` where Ray is not installed."""
    from darling_models.extras import how_to_install

    try:
        from darling_service.cluster.run import run
    except ImportError as error:
        raise ModelError(f"{error}; {how_to_install('ray')}") from None
    return run
