"""`darling-reward doctor`; `darling_service.doctor` does the work."""

import argparse
import asyncio

from darling_service.cli.numbers import integer
from darling_service.cli.settings_flags import add_settings, read_settings

NAME = "doctor"
SUMMARY = "check this installation, or a running service as a trainer sees it"
EXAMPLE = "darling-reward doctor --url http://127.0.0.1:8000 --group-size 8"
EXTRA = ""
RESUMES = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--url",
        metavar="URL",
        help="address of a running service to check, with the API key in DARLING_API_KEY if it "
        "has one; default: check this installation",
    )
    parser.add_argument(
        "--group-size",
        type=integer(1),
        metavar="N",
        help="rollouts of the groups that the service is to score; at least 1",
    )
    add_settings(parser, server=False)


def run(arguments: argparse.Namespace) -> int:
    """Prints the report; the exit status is 1 if a check failed."""
    from darling_service import doctor

    settings = read_settings(arguments)
    failed = False
    if arguments.url is None:
        for finding in doctor.check_here(settings):
            print(finding, flush=True)
            failed |= not finding.ok
        return int(failed)

    async def report() -> bool:
        failed = False
        findings = doctor.check_service(arguments.url, settings.api_key, arguments.group_size)
        async for finding in findings:
            print(finding, flush=True)
            failed |= not finding.ok
        return failed

    return int(asyncio.run(report()))
