"""Every snippet of README, docs/, examples/ and the client's README prints what the page shows.

A page's snippets run in its order, against a service; `tests/pages/untried.py` lists the commands
that no test can run, with the reason and what is checked instead. A snippet in a language that
nothing here runs or checks fails.
"""

import ast
import importlib
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from darling_models.training.sources import read_recipe
from darling_service.http.examples import GROUP
from darling_service.schemas.requests import RewardRequest
from darling_service.trainers.query import Query, read_query
from darling_service.trainers.slime import SlimeQuery
from tests.conftest import Service, running
from tests.pages.fences import PAGES, PRINTS, ROOT, Snippet, snippets, spans
from tests.pages.printed import differs
from tests.pages.reader import Reader
from tests.pages.untried import PROGRAM, flags_exist, module_exists, target_exists, untried
from tests.pages.world import NAMES

CHECKED = (*PRINTS, "json", "options", "recipe", "diagram")
"""Languages of snippets that a test here runs or checks; in a diagram there is nothing to run."""
TRAINING = ROOT / "docs/classifier.md"
WITH_SNIPPETS = [page for page in PAGES if snippets(page)]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def follow(page: Path, folder: Path, url: str, *, slow: bool) -> None:
    with closing(Reader(folder, url, slow=slow, names=NAMES)) as reader:
        check(page, reader)


def check(page: Path, reader: Reader) -> None:
    for snippet in snippets(page):
        if snippet.language in PRINTS:
            printed = reader.run(snippet)
            if snippet.printed is not None:
                difference = differs(snippet.printed, printed)
                assert difference is None, f"{snippet.place}: {difference}"


@pytest.mark.processor
@pytest.mark.parametrize("page", WITH_SNIPPETS, ids=name_of)
def test_the_snippets_of_a_page_run_and_print_what_it_shows(
    service: Service, tmp_path: Path, page: Path
) -> None:
    follow(page, tmp_path, service.url, slow=False)


@pytest.mark.slow
def test_the_commands_that_train_a_classifier_run(service: Service, tmp_path: Path) -> None:
    follow(TRAINING, tmp_path, service.url, slow=True)
    assert (tmp_path / "my-classifier/MODEL_CARD.md").exists()
    document = json.loads((tmp_path / "figures/evaluation.json").read_text())
    assert document["sections"][0]["figures"]["embedded"]["auc"]["value"] > 0.5
    model = f"embedded:{tmp_path / 'my-classifier'}"
    with running(tmp_path / "log", "--model", model) as trained, trained.client() as http:
        group = {"prompt": "What is 2 + 2?", "rollouts": ["It is 4.", "It is 4.", "Look it up."]}
        response = http.post("/v1/partitions", json={"groups": [group]}).json()
    assert response["groups"][0]["partition"][:2] == [0, 0]


@pytest.mark.parametrize("page", WITH_SNIPPETS, ids=name_of)
def test_every_snippet_is_of_a_kind_that_is_checked(page: Path) -> None:
    unchecked = [s.place for s in snippets(page) if s.language not in CHECKED]
    assert not unchecked, "mark them sh, python, json, options or recipe; their output is text"


def test_output_stands_behind_the_snippet_that_prints_it() -> None:
    """A block of output that follows nothing would be compared with nothing."""
    for page in WITH_SNIPPETS:
        shown = sum(snippet.printed is not None for snippet in snippets(page))
        assert page.read_text().count("\n```text\n") == shown, name_of(page)


@pytest.mark.parametrize("page", WITH_SNIPPETS, ids=name_of)
def test_python_snippets_are_whole(page: Path) -> None:
    for snippet in snippets(page):
        if snippet.language == "python":
            ast.parse(snippet.code, snippet.place)


@pytest.mark.processor
def test_a_request_of_the_cohort_page_is_answered_as_shown(service: Service) -> None:
    (page,) = (page for page in PAGES if page.name == "cohorts.md")
    request, response = (
        json.loads(snippet.code) for snippet in snippets(page) if snippet.language == "json"
    )
    siblings = [
        request | rollout | {"member_id": place} for place, rollout in enumerate(GROUP["rollouts"])
    ]
    assert siblings[0] == request, "the page sends the group's first rollout"
    with service.client() as http, ThreadPoolExecutor() as threads:
        send = lambda body: http.post("/v1/rollouts", json=body).json()  # noqa: E731
        first, *_ = threads.map(send, siblings)
    assert first.keys() == response.keys()
    assert response.pop("model")["id"] == first.pop("model")["id"]
    assert first == pytest.approx(response)


def options() -> list[Snippet]:
    return [s for page in PAGES for s in snippets(page) if s.language == "options"]


def test_recipes_can_be_read(tmp_path: Path) -> None:
    recipes = [s for page in PAGES for s in snippets(page) if s.language == "recipe"]
    assert recipes
    for snippet in recipes:
        (file := tmp_path / "recipe.toml").write_text(snippet.code)
        assert read_recipe(file), snippet.place


