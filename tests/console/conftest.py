"""Pages in headless Chromium. A page fails its test by an error in its console, or by asking
another host for anything."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    sync_playwright,
)

from tests.conftest import Service
from tests.console.browser import find
from tests.console.recorded import recording

SCREENSHOTS = Path(__file__).parent.parent.parent / "screenshots"
"""Where the pages are drawn, for a person to look at."""
WIDTHS = (1280, 390)
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
OFFLINE = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"),
    *("--disable-component-update", "--no-first-run", "--no-proxy-server"),
)
"""Switches of a browser that runs as root and looks for nothing by itself."""
SERIOUS = {"serious", "critical"}


@dataclass
class Opened:
    """A page, what went wrong on it, and what it asked for."""

    page: Page
    url: str
    faults: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def watch(self, own_host: str) -> None:
        """Notes errors, dialogs, and requests to other hosts than the service's."""

        def note(message: ConsoleMessage) -> None:
            if message.type == "error":
                self.faults.append(message.text)

        def note_host(request: Request) -> None:
            if urlsplit(request.url).netloc not in (own_host, ""):
                self.hosts.add(request.url)

        def refuse(dialog: Dialog) -> None:
            self.faults.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        self.page.on("console", note)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", refuse)
        self.page.on("request", note_host)

    def go(self, path: str) -> Page:
        """The page at a hash such as `#/models`, once its heading is there."""
        self.page.goto(f"{self.url}/console/{path}")
        self.page.wait_for_selector("h1")
        return self.page

    def assert_accessible(self) -> None:
        """No serious violation of the accessibility rules, and nothing wider than the page."""
        found = Axe().run(self.page).response["violations"]
        serious = [
            f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes'][:3]]}"
            for one in found
            if one["impact"] in SERIOUS
        ]
        assert not serious, "\n".join(serious)
        width = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert width <= 0, f"the page is {width} pixels too wide"

    def draw(self, name: str) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.evaluate("scrollTo(0, 0)")
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


Open = Callable[..., Opened]
"""Opens a page."""


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that keeps a history, in which there is no run yet."""
    with recording(tmp_path_factory.mktemp("console")) as service:
        yield service


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=[*OFFLINE])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser, service: Service) -> Iterator[Open]:
    """Opens pages: `opened(width=390, scheme="dark")`. What they do wrong fails the test, unless
    `expected` words are in it."""
    pages: list[tuple[Opened, str]] = []
    contexts: list[BrowserContext] = []

    def open_page(
        *,
        width: int = 1280,
        scheme: Scheme = "light",
        expected: str = "",
        url: str = service.url,
        **more: Any,
    ) -> Opened:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            **more,
        )
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        contexts.append(context)
        one = Opened(context.new_page(), url)
        pages.append((one, expected))
        one.watch(urlsplit(url).netloc)
        return one

    yield open_page
    for context in contexts:
        context.close()
    for one, expected in pages:
        unexpected = [fault for fault in one.faults if not (expected and expected in fault)]
        assert not unexpected, unexpected
        assert not one.hosts, "a page asked another host"
