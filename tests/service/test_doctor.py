"""`darling-reward doctor`: what it says of an installation and of a service."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from darling_service.cli.main import main
from darling_service.doctor import Finding, check_service
from tests.conftest import Service, running


def collected(findings: AsyncIterator[Finding]) -> list[Finding]:
    async def collect() -> list[Finding]:
        return [finding async for finding in findings]

    return asyncio.run(collect())


def report(findings: Iterable[Finding]) -> str:
    return "\n".join(map(str, findings))


def test_a_service_that_is_well_passes_every_check(service: Service) -> None:
    findings = collected(check_service(service.url, None, 8))
    assert all(finding.ok for finding in findings), report(findings)
    assert "is alive" in findings[0].text
    assert "a group of 8 short rollouts" in findings[-1].text


def test_groups_over_the_limit_are_told_before_they_are_sent(service: Service) -> None:
    last = collected(check_service(service.url, None, 100_000))[-1]
    assert not last.ok
    assert "DARLING_MAX_ROLLOUTS=100000" in last.text


@pytest.mark.parametrize(
    ("key", "message"),
    [(None, "it needs an API key"), ("wrong", "it refuses this API key"), ("right", None)],
)
def test_the_api_key_is_tried(key: str | None, message: str | None, tmp_path: Path) -> None:
    with running(tmp_path / "log", "--model", "exact", "--api-key", "right") as service:
        last = collected(check_service(service.url, key, None))[-1]
    assert last.ok == (message is None)
    assert message is None or message in last.text


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9", "http://no-such-host.invalid", "nonsense", "http://[", ""]
)
def test_an_address_without_a_service_is_told(url: str) -> None:
    findings = collected(check_service(url, None, None))
    assert [finding.ok for finding in findings] == [False]
    assert "does not answer" in findings[0].text


def test_an_address_with_something_else_is_told(service: Service) -> None:
    findings = collected(check_service(f"{service.url}/docs", None, None))
    assert [finding.ok for finding in findings] == [False]
    assert "no darling-reward service" in findings[0].text


def test_an_installation_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--model", "ngram"]) == 0
    output = capsys.readouterr().out
    assert "model ngram@" in output
    assert "FAIL" not in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "cross-encoder:./no-such-folder"], "no-such-folder"),
        (["--device", "cuda"], "this torch sees no GPU"),
    ],
)
def test_what_cannot_run_here_is_told(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", *arguments]) == 1
    failures = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAIL")]
    assert len(failures) == 1
    assert message in failures[0]
