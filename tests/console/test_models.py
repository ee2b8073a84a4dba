"""The models page says what the service's routes say, and what a card says is shown as text."""

import json
import re
from io import BytesIO

import httpx
import pytest
from matplotlib.image import imread
from playwright.sync_api import Page, Route, expect

from tests.conftest import Service, metric
from tests.console.conftest import SCHEMES, Open

HOSTILE = """---
license: mit
---
# A card <script>alert("heading")</script>

A [link](javascript:alert(1)), a [good one](https://example.org/card) and a [path](notes.md),
**bold**, `<b>`.
![plot](https://example.org/plot.png)

| kind | <img src=x onerror=alert(1)> |
|---|---|
| one | `a | b` |

| no table

- item
  goes on
  - deeper

```
<script>alert("code")</script>
```
"""


def tile(page: Page, name: str) -> str:
    return page.locator(".tiles > div").filter(has_text=name).locator("dd").inner_text()


def test_the_page_shows_what_the_routes_answer(opened: Open, service: Service) -> None:
    listed = httpx.get(f"{service.url}/v1/models").json()
    page = opened().go("#/models")
    page.wait_for_selector(".models")
    rows = page.locator(".models tbody tr")
    assert rows.count() == len(listed["models"])
    for index, model in enumerate(listed["models"]):
        for words in (model["id"], model["description"], model["revision"], model["linkage"]):
            expect(rows.nth(index)).to_contain_text(words)
    for name, limit in listed["limits"].items():
        expect(page.locator(".limits")).to_contain_text(f"{limit:,} {name}")
    expect(page.locator("#state-title")).to_contain_text("ready")
    groups = metric(service, "darling_groups_total")
    assert tile(page, "Groups scored") == f"{groups:,.0f}"
    assert tile(page, "Rollouts that wait") == "0"


def test_the_behaviours_are_the_table_of_the_card(opened: Open, service: Service) -> None:
    card = httpx.get(f"{service.url}/v1/models/card").json()["card"]
    lines = re.search(r"\| kind \|.*\n\|[-|]+\n((?:\|.*\n)+)", card)
    assert lines is not None
    wanted = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[1].splitlines()]
    page = opened().go("#/models")
    page.wait_for_selector(".behaviours")
    shown = page.evaluate(
        """() => [...document.querySelectorAll(".behaviours tbody tr")].map((row) =>
            [...row.children].map((cell) => cell.textContent.replace(" %", "%").trim()))"""
    )
    assert shown == wanted
    assert page.locator(".prose th").get_by_text("wrong merges").count() == 0, "it stands once"


def test_the_reliability_plot_has_the_paper_of_the_page(opened: Open) -> None:
    for scheme in SCHEMES:
        page = opened(scheme=scheme).go("#/models")
        plot = page.locator(".plot")
        plot.wait_for()
        corner = imread(BytesIO(plot.screenshot()))[4, 4, :3]
        paper = page.locator(".card").first.evaluate("one => getComputedStyle(one).backgroundColor")
        wanted = [int(part) / 255 for part in re.findall(r"\d+", paper)]
        assert corner.tolist() == pytest.approx(wanted, abs=0.02)


def test_requests_that_were_refused_are_counted_for_every_reason(opened: Open) -> None:
    page = opened().page
    name = "darling_refused_total"
    metrics = f'{name}{{reason="queue"}} 2.0\n{name}{{reason="key"}} 3.0\n'
    page.route("**/metrics", lambda route: route.fulfill(body=metrics, content_type="text/plain"))
    page.goto(f"{opened().url}/console/#/models")
    refused = page.locator(".tiles > div").filter(has_text="Requests refused").locator("dd")
    expect(refused).to_have_text("5")


def test_a_waiting_rollout_is_seen_within_seconds(opened: Open, service: Service) -> None:
    page = opened().go("#/models")
    body = {
        **{"run": "console", "group_id": "g", "member_id": 0, "group_size": 2},
        **{"prompt": "Name a colour.", "text": "Blue.", "quality": 1, "deadline_s": 8},
    }
    script = "(body) => void fetch('../v1/rollouts', {method: 'POST', body: JSON.stringify(body), \
        headers: {'content-type': 'application/json'}})"
    page.evaluate(script, body)
    waiting = page.locator(".tiles > div").filter(has_text="Rollouts that wait").locator("dd")
    expect(waiting).to_have_text("1", timeout=7000)


def test_a_card_is_shown_as_text_and_leads_to_the_web_alone(opened: Open) -> None:
    page = opened().page
    answer = json.dumps({"model": "m", "card": HOSTILE, "reliability": None})
    page.route(
        "**/v1/models/card",
        lambda route: route.fulfill(body=answer, content_type="application/json"),
    )
    page.goto(f"{opened().url}/console/#/models")
    page.wait_for_selector(".prose")
    prose = page.locator(".prose")
    assert prose.locator("h2").inner_text() == 'A card <script>alert("heading")</script>'
    assert prose.locator("pre").inner_text() == '<script>alert("code")</script>'
    links = prose.locator("a").evaluate_all("links => links.map((link) => link.href)")
    assert links == ["https://example.org/card"]
    assert prose.locator("strong").inner_text() == "bold"
    assert prose.locator("li").all_inner_texts() == ["item goes on", "deeper"]
    assert "| no table" in prose.inner_text()
    assert prose.locator("img, script, b").count() == 0
    assert "license" not in prose.inner_text()


def test_the_page_waits_for_a_service_that_loads_its_model(opened: Open, service: Service) -> None:
    page = opened(expected="503").page
    asked = 0

    def loading(route: Route) -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            route.continue_()
        else:
            problem = {"title": "Service unavailable", "detail": "the model is not ready"}
            headers = {"retry-after": "1", "content-type": "application/problem+json"}
            route.fulfill(status=503, body=json.dumps(problem), headers=headers)

    page.route("**/v1/models", loading)
    page.goto(f"{service.url}/console/#/models")
    page.wait_for_selector(".models")
    assert asked == 2


def test_a_service_that_is_gone_is_told(opened: Open) -> None:
    page = opened(expected="ERR_").page
    page.route("**/metrics", lambda route: route.abort())
    page.goto(f"{opened().url}/console/#/models")
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
