"""`darling-reward models`: the classifiers that `--model` may name."""

import argparse

NAME = "models"
SUMMARY = "list the classifiers that --model may name"
EXAMPLE = "darling-reward models"
EXTRA = ""
RESUMES = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command takes no arguments."""


def run(arguments: argparse.Namespace) -> int:
    from darling_models.registry import CATALOGUE

    width = max(map(len, CATALOGUE))
    for name, description in CATALOGUE.items():
        print(f"{name:{width}}  {description}")
    return 0
