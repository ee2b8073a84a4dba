"""The review page: fifty pairs marked by the keyboard, exported, and trained on."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from darling_models.labelled_data import read_pairs
from tests.commands import run_command
from tests.conftest import Service
from tests.console import recorded
from tests.console.conftest import SCHEMES, WIDTHS, Open
from tests.console.recorded import LASTING

PAIRS = 50


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with recorded.recording(tmp_path_factory.mktemp("review")) as service:
        yield service


@pytest.fixture(scope="module")
def trained(service: Service) -> Service:
    recorded.train(service, LASTING, range(20))
    return service


def shown(page: Page) -> tuple[str, str, str]:
    """The prompt and the two texts of the pair to judge."""
    pair = page.locator(".judged")
    first, second = pair.locator(".text").all_inner_texts()[1:]
    return pair.locator("h2").inner_text(), first, second


def test_an_empty_history_says_where_pairs_come_from(opened: Open, service: Service) -> None:
    page = opened(url=service.url).go("#/review")
    expect(page.locator(".empty-title")).to_have_text("There is nothing to review yet")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_is_accessible_with_a_pair(opened: Open, trained: Service, width: int, scheme: str) -> None:
    one = opened(url=trained.url, width=width, scheme=scheme)
    page = one.go("#/review")
    page.get_by_label("Show what the model says").check()
    expect(page.locator(".opinions")).to_contain_text("unigram")
    one.assert_accessible()
    one.draw(f"review-pair-{width}-{scheme}")


def test_a_page_that_looks_for_pairs_says_so(opened: Open, trained: Service) -> None:
    page = opened(url=trained.url).page
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/v1/review/pairs**", hold)
    page.goto(f"{trained.url}/console/#/review")
    expect(page.locator(".empty-title")).to_have_text("Looking for pairs …")
    held[0].continue_()
    expect(page.locator(".judged .question")).to_contain_text("gain nothing from the other")
    expect(page.locator(".empty-title")).to_have_count(0)


def test_back_returns_to_a_pair_and_its_last_mark_counts(opened: Open, trained: Service) -> None:
    page = opened(url=trained.url).go("#/review")
    expect(page.locator(".judged")).to_be_visible()
    pair = shown(page)
    page.keyboard.press("u")
    expect(page.locator(".judged h2, .judged .text").first).to_be_visible()
    assert shown(page) != pair
    expect(page.locator("[role=status]").first).to_contain_text("You said unclear; the model says")
    page.keyboard.press("z")
    assert shown(page) == pair
    page.keyboard.press("d")
    marks = page.get_by_role("region", name="Your marks")
    expect(marks.locator("dd")).to_have_text(["0", "1", "0"])
    page.reload()
    expect(marks.locator("dd")).to_have_text(["0", "1", "0"])
    assert shown(page) != pair, "progress is kept"


def test_a_pair_whose_group_is_gone_is_passed_over(opened: Open, trained: Service) -> None:
    page = opened(url=trained.url, expected="404").go("#/review")
    expect(page.locator(".judged")).to_be_visible()
    pair = shown(page)
    problem = {"title": "Not Found", "detail": "the history has dropped its group"}
    page.route("**/v1/review/marks", lambda route: route.fulfill(status=404, json=problem))
    page.keyboard.press("s")
    expect(page.locator(".problem")).to_contain_text("dropped its group")
    assert shown(page) != pair
    page.unroute("**/v1/review/marks")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".problem")).to_have_count(0)


def test_keys_with_modifiers_and_in_fields_mark_nothing(opened: Open, trained: Service) -> None:
    page = opened(url=trained.url).go("#/review")
    expect(page.locator(".judged")).to_be_visible()
    pair = shown(page)
    page.keyboard.press("Control+d")
    page.get_by_label("Second opinion").focus()
    page.keyboard.press("d")
    assert shown(page) == pair


def test_fifty_pairs_marked_by_keyboard_are_what_training_reads(
    opened: Open, trained: Service, tmp_path: Path
) -> None:
    page = opened(url=trained.url).go("#/review")
    expect(page.locator(".judged")).to_be_visible()
    times: Counter[str] = Counter()
    judged = {}
    for _ in range(PAIRS):
        prompt, *texts = shown(page)
        # Each prompt has pairs of both labels, as training needs.
        same = times[prompt] % 2 == 0
        times[prompt] += 1
        judged[prompt, frozenset(texts)] = same
        page.keyboard.press("s" if same else "d")
    assert len(judged) == PAIRS, "no pair is asked twice"
    marks = page.get_by_role("region", name="Your marks")
    expect(marks.locator("dd").first).to_have_text(str(sum(judged.values())))
    with page.expect_download() as download:
        page.get_by_role("button", name="Download marks.jsonl").click()
    assert download.value.suggested_filename == "marks.jsonl"
    download.value.save_as(path := tmp_path / "marks.jsonl")
    labels = {(p.prompt, frozenset((p.a, p.b))): p.similar for p in read_pairs(path)}
    assert judged.items() <= labels.items()

    out = tmp_path / "classifier"
    words = ("train", "--pairs", path, "--out", out, "--folds", "2")
    trained_on = run_command(*words, timeout=1200)
    assert trained_on.returncode == 0, trained_on.stderr
    assert (out / "MODEL_CARD.md").exists()
