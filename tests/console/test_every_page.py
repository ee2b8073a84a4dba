"""Every page, at both widths, light and dark: it loads fast, is accessible, and is drawn."""

import pytest

from tests.console.conftest import SCHEMES, WIDTHS, Open, Opened, Scheme

PAGES = ("playground", "runs", "review", "models")
MAX_LOAD_MS = 1000
TRIES = 3
"""Loads of which the fastest counts: the machine does other things, too."""

LOADED = """() => new Promise((resolve) => {
    const look = () => document.querySelector("h1")
        ? resolve(performance.now()) : requestAnimationFrame(look);
    look();
})"""


def fill(one: Opened, page: str) -> None:
    """Brings the page to where it shows something."""
    if page == "playground":
        one.page.click(".example >> nth=0")
        one.page.wait_for_selector(".partition")
    if page == "models":
        one.page.wait_for_selector(".prose table")
        one.page.wait_for_selector(".plot")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("page", PAGES)
def test_is_accessible_and_fits(opened: Open, page: str, width: int, scheme: Scheme) -> None:
    one = opened(width=width, scheme=scheme)
    one.go(f"#/{page}")
    if page == "playground":
        one.page.wait_for_selector(".example")
        one.assert_accessible()
        one.draw(f"{page}-empty-{width}-{scheme}")
    fill(one, page)
    one.assert_accessible()
    one.draw(f"{page}-{width}-{scheme}")


@pytest.mark.parametrize("page", PAGES)
def test_loads_within_a_second(opened: Open, page: str) -> None:
    times = []
    for _ in range(TRIES):
        one = opened()
        one.page.goto(f"{one.url}/console/#/{page}", wait_until="commit")
        times.append(one.page.evaluate(LOADED))
        if times[-1] < MAX_LOAD_MS:
            return
    raise AssertionError(f"{page} took {min(times):.0f} ms at best")


def test_the_documentation_of_the_api_comes_from_the_service_alone(opened: Open) -> None:
    one = opened()
    one.page.goto(f"{one.url}/docs")
    one.page.wait_for_selector('[data-path="/v1/rewards"]')


def test_a_chosen_theme_is_kept(opened: Open) -> None:
    page = opened(scheme="light").go("#/models")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Dark theme").click()
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    page.wait_for_selector("h1")
    assert page.evaluate(ground) == dark
    page.get_by_role("button", name="Light theme").click()
    assert page.evaluate(ground) == light


def test_the_keyboard_reaches_the_content_and_every_page(opened: Open) -> None:
    page = opened().go("")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    for name in PAGES[1:]:
        page.get_by_role("link", name=name.title()).focus()
        page.keyboard.press("Enter")
        page.wait_for_selector(f"h1:text-is('{name.title()}')")
        assert page.title() == f"{name.title()} · Darling Reward"


def test_nothing_moves_for_those_who_ask_for_that(opened: Open) -> None:
    moving = "[...document.querySelectorAll('*')].filter((element) => \
        parseFloat(getComputedStyle(element).transitionDuration) > 0).length"
    assert opened(reduced_motion="reduce").go("#/models").evaluate(moving) == 0
    assert opened(reduced_motion="no-preference").go("#/models").evaluate(moving) > 0
