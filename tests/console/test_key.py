"""A service with a key: the page is open, and asks for the key before it asks the API."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.conftest import Service, running
from tests.console.conftest import Open

KEY = "s3cret"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log = tmp_path_factory.mktemp("guarded") / "log"
    with running(log, "--model", "exact", "--api-key", KEY) as service:
        yield service


def test_the_key_is_asked_for_once_and_kept_in_the_tab(opened: Open, guarded: Service) -> None:
    one = opened(url=guarded.url, expected="401")
    page = one.go("#/models")
    field = page.get_by_label("API key")
    expect(page.locator("form")).to_have_count(1)
    one.assert_accessible()
    one.draw("key")
    for wrong in ("wrong", "“pasted”"):
        field.fill(wrong)
        field.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("refused that key")
        expect(field).to_have_value("")
    field.fill(KEY)
    field.press("Enter")
    page.wait_for_selector(".models")
    page.wait_for_selector(".empty")  # `exact` has no card
    expect(page.locator("form")).to_have_count(0)
    page.reload()
    page.wait_for_selector(".models")
    expect(page.locator("form")).to_have_count(0)
    stored = page.evaluate("[JSON.stringify(localStorage), JSON.stringify(sessionStorage)]")
    assert KEY not in stored[0]
    assert KEY in stored[1]
    page.get_by_role("link", name="Playground").click()
    page.get_by_role("button", name="Name a city").click()
    page.wait_for_selector(".partition")
    code = page.locator(".code").inner_text()
    assert "$DARLING_API_KEY" in code
    assert KEY not in code
