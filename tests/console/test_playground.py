"""The playground says what the service says, whatever a person does to a group."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx
import pytest
import yaml
from playwright.sync_api import Page, Route, expect

from darling_service.rewards.registry import OBJECTIVES
from darling_service.rewards.terms import SHAPING
from tests.conftest import Service, running
from tests.console.conftest import Open, Opened
from tests.servers.processes import serving

EXAMPLES = Path(__file__).parent.parent.parent / "service/console/examples.jsonl"
CITY = json.loads(EXAMPLES.read_text().splitlines()[0])
NONE_ANEW = "0 pairs classified anew"
HOSTILE = [
    "<img src=x onerror=\"alert('image')\">",
    "</textarea></td></script><script>alert('script')</script>",
    "javascript:alert(1) ${alert(2)} {{alert(3)}}",
    "<b>bold</b> &amp; \N{RIGHT-TO-LEFT OVERRIDE}txet \N{GRINNING FACE}",
]


def answer_of(service: Service, **options: Any) -> dict[str, Any]:
    """What the service itself says of the first example."""
    body = {"groups": [CITY], **options}
    answer = httpx.post(f"{service.url}/v1/rewards", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    group: dict[str, Any] = answer.json()["groups"][0]
    return group


def shown(page: Page) -> dict[str, list[float]]:
    """The numbers of the table, in the order of the rollouts, and each one's class."""
    rows = page.evaluate(
        """() => [...document.querySelectorAll(".partition tbody")].flatMap((body, number) =>
            [...body.querySelectorAll("tr:not(.class-row)")].map((row) => [
                Number(row.querySelector(".index").textContent), number,
                ...[...row.querySelectorAll("td[data-label]")].slice(1).map((cell) =>
                    Number(cell.textContent.trim().replace("−", "-")))]))"""
    )
    columns = zip(*sorted(rows), strict=True)
    names = ("index", "partition", "diversity", "reward", "advantage")
    return {name: list(column) for name, column in zip(names, columns, strict=False)}


def assert_shows(page: Page, group: dict[str, Any], anew: str = NONE_ANEW) -> None:
    """The page shows this answer, which no model was asked for."""
    expect(page.locator("[role=status]").filter(has_text="pairs classified")).to_contain_text(anew)
    table = shown(page)
    assert table["partition"] == group["partition"]
    assert table["diversity"] == pytest.approx(group["diversity"], abs=0.0051)
    assert table["reward"] == pytest.approx(group["rewards"], abs=0.00051)
    if group["advantages"] is not None:
        assert table["advantage"] == pytest.approx(group["advantages"], abs=0.00051)


def settled(page: Page) -> None:
    """Waits until what was changed last has been answered."""
    page.wait_for_timeout(250)  # the slider must have rested
    page.wait_for_selector(".partition")
    page.wait_for_selector("[aria-busy=true]", state="detached")


def slide(page: Page, name: str, value: float) -> None:
    page.locator(f"#{name}").evaluate(
        "(slider, value) => { slider.value = value; \
        slider.dispatchEvent(new Event('input', { bubbles: true })); }",
        value,
    )


@pytest.fixture
def city(opened: Open) -> Opened:
    one = opened()
    one.go("#/playground")
    one.page.get_by_role("button", name="Name a city").click()
    one.page.wait_for_selector(".partition")
    settled(one.page)
    return one


def test_an_example_shows_what_the_service_answers(city: Opened, service: Service) -> None:
    group = answer_of(service, reward={"advantage": "centered"})
    assert_shows(city.page, group, anew="")
    title = city.page.locator("#partition-title")
    expect(title).to_have_text(f"{group['num_classes']} classes of 8 rollouts")


@pytest.mark.parametrize(
    ("control", "value", "options"),
    [
        ("threshold", 0.05, {"partition": {"threshold": 0.05}}),
        ("threshold", 0.99, {"partition": {"threshold": 0.99}}),
        ("linkage", "single", {"partition": {"linkage": "single"}}),
        ("objective", "additive", {"reward": {"objective": "additive", "advantage": "centered"}}),
        ("exponent", 2.5, {"reward": {"exponent": 2.5, "advantage": "centered"}}),
        ("floor", 0.8, {"reward": {"floor": 0.8, "advantage": "centered"}}),
        ("advantage", "rloo", {"reward": {"advantage": "rloo"}}),
        ("advantage", "none", {}),
        ("model", "exact", {"model": "exact", "reward": {"advantage": "centered"}}),
    ],
)
def test_a_control_reshapes_without_the_model(
    city: Opened, service: Service, control: str, value: float | str, options: dict[str, Any]
) -> None:
    if isinstance(value, str):
        city.page.select_option(f"#{control}", value)
    else:
        slide(city.page, control, value)
    settled(city.page)
    options.setdefault("reward", {"advantage": "centered"} if control != "advantage" else {})
    anew = "" if control == "model" else NONE_ANEW
    assert_shows(city.page, answer_of(service, **options), anew)


