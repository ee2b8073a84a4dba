"""`darling-reward serve`; `server` and `app` do the work."""

import argparse

from darling_models.errors import ModelError
from darling_service.cli.settings_flags import add_settings, read_settings

NAME = "serve"
SUMMARY = "run the HTTP service"
EXAMPLE = "darling-reward serve --host 0.0.0.0 --model embedded --max-rollouts 64"
EXTRA = ""
RESUMES = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, server=True)


def run(arguments: argparse.Namespace) -> int:
    from darling_service.cli.main import FAILED, complain
    from darling_service.server import end, run

    settings = read_settings(arguments)
    try:
        run(settings)
    except ModelError as failure:
        complain(NAME, failure)
        end(FAILED)
    end(0)
