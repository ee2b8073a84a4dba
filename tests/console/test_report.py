"""The page of `darling-reward report`, opened from the disk."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.commands import run_command
from tests.console.conftest import SCHEMES, WIDTHS, Open
from tests.console.recorded import EXAMPLES


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "report.html"
    done = run_command("report", EXAMPLES, "-o", out, "--groups", "3")
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_shows_curves_and_groups_by_itself(
    opened: Open, report: Path, width: int, scheme: str
) -> None:
    one = opened(width=width, scheme=scheme)
    one.page.goto(report.as_uri())
    expect(one.page.locator("h1")).to_have_text("groups")
    expect(one.page.locator(".curve canvas")).to_have_count(7)
    expect(one.page.locator(".group-view")).to_have_count(3)
    one.assert_accessible()
    one.draw(f"report-{width}-{scheme}")
    one.page.get_by_role("button", name="Step after").click()
    expect(one.page.locator(".group-view")).to_have_count(1)
    one.page.get_by_role("button", name="Show all").click()
    expect(one.page.locator(".group-view")).to_have_count(3)