def test_operating_points_of_the_model_are_one_press_away(city: Opened, service: Service) -> None:
    city.page.get_by_role("button", name="precision").press("Enter")
    settled(city.page)
    options = {"partition": {"threshold": "precision"}, "reward": {"advantage": "centered"}}
    assert_shows(city.page, answer_of(service, **options))
    city.page.get_by_role("button", name="Back to the defaults").click()
    settled(city.page)
    assert_shows(city.page, answer_of(service, reward={"advantage": "centered"}))


def test_the_sliders_of_diversity_are_there_for_the_objectives_that_read_them(
    opened: Open,
) -> None:
    page = opened().go("#/playground")
    expect(page.locator("#objective option")).to_have_text(list(OBJECTIVES))
    for name, objective in OBJECTIVES.items():
        page.select_option("#objective", name)
        for slider in ("exponent", "floor"):
            reads = objective.options >= SHAPING
            expect(page.locator(f"#{slider}")).to_be_enabled(enabled=reads)


def test_what_an_objective_lacks_is_said_in_the_services_words(opened: Open) -> None:
    page = opened(expected="422").go("#/playground")
    page.get_by_role("button", name="A train covers").click()
    settled(page)
    page.select_option("#objective", "unlikeliness")
    expect(page.get_by_role("alert")).to_contain_text("logprob")
    page.select_option("#objective", "gapo")
    expect(page.get_by_role("alert")).to_contain_text("support")
    page.get_by_text("More reward options").click()
    page.fill("#more", '{"outcome": "class", "support": 9')
    expect(page.locator(".shaping .bad")).to_contain_text("JSON object")
    page.fill("#more", '{"outcome": "class", "support": 9}')
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_quality_that_is_edited_changes_the_reward(city: Opened) -> None:
    before = shown(city.page)
    city.page.get_by_label("Quality of rollout 6", exact=True).fill("0.2")
    settled(city.page)
    after = shown(city.page)
    assert after["partition"] == before["partition"]
    assert after["reward"][5] == pytest.approx(0.2 * before["diversity"][5], abs=0.001)
    assert after["reward"][:5] == before["reward"][:5]


def test_the_arrow_keys_choose_a_pair_and_its_texts_are_compared(
    city: Opened, service: Service
) -> None:
    matrix = answer_of(service, return_probabilities=True)["probabilities"]
    city.page.locator(".heat-map").focus()
    for _ in range(8):
        city.page.keyboard.press("ArrowUp")
        city.page.keyboard.press("ArrowLeft")
    city.page.keyboard.press("ArrowRight")
    order = [
        index for index, _ in sorted(enumerate(shown(city.page)["partition"]), key=lambda p: p[1])
    ]
    a, b = order[0], order[1]
    captions = city.page.locator(".difference figcaption").all_text_contents()
    assert captions == [f"Rollout {a + 1}", f"Rollout {b + 1}"]
    expect(city.page.locator(".verdict .big")).to_have_text(f"{matrix[a][b]:.2f}")
    texts = city.page.locator(".difference .text").all_text_contents()
    assert texts == [CITY["rollouts"][a], CITY["rollouts"][b]]
    unmarked = [
        re.sub("[.,]", "", text).split()
        for text in city.page.evaluate(
            """() => [...document.querySelectorAll(".difference .text")].map((text) =>
                [...text.childNodes].filter((part) => part.nodeType === Node.TEXT_NODE)
                    .map((part) => part.textContent).join(" "))"""
        )
    ]
    assert unmarked[0] == unmarked[1]
    assert len(unmarked[0]) >= 4


@pytest.mark.parametrize(
    ("separator", "written"),
    [
        ("line", "Blue.\n\n  blue \nRed.\n"),
        ("blank", "Blue.\n\nblue\n \nRed.\n\n"),
        ("rule", "Blue.\n---\n\nblue\n---\nRed."),
    ],
)
def test_pasted_rollouts_are_lines_or_blocks(opened: Open, separator: str, written: str) -> None:
    page = opened().go("#/playground")
    page.fill("#prompt", "Name a colour.")
    page.select_option("#separator", separator)
    page.fill("#rollouts", written)
    page.get_by_role("button", name="Score").click()
    settled(page)
    assert shown(page)["partition"] == [0, 0, 1]
    page.fill("#rollouts", "Blue.")
    expect(page.get_by_text("The group has changed since it was scored")).to_be_visible()


