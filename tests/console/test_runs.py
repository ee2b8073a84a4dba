"""The runs page: live curves, collapse, comparison, and the groups behind a step."""

import json
import re
import time
from collections.abc import Iterator
from statistics import mean
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from darling_service.history.figures import figures_of
from darling_service.history.recorded import RunKey, StepKey
from darling_service.history.store import StepSums, Store
from tests.conftest import Service, until
from tests.console import recorded
from tests.console.conftest import SCHEMES, WIDTHS, Open
from tests.console.recorded import COLLAPSE, COLLAPSING, EXAMPLES, LASTING, STEPS

MAX_DRAWN_MS = 2000
TRIES = 3
"""Loads of which the fastest counts: the machine does other things, too."""
DRAWN = """() => new Promise((resolve) => {
    const look = () => document.querySelectorAll(".curve canvas").length === 7
        ? resolve(performance.now()) : requestAnimationFrame(look);
    look();
})"""
MAX_SHOWN_S = 5.0
"""Seconds after which what a service has scored is on the page."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with recorded.recording(tmp_path_factory.mktemp("runs")) as service:
        yield service


@pytest.fixture(scope="module")
def trained(service: Service) -> Service:
    recorded.train(service, LASTING, range(STEPS))
    recorded.train(service, COLLAPSING, range(STEPS), COLLAPSE)
    return service


def recorded_run(service: Service, run: str) -> None:
    """Trains a short run, and waits until it is the newest in the history."""
    recorded.train(service, run, range(2))
    with service.client() as http:
        until(lambda: http.get("/v1/history/runs").json()["runs"][0]["run"] == run)


def curves(page: Page, count: int) -> None:
    """Waits until so many charts are drawn."""
    expect(page.locator(".curve canvas")).to_have_count(count)


def test_an_empty_history_says_how_to_fill_it_and_a_run_appears_by_itself(
    opened: Open, service: Service
) -> None:
    page = opened(url=service.url).go("#/runs")
    expect(page.locator(".empty-title")).to_have_text("No run is recorded yet")
    recorded.train(service, LASTING, range(2))
    expect(page.get_by_role("rowheader", name=LASTING)).to_be_visible(timeout=5000)
    expect(page.locator(".curve").first).to_be_visible()


@pytest.mark.parametrize("name", ["runs", "review"])
def test_without_a_history_a_page_says_how_to_keep_one(
    opened: Open, exact: Service, name: str
) -> None:
    one = opened(url=exact.url, expected="404")
    expect(one.go(f"#/{name}").locator(".problem")).to_contain_text("--history-url")
    one.assert_accessible()


def test_a_collapse_is_shown_within_five_seconds(opened: Open, service: Service) -> None:
    page = opened(url=service.url).go(f"#/runs?run={LASTING}")
    recorded.train(service, LASTING, range(STEPS))
    recorded.train(service, COLLAPSING, range(COLLAPSE))
    page.get_by_label(f"Show {COLLAPSING}").check()
    expect(page.locator(".collapse-note")).to_have_count(0)
    recorded.train(service, COLLAPSING, range(COLLAPSE, STEPS), COLLAPSE)
    done = time.monotonic()
    note = page.locator(".collapse-note li")
    expect(note).to_contain_text(f"since step {COLLAPSE}.", timeout=MAX_SHOWN_S * 1000)
    expect(page.locator(".runs")).to_contain_text("100 %")
    assert time.monotonic() - done < MAX_SHOWN_S


def test_the_run_that_is_shown_stays_when_another_becomes_the_newest(
    opened: Open, service: Service
) -> None:
    recorded_run(service, "exp-first")
    page = opened(url=service.url).go("#/runs")
    expect(page.get_by_label("Show exp-first")).to_be_checked()
    recorded_run(service, "exp-second")
    expect(page.get_by_label("Show exp-second")).not_to_be_checked()
    expect(page.get_by_label("Show exp-first")).to_be_checked()


def test_a_failure_hides_no_curve_and_goes_when_the_service_answers(
    opened: Open, service: Service
) -> None:
    recorded_run(service, "exp-first")
    page = opened(url=service.url, expected="ERR_FAILED").go("#/runs?run=exp-first")
    curves(page, 7)
    page.route("**/v1/history/**", lambda route: route.abort())
    expect(page.locator(".problem")).to_contain_text("The service does not answer")
    curves(page, 7)
    page.unroute("**/v1/history/**")
    expect(page.locator(".problem")).to_have_count(0)


def test_a_run_that_is_gone_is_named_beside_those_that_are_there(
    opened: Open, service: Service
) -> None:
    recorded_run(service, "exp-first")
    page = opened(url=service.url, expected="404").go("#/runs?run=gone&run=exp-first")
    curves(page, 7)
    expect(page.locator(".problem")).to_contain_text("no such run")
    page.get_by_role("link", name="Runs").click()
    expect(page.locator(".problem")).to_have_count(0)


def test_runs_are_compared_in_every_chart(opened: Open, trained: Service) -> None:
    page = opened(url=trained.url).go(f"#/runs?run={COLLAPSING}&run={LASTING}")
    curves(page, 10)
    labels = page.locator(".curve").first.locator(".u-label")
    expect(labels).to_have_text(["step", COLLAPSING, LASTING])
    page.get_by_label(f"Show {LASTING}").uncheck()
    curves(page, 7)
    expect(labels).to_have_text(["step", "diversity"])
    assert f"run={COLLAPSING}" in page.url
    assert LASTING not in page.url


@pytest.mark.parametrize("width", [1280, 1000, 390])
@pytest.mark.parametrize("names", [[LASTING], [COLLAPSING, LASTING]])
def test_the_charts_leave_no_empty_place(
    opened: Open, trained: Service, width: int, names: list[str]
) -> None:
    page = opened(url=trained.url, width=width).go(f"#/runs?{urlencode({'run': names}, True)}")
    curves(page, 7 if len(names) == 1 else 10)
    grid, last = page.locator(".curves").bounding_box(), page.locator(".curve").last.bounding_box()
    assert grid is not None
    assert last is not None
    assert last["x"] + last["width"] == pytest.approx(grid["x"] + grid["width"], abs=1)


def test_the_pointer_shows_the_values_of_its_step_in_every_chart(
    opened: Open, trained: Service
) -> None:
    page = opened(url=trained.url).go(f"#/runs?run={COLLAPSING}")
    curves(page, 7)
    page.locator(".curve .u-over").first.hover(position={"x": 20, "y": 40})
    steps = page.locator(".u-series:first-child .u-value").all_inner_texts()
    assert len(set(steps)) == 1, "all charts share one cursor"
    assert 0 < int(steps[0]) < COLLAPSE
    diversity, collapsed = (page.locator(".curve").nth(k).locator(".u-value") for k in (0, 1))
    assert float(diversity.last.inner_text()) > 0.2
    assert float(collapsed.last.inner_text()) < 0.5
    page.mouse.move(0, 0)
    expect(collapsed.last).to_have_text("1.00")


def test_a_click_on_a_step_opens_its_groups(opened: Open, trained: Service) -> None:
    one = opened(url=trained.url)
    page = one.go(f"#/runs?run={COLLAPSING}")
    curves(page, 7)
    over = page.locator(".curve .u-over").first
    box = over.bounding_box()
    assert box is not None
    over.click(position={"x": 0.75 * box["width"], "y": 40})
    expect(page.locator(".group-view").first).to_contain_text("4 rollouts in 1 class")
    assert "step=1" in page.url
    page.get_by_label("Step", exact=True).fill("7")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Groups of step 7")).to_be_visible()
    expect(page.locator(".group-view")).to_have_count(recorded.PER_STEP)
    page.get_by_role("button", name="Step after").click()
    expect(page.get_by_role("heading", name="Groups of step 8")).to_be_visible()
    page.get_by_text("Probabilities of its pairs").first.click()
    expect(page.locator(".heat-map")).to_be_visible()
    one.assert_accessible()
    page.get_by_role("link", name="Open in the playground").first.click()
    expect(page.locator("h1")).to_have_text("Playground")


def test_which_class_dominates_a_prompt_is_followed_over_its_steps(
    opened: Open, trained: Service
) -> None:
    one = opened(url=trained.url)
    page = one.go(f"#/runs?run={COLLAPSING}")
    page.get_by_text("Which answer dominates").click()
    curves(page, 8)
    expect(page.locator("#followed option").first).to_contain_text("steps)")
    leader = page.locator(".dominance > p").last
    expect(page.locator(".dominating li").first).to_contain_text("→ 100 %")
    expect(leader).to_contain_text("with 100 % of the rollouts")
    said = page.locator(".dominance [role=img]")
    expect(said).to_have_attribute("aria-label", re.compile(r"A 1\.00 up to step 19\d"))
    one.assert_accessible()
    prompt = page.locator("#followed option").nth(1).inner_text()
    page.locator("#followed").select_option(label=prompt)
    expect(leader).to_contain_text("dominates")
    curves(page, 8)


def test_a_prompt_that_came_once_cannot_be_followed(opened: Open, service: Service) -> None:
    recorded_run(service, "exp-once")
    page = opened(url=service.url).go("#/runs?run=exp-once")
    page.get_by_text("Which answer dominates").click()
    expect(page.locator(".dominance")).to_contain_text("None was yet")


def test_a_recorded_group_opens_in_the_classes_that_it_had(opened: Open, service: Service) -> None:
    page = opened(url=service.url).page
    example = json.loads(EXAMPLES.read_text().splitlines()[0])
    partition = {"threshold": 0.99, "linkage": "complete"}
    body = {"groups": [example], "run": {"name": "strict", "step": 1}, "partition": partition}
    with service.client() as http:
        answer = http.post("/v1/rewards", json=body).json()["groups"][0]
        asked = {"run": "strict"}
        until(lambda: http.get("/v1/history/groups", params=asked).json()["groups"])
        (kept,) = http.get("/v1/history/groups", params=asked).json()["groups"]
    page.goto(f"{service.url}/console/#/playground?group={kept['id']}")
    classes = f"{answer['num_classes']} classes of {len(example['rollouts'])} rollouts"
    expect(page.locator("#partition-title")).to_have_text(classes)
    assert page.locator("#threshold").input_value() == "0.99"
    assert page.locator("#linkage").input_value() == "complete"


def test_curves_are_smoothed_by_the_mean_of_their_last_points(
    opened: Open, trained: Service
) -> None:
    page = opened(url=trained.url).go(f"#/runs?run={LASTING}")
    curves(page, 7)
    with trained.client() as http:
        series = http.get("/v1/history/steps", params={"run": LASTING}).json()["series"]
    diversity = page.locator(".curve").first.locator(".u-value").last
    expect(diversity).to_have_text(f"{series['diversity'][-1]:.2f}")
    page.get_by_label("Smoothing").select_option(label="mean of 5 points")
    expect(diversity).to_have_text(f"{mean(series['diversity'][-5:]):.2f}")
    page.get_by_label("Smoothing").select_option(label="none")
    expect(diversity).to_have_text(f"{series['diversity'][-1]:.2f}")


def test_latest_values_of_several_steps_are_not_called_those_of_one(
    opened: Open, trained: Service
) -> None:
    recorded_run(trained, "exp-short")
    page = opened(url=trained.url).go(f"#/runs?run={LASTING}&run=exp-short")
    step = page.locator(".curve").first.locator(".u-value").first
    expect(step).to_have_text("latest")
    page.get_by_label("Show exp-short").uncheck()
    expect(step).to_have_text(str(STEPS - 1))


def test_dragging_zooms_in_and_a_double_click_out(opened: Open, trained: Service) -> None:
    page = opened(url=trained.url).go(f"#/runs?run={COLLAPSING}")
    curves(page, 7)
    box = page.locator(".curve .u-over").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 40, steps=4)
    page.mouse.up()
    assert "step=" not in page.url, "a drag picks no step"
    page.locator(".curve .u-over").first.hover(position={"x": 2, "y": 40})
    first = page.locator(".u-series:first-child .u-value").first
    assert int(first.inner_text()) >= 0.4 * STEPS
    page.locator(".curve .u-over").first.dblclick(position={"x": 2, "y": 40})
    page.locator(".curve .u-over").first.hover(position={"x": 3, "y": 41})
    assert int(first.inner_text()) < 0.1 * STEPS


def test_ten_thousand_steps_are_drawn_at_once(opened: Open, service: Service) -> None:
    store = Store(f"sqlite:///{service.log.with_name('history.db')}")
    sums = StepSums(figures_of([0, 1, 1, 2], [1, 0, 1, 0], [1, 0, 0.5, 0]), 1.0, 2.0)
    run = RunKey.of("", "exp-long")
    store.write({StepKey(run, step): sums for step in range(10_000)}, [], per_step=4)
    store.close()
    times: list[float] = []
    while not times or (times[-1] > MAX_DRAWN_MS and len(times) < TRIES):
        page = opened(url=service.url).page
        page.goto(f"{service.url}/console/#/runs?run=exp-long", wait_until="commit")
        times.append(page.evaluate(DRAWN))
    assert times[-1] < MAX_DRAWN_MS
    label = page.locator(".curve [role=img]").first
    expect(label).to_have_attribute("aria-label", re.compile("up to step 9999$"))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_is_accessible_with_runs_and_groups(
    opened: Open, trained: Service, width: int, scheme: str
) -> None:
    one = opened(url=trained.url, width=width, scheme=scheme)
    page = one.go(f"#/runs?run={COLLAPSING}&run={LASTING}&step=7")
    curves(page, 10)
    expect(page.locator(".group-view").first).to_be_visible()
    one.assert_accessible()
    one.draw(f"runs-recorded-{width}-{scheme}")
