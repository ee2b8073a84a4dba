"""The options `criterion` and `show_reference`: what a judge is told, and who refuses them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from darling_models.instructions import Instructions, instructed
from darling_models.llm_judge.prompts import REFERENCE, SAME_ANSWER
from darling_models.notions import by_notion
from darling_models.options import ModelOptions, VerdictForm
from darling_models.protocol import all_pairs
from darling_models.registry import load
from tests.commands import run_command
from tests.conftest import Service, running
from tests.faults.test_bad_input import problem
from tests.servers.processes import serving

SAME_LENGTH = "Two texts are the same if they are as long as each other."
TEXTS = ["apple", "apricot", "grape"]
GROUP: dict[str, Any] = {"prompt": "Name a fruit.", "rollouts": TEXTS}
REWARDED = GROUP | {"quality": [1.0, 1.0, 1.0]}
BY_LETTER, BY_LENGTH = [0, 0, 1], [0, 1, 0]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log = tmp_path_factory.mktemp("criterion") / "log"
    with (
        serving("tests.servers.chat") as server,
        running(log, "--model", f"judge:referee@{server.url}/v1") as service,
    ):
        yield service


def told(judge: Service, path: str, **body: Any) -> Any:
    with judge.client() as http:
        answer = http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_every_request_takes_a_criterion(judge: Service) -> None:
    options = {"partition": {"criterion": SAME_LENGTH}}
    for path, own in (
        ("/v1/rewards", REWARDED),
        ("/v1/partitions", GROUP),
        ("/v1/preferences", REWARDED),
    ):
        answer = told(judge, path, groups=[own], **options)
        assert answer["groups"][0]["partition"] == BY_LENGTH, path
        assert answer["model"]["notion"] is None, "the criterion is in its place"
        assert told(judge, path, groups=[own])["groups"][0]["partition"] == BY_LETTER
    alone = {"group_id": "one", "group_size": 1, "prompt": "p", "text": "a", "quality": 1.0}
    assert told(judge, "/v1/rollouts", **alone, **options)["model"]["notion"] is None
    pairs = [{"prompt": "Name a fruit.", "a": "apple", "b": other} for other in TEXTS[1:]]
    for criterion, same in ((SAME_LENGTH, [False, True]), (None, [True, False])):
        answer = told(judge, "/v1/equivalence", pairs=pairs, criterion=criterion)
        assert [result["equivalent"] for result in answer["results"]] == same


def test_answers_are_kept_by_criterion_and_reference(judge: Service) -> None:
    """Whatever was asked before, and asked again from the cache."""
    references = [None, "apple", "grape"]
    for criterion in (None, SAME_LENGTH, f"{SAME_LENGTH} ", None, SAME_LENGTH):
        for reference in references:
            options = {"criterion": criterion, "show_reference": reference is not None}
            group = GROUP | {"reference": reference}
            answer = told(judge, "/v1/partitions", groups=[group], partition=options)
            expected = BY_LETTER if criterion is None else BY_LENGTH
            assert answer["groups"][0]["partition"] == expected
    usage = told(judge, "/v1/partitions", groups=[GROUP])["usage"]
    assert (usage["classified"], usage["cached"]) == (0, 3)


@pytest.mark.parametrize("verdict", ["logprobs", "json", "group"])
def test_what_the_judge_reads(verdict: VerdictForm) -> None:
    classifier = load("judge:referee@http://127.0.0.1:9/v1", ModelOptions(judge_verdict=verdict))
    keys = set()
    for criterion in (None, SAME_LENGTH):
        for reference in (None, "42"):
            own: Any = instructed(classifier, Instructions(criterion, reference))
            assert own.info == classifier.info
            (unit, *_) = own.plan("p", ["a", "b"], all_pairs(2)).units
            keys.add(unit.key)
            *texts, notion, prompt, told_criterion, told_reference = unit.inputs
            body = own._judge._body(texts, notion, prompt, told_criterion, told_reference)
            system, user = (message["content"] for message in body["messages"])
            assert (criterion or SAME_ANSWER["general"]) in system
            assert (REFERENCE in system) == (reference is not None)
            assert ("<reference>\n42\n</reference>" in user) == (reference is not None)
            assert by_notion(own, "approach").plan("p", ["a", "b"], all_pairs(2)).units
    assert len(keys) == 4


def test_a_criterion_of_the_settings_is_for_their_notion(tmp_path: Path) -> None:
    with serving("tests.servers.chat") as server:
        arguments = ("--model", f"judge:referee@{server.url}/v1", "--judge-criterion", SAME_LENGTH)
        with running(tmp_path / "log", *arguments) as service:
            for options, classes in (
                ({}, BY_LENGTH),
                ({"notion": "answer"}, BY_LENGTH),
                ({"notion": "approach"}, [0, 1, 0]),
                ({"criterion": "They start with the same letter."}, BY_LETTER),
            ):
                answer = told(service, "/v1/partitions", groups=[GROUP], partition=options)
                assert answer["groups"][0]["partition"] == classes, options


@pytest.mark.parametrize("model", ["exact", "embedded"])
def test_other_models_refuse_both_by_name(http: httpx.Client, model: str) -> None:
    group = REWARDED | {"reference": "apple"}
    pair = {"a": "a", "b": "b"}
    requests: tuple[tuple[str, dict[str, Any], list[str]], ...] = (
        ("/v1/rewards", {"groups": [group]}, ["partition"]),
        ("/v1/partitions", {"groups": [GROUP | {"reference": "apple"}]}, ["partition"]),
        ("/v1/preferences", {"groups": [group]}, ["partition"]),
        (
            "/v1/rollouts",
            {
                **{"group_id": f"told {model}", "group_size": 2, "prompt": "p", "text": "t"},
                **{"quality": 1, "reference": "apple"},
            },
            ["partition"],
        ),
        ("/v1/equivalence", {"pairs": [pair]}, []),
    )
    for path, body, loc in requests:
        named: tuple[tuple[str, Any], ...] = (("criterion", SAME_LENGTH), ("show_reference", True))
        for name, value in named:
            place: list[Any] = [*loc, name]
            own: dict[str, Any] = {"partition": {name: value}} if loc else {name: value}
            if not loc and name == "show_reference":
                own, place = {"pairs": [pair, pair | {"reference": "a"}]}, ["pairs", 1, "reference"]
            answer = problem(http.post(path, json={**body, **own, "model": model}), 422)
            assert answer["errors"][0]["loc"] == place
            what = "a criterion" if name == "criterion" else "a reference"
            message = f"{model} cannot be told {what}, as no LLM reads the texts"
            assert message in answer["errors"][0]["msg"]
            assert "judge:MODEL@BASE_URL" in answer["errors"][0]["msg"]


@pytest.mark.parametrize(
    ("partition", "loc", "words"),
    [
        ({"criterion": ""}, ["partition", "criterion"], "blank"),
        ({"criterion": " \n"}, ["partition", "criterion"], "blank"),
        ({"criterion": "x" * 4001}, ["partition", "criterion"], "4000"),
        ({"criterion": 1}, ["partition", "criterion"], "not a text"),
        ({"criterion": "c", "notion": "answer"}, ["partition"], "drop one of them"),
        ({"show_reference": True}, ["groups", 0, "reference"], "missing"),
        ({"show_reference": "yes"}, ["partition", "show_reference"], "boolean"),
    ],
)
def test_what_is_wrong_is_named(
    judge: Service, partition: dict[str, Any], loc: list[Any], words: str
) -> None:
    with judge.client() as http:
        body = {"groups": [GROUP], "partition": partition}
        error = problem(http.post("/v1/partitions", json=body), 422)["errors"][0]
    assert error["loc"] == loc
    assert words in error["msg"]


def test_urls_take_both_and_show_the_label(judge: Service) -> None:
    query = [f"Name a fruit.{text}" for text in TEXTS]
    body = {"query": query, "prompts": ["Name a fruit."] * 3, "labels": ["apple"] * 3}
    with judge.client() as http:
        for extra in ("", "&show_reference=true"):
            url = f"/get_reward?n=3&run=told{len(extra)}&criterion={SAME_LENGTH}{extra}"
            answer = http.post(url, json=body)
            assert answer.status_code == 200, answer.text
            assert answer.json()["rewards"] == [0.5, 1, 0.5]
        unlabelled = {**body, "labels": [None] * 3}
        refusal = problem(http.post("/get_reward?n=3&show_reference=true", json=unlabelled), 422)
    assert refusal["errors"][0]["loc"][-1] == "reference"


def test_models_say_whether_they_can_be_told(judge: Service, http: httpx.Client) -> None:
    with judge.client() as own:
        assert own.get("/v1/models").json()["models"][0]["instructable"]
    listed = http.get("/v1/models").json()["models"]
    assert not any(model["instructable"] for model in listed)
    with pytest.raises(ValueError, match="exact cannot be told a reference"):
        instructed(load("exact"), Instructions(reference="42"))


def test_files_take_both(judge: Service, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(json.dumps(REWARDED | {"reference": "apple"}) + "\n")
    with serving("tests.servers.chat") as server:
        options = json.dumps({"partition": {"criterion": SAME_LENGTH, "show_reference": True}})
        model = f"judge:referee@{server.url}/v1"
        run = run_command("score", "--model", model, "--options", options, str(source), str(target))
    assert run.returncode == 0, run.stderr
    assert json.loads(target.read_text())["partition"] == BY_LENGTH