def test_a_file_of_json_lines_is_read_group_by_group(opened: Open, tmp_path: Path) -> None:
    groups = [
        {"prompt": "Name a colour.", "rollouts": ["Blue.", "blue"], "note": "not of the API"},
        {
            "prompt": [{"role": "user", "content": "2 + 2?"}],
            "rollouts": [
                {"text": "4", "quality": 0.25, "answer": "4"},
                [{"role": "assistant", "content": "Four.\n\nAs everybody knows."}],
            ],
        },
    ]
    file = tmp_path / "groups.jsonl"
    file.write_text("\n".join(map(json.dumps, groups)) + "\n\n")
    page = opened().go("#/playground")
    page.set_input_files("#file", file)
    settled(page)
    assert shown(page)["partition"] == [0, 0]
    page.get_by_role("button", name="Next").click()
    expect(page.locator("#prompt")).to_have_value("2 + 2?")
    settled(page)
    assert page.get_by_label("Quality of rollout 1", exact=True).input_value() == "0.25"
    expect(page.locator(".partition .rollout").nth(1)).to_contain_text("Four.")


def test_a_file_is_dropped_anywhere_on_the_page(opened: Open) -> None:
    page = opened().go("#/playground")
    held = page.evaluate_handle(
        """(line) => {
            const held = new DataTransfer();
            held.items.add(new File([line], "groups.jsonl"));
            return held;
        }""",
        json.dumps({"prompt": "Name a colour.", "rollouts": ["Blue.", "blue"]}),
    )
    page.dispatch_event("h1", "dragover", {"dataTransfer": held})
    expect(page.locator(".drop-target")).to_have_count(1)
    page.dispatch_event("h1", "drop", {"dataTransfer": held})
    settled(page)
    assert shown(page)["partition"] == [0, 0]
    expect(page.locator(".drop-target")).to_have_count(0)
    expect(page.locator("#prompt")).to_have_value("Name a colour.")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"prompt": "a", "rollouts": ["b"]}\n{"prompt": "a"}', "line 2: rollouts is missing"),
        ('{"rollouts": ["b"]}\n{}', "line 1: prompt is missing"),
        ("no JSON", "line 1: "),
        ('{"prompt": "a", "rollouts": ["b"], "quality": 1}', "quality must be a list"),
        ('[{"prompt": "a", "rollouts": ["b"]}, 7]', "group 2: a group is an object"),
        ("\n", "has no groups"),
        ('{"prompt": "a", "rollouts": [{"quality": 1}]}', "rollouts.0 has neither"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_by_line(
    opened: Open, tmp_path: Path, content: str, words: str
) -> None:
    file = tmp_path / "groups.jsonl"
    file.write_text(content)
    page = opened().go("#/playground")
    page.set_input_files("#file", file)
    expect(page.get_by_role("alert")).to_contain_text(words)


def test_rollouts_that_hold_markup_are_shown_as_text(opened: Open, tmp_path: Path) -> None:
    file = tmp_path / "groups.jsonl"
    file.write_text(json.dumps({"prompt": HOSTILE[1], "rollouts": HOSTILE}))
    one = opened()
    page = one.go("#/playground")
    page.set_input_files("#file", file)
    settled(page)
    texts = page.evaluate("[...document.querySelectorAll('.rollout')].map((r) => r.textContent)")
    assert sorted(texts) == sorted(HOSTILE)
    assert page.locator("main img, main script").count() == 0


def test_a_link_reopens_the_page_as_it_was(city: Opened, opened: Open) -> None:
    slide(city.page, "threshold", 0.8)
    city.page.select_option("#linkage", "complete")
    city.page.get_by_label("Quality of rollout 2", exact=True).fill("0.123")
    settled(city.page)
    before = shown(city.page)
    city.page.get_by_role("button", name="Copy link").click()
    link = city.page.evaluate("navigator.clipboard.readText()")
    assert city.page.url == link
    other = opened().page
    other.goto(link)
    settled(other)
    assert shown(other) == before
    assert other.locator("#threshold").input_value() == "0.8"
    other.goto(link[:-40])
    expect(other.get_by_role("alert")).to_contain_text("damaged")


def test_the_request_can_be_sent_from_elsewhere(
    city: Opened, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    slide(city.page, "exponent", 2)
    settled(city.page)
    rewards = answer_of(service, reward={"exponent": 2})["rewards"]

    def code(name: str) -> str:
        city.page.get_by_role("tab", name=name).click()
        return city.page.locator(".code").inner_text()

    words = shlex.split(code("curl"))
    run = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(run.stdout)["groups"][0]["rewards"] == rewards
    names: dict[str, Any] = {}
    exec(code("Python"), names)
    names["client"].close()
    assert names["result"].rewards == rewards
    assert trained_by_trl(code("TRL"), monkeypatch) == pytest.approx(rewards)
    flags = re.findall(r"^\+reward\.darling\.(reward|partition)\.(\w+)=(.*)$", code("verl"), re.M)
    options: dict[str, dict[str, Any]] = {"reward": {}, "partition": {}}
    for part, name, value in flags:
        options[part][name] = yaml.safe_load(value)
    assert answer_of(service, **options)["rewards"] == rewards


def trained_by_trl(code: str, monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """The rewards that the lines for TRL give its trainer for the first example."""
    trainers: list[dict[str, Any]] = []
    stub = ModuleType("trl")
    vars(stub)["GRPOConfig"] = lambda **options: SimpleNamespace(**options)
    vars(stub)["GRPOTrainer"] = lambda **parts: trainers.append(parts)
    monkeypatch.setitem(sys.modules, "trl", stub)
    monkeypatch.setenv("DARLING_URL", "")
    names = {"model": None, "dataset": None, "quality": lambda **columns: CITY["quality"]}
    exec(code, names)
    (reward,) = [trainer["reward_funcs"] for trainer in trainers]
    rollouts = CITY["rollouts"]
    rewards: list[float | None] = reward([CITY["prompt"]] * len(rollouts), rollouts)
    reward.client.close()
    return rewards


def test_a_judge_takes_a_criterion(opened: Open, tmp_path: Path) -> None:
    said = "It's the same if they are as long as each other."
    with (
        serving("tests.servers.chat") as server,
        running(tmp_path / "log", "--model", f"judge:referee@{server.url}/v1") as judge,
    ):
        page = opened(url=judge.url).go("#/playground")
        page.get_by_label("Prompt").fill("Name a fruit.")
        page.locator("#rollouts").fill("apple\napricot\ngrape")
        page.get_by_role("button", name="Score").click()
        settled(page)
        assert shown(page)["partition"] == [0, 0, 1], "by the first letter"
        page.get_by_label("Two rollouts are the same if").fill(said)
        page.keyboard.press("Tab")
        settled(page)
        assert shown(page)["partition"] == [0, 1, 0]
        page.get_by_role("tab", name="verl").click()
        flags = shlex.split(page.locator(".code").inner_text())
    assert f"+reward.darling.partition.criterion={json.dumps(said)}" in flags


def test_what_is_tried_out_is_recorded_of_no_run(opened: Open) -> None:
    page = opened().go("#/playground")
    with page.expect_request("**/v1/rewards") as sent:
        page.get_by_role("button", name="Name a city").click()
    body: dict[str, Any] = sent.value.post_data_json or {}
    assert body["record"] is False


def test_a_group_that_is_asked_for_too_early_is_scored_when_the_model_is_there(
    opened: Open,
) -> None:
    page = opened().page
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/v1/models", hold)
    page.goto(f"{opened().url}/console/#/playground")
    page.get_by_role("button", name="Name a city").click()
    expect(page.locator(".empty-title")).to_have_text("The service is loading its model …")
    held[0].continue_()
    expect(page.locator(".partition")).to_be_visible()


def test_a_group_of_64_is_reshaped_at_once(opened: Open, tmp_path: Path) -> None:
    rollouts = [f"Answer {number % 11}, {'really ' * (number % 3)}yes." for number in range(64)]
    file = tmp_path / "groups.jsonl"
    file.write_text(json.dumps({"prompt": "Answer me.", "rollouts": rollouts}))
    page = opened().go("#/playground")
    page.select_option("#model", "ngram")
    page.set_input_files("#file", file)
    page.wait_for_selector(".partition", timeout=60_000)
    settled(page)
    # From the answer to the drawn page, which is the console's share.
    page.evaluate(
        """() => {
            window.drawn = [];
            const observer = new MutationObserver(() => {
                const answers = performance.getEntriesByType("resource")
                    .filter((one) => one.name.endsWith("/v1/rewards"));
                requestAnimationFrame(() => setTimeout(() =>
                    window.drawn.push(performance.now() - answers.at(-1).responseEnd)));
            });
            observer.observe(document.querySelector(".results"),
                { subtree: true, childList: true, characterData: true });
        }"""
    )
    for threshold in (0.1, 0.5, 0.9):
        slide(page, "threshold", threshold)
        settled(page)
    drawn = page.evaluate("window.drawn")
    assert min(drawn) < 500, drawn
    assert page.locator(".partition .rollout").count() == 64


def test_recorded_groups_are_offered_or_their_cure_is(opened: Open) -> None:
    page = opened(expected="404").go("#/playground")
    page.get_by_role("button", name="Recorded").click()
    page.wait_for_selector(".problem, .recorded, form .hint code")