def test_options_of_trainers_name_what_exists() -> None:
    assert len(options()) >= 2
    for snippet in options():
        for module in re.findall(r"pkg://([\w.]+)", snippet.code):
            (manager,) = re.findall(r"reward_manager\.name=(\w+)", snippet.code)
            source = importlib.util.find_spec(module)
            assert source is not None
            assert source.origin is not None
            assert f"class {manager}(" in Path(source.origin).read_text(), snippet.place


def test_commands_between_backticks_exist() -> None:
    checked = 0
    for page in PAGES:
        for span in spans(page):
            if re.match(PROGRAM + r"[a-z-]+ \S", span):
                flags_exist(re.sub(r"\s\.\.\.", "", complete(span)))
            elif span.startswith("make ") and span != "make":
                target_exists(span.replace("INFINITY=... ", ""))
            elif re.match(r"\S*python -m benchmarks", span):
                module_exists(span)
            else:
                continue
            checked += 1
    assert checked > 20


def complete(command: str) -> str:
    """A command as a sentence names it, with the arguments that it then leaves to the reader."""
    needed = {
        "train": "--pairs FILE --out DIR",
        "train-cross-encoder": "--pairs FILE --out DIR",
    }
    name = command.split("darling-reward ")[1].split()[0]
    flag = needed.get(name, "").partition(" ")[0]
    return command if not flag or flag in command else f"{command} {needed[name]}"


ELSEWHERE = {"/opt/darling/sbom.cdx.json", "/var/lib/darling", "/v1/traces"}
"""Paths that are no routes of the service: a file and a folder of the image, and a collector of
traces."""


def test_routes_between_backticks_exist(service: Service) -> None:
    paths = {
        path.partition("?")[0]
        for page in PAGES
        for span in spans(page)
        for path in re.findall(r"(?:^|^POST |^GET |https?://[\w:.]+)(/[a-z][\w/.-]*\??)", span)
    }
    assert {"/v1/rewards", "/trainers/slime/rm"} <= paths
    with service.client() as http:
        routes = http.get("/openapi.json").json()["paths"]
        starts = {path for path in paths if any(r.startswith(f"{path}/") for r in routes)}
        unknown = {
            path for path in paths - starts - routes.keys() if http.get(path).status_code == 404
        }
    assert unknown == ELSEWHERE


def test_options_between_backticks_are_accepted() -> None:
    checked = 0
    for page in PAGES:
        for span in spans(page):
            if span.startswith(("?", "&")) and "=" in span:
                accepts_query(span[1:])
            elif re.match(r'"(reward|partition|run)": \{', span) or span.startswith('{"objective'):
                accepts_options(span)
            else:
                continue
            checked += 1
    assert checked >= 5


def accepts_query(query: str) -> None:
    if re.search(r"=[A-Z]+\b", query) or query.endswith("="):
        return  # a placeholder
    scope: dict[str, Any] = {"type": "http", "query_string": query.encode(), "headers": []}
    read_query(Request(scope), SlimeQuery if "answer=" in query else Query)


def accepts_options(span: str) -> None:
    if '"}' in span and ":" not in span.partition("{")[2]:
        return  # names without values
    fields = json.loads(span if span.startswith("{") else "{" + span + "}")
    body = {"reward": fields} if "objective" in fields else fields
    group = {"prompt": "p", "rollouts": ["a", "b"], "quality": [1, 1]}
    RewardRequest.model_validate({"groups": [group], **body})


@pytest.mark.processor
@pytest.mark.parametrize("script", ["plain.py", "with_requests.py"])
def test_an_example_of_a_client_prints_what_it_says(service: Service, script: str) -> None:
    path = ROOT / "clients/examples" / script
    said = re.search(r"It prints (\[.*?\])", ast.get_docstring(ast.parse(path.read_text())) or "")
    assert said is not None
    command = [sys.executable, str(path), service.url]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(run.stdout) == pytest.approx(json.loads(said[1]))


def test_a_command_that_no_test_runs_has_its_reason() -> None:
    for command in (
        "make serve",
        "darling-reward serve",
        "docker build .",
        "pip install '.[math]'",
    ):
        row = untried(command)
        assert row is not None
        assert row.reason
    assert untried("darling-reward score examples/groups.jsonl -") is None


@pytest.mark.parametrize(
    ("shown", "printed", "agree"),
    [
        ("reward 0.33", "reward 0.3333333", True),
        ("reward 0.33", "reward 0.36", False),
        ("[0,0,1]", "[0,0,1]", True),
        ("[0,0,1]", "[0,1,1]", False),
        ("12 rows", "13 rows", False),
        ("p  0.0001", "p 0.0002", True),
        ("0.05 of -0.13", "0.05 of 0.13", False),
        ("a\n...\nd 1.0", "a\nb\nc\nd 1.0", True),
        ("a\n...", "b\na", False),
        ("a", "a\nb", False),
        ("a\nb", "a", False),
        ('{"id":"...","n":2}', '{"id":"9f3","n":2}', True),
        ('{"id":"...","n":2}', '{"id":"9f3","n":3}', False),
    ],
)
def test_what_counts_as_printed(shown: str, printed: str, agree: bool) -> None:
    assert (differs(shown, printed) is None) == agree
