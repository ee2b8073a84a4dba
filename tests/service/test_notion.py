"""The option `notion`: by every route, in URLs, files and settings, and refused by other models."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.commands import run_command
from tests.conftest import Service, running
from tests.faults.test_bad_input import problem

PROMPT = "How many handshakes are there if seven people all shake hands with each other?"
SUM = "Each newcomer greets everybody present, so add 1 + 2 + 3 + 4 + 5 + 6."
PAIRS = "Choose a pair: the binomial coefficient C(7, 2) counts them."
TEXTS = [f"{SUM} The answer is 21.", f"{PAIRS} The answer is 21.", f"{SUM} The answer is 28."]
CLASSES = {"answer": [0, 0, 1], "approach": [0, 1, 0]}
GROUP: dict[str, Any] = {"prompt": PROMPT, "rollouts": TEXTS}
REWARDED = GROUP | {"quality": [1.0, 1.0, 1.0]}
NO_NOTION = "exact cannot be told to compare by 'approach' (notions to choose from: none); leave it"


@pytest.mark.parametrize("notion", CLASSES)
def test_every_request_takes_the_option(http: httpx.Client, notion: str) -> None:
    options = {"partition": {"notion": notion}}
    for path, own in (
        ("/v1/rewards", REWARDED),
        ("/v1/partitions", GROUP),
        ("/v1/preferences", REWARDED),
    ):
        answer = http.post(path, json={"groups": [own], **options}).json()
        assert answer["groups"][0]["partition"] == CLASSES[notion], path
        assert answer["model"]["notion"] == notion
    alone = {"group_id": notion, "group_size": 1, "prompt": "p", "text": SUM, "quality": 1.0}
    answer = http.post("/v1/rollouts", json={**alone, **options}).json()
    assert answer["model"]["notion"] == notion
    pairs = [{"prompt": PROMPT, "a": TEXTS[0], "b": other} for other in TEXTS[1:]]
    answer = http.post("/v1/equivalence", json={"pairs": pairs, "notion": notion}).json()
    same = [number == 0 for number in CLASSES[notion][1:]]
    assert [result["equivalent"] for result in answer["results"]] == same
    assert answer["model"]["notion"] == notion


def test_each_notion_has_its_answers_whatever_was_asked_before(http: httpx.Client) -> None:
    for notion in ("approach", "answer", None, "approach", None, "answer"):
        body = {"groups": [GROUP], "partition": {"notion": notion}, "return_probabilities": True}
        answer = http.post("/v1/partitions", json=body).json()
        assert answer["groups"][0]["partition"] == CLASSES[notion or "answer"]
        assert answer["model"]["threshold"] == (0.5 if notion == "approach" else 0.55)


def test_notions_share_batches_and_not_answers(service: Service) -> None:
    """Also where the reward needs vectors, and where the texts are those of the published code."""

    def scored(notion: str, reward: dict[str, Any]) -> dict[str, Any]:
        body = {"groups": [REWARDED], "partition": {"notion": notion}, "reward": reward}
        with service.client() as http:
            answer = http.post("/v1/rewards", json=body)
        assert answer.status_code == 200, answer.text
        group: dict[str, Any] = answer.json()["groups"][0]
        return group

    rewards: tuple[dict[str, Any], ...] = (
        {},
        {"diversity": "pairwise", "soft": True},
        {"objective": "additive", "diversity": "volume"},
    )
    asked = [(notion, reward) for reward in (*rewards, {"parity": "darling"}) for notion in CLASSES]
    alone = [scored(*one) for one in asked]
    with ThreadPoolExecutor(len(asked)) as threads:
        together = list(threads.map(lambda one: scored(*one), asked))
    assert together == alone
    assert [group["partition"] for group in alone[: 2 * len(rewards)]] == [*CLASSES.values()] * 3


def test_what_a_model_offers_is_listed(http: httpx.Client) -> None:
    listed = {model["id"]: model for model in http.get("/v1/models").json()["models"]}
    assert listed["embedded"]["notion"] == "answer"
    assert listed["embedded"]["notions"] == ["answer", "approach"]
    assert "by approach" in listed["embedded"]["description"]
    for name in ("exact", "ngram", "unigram"):
        assert (listed[name]["notion"], listed[name]["notions"]) == (None, [])


@pytest.mark.parametrize("model", ["exact", "ngram", "unigram"])
def test_a_model_without_the_notion_refuses_it_by_name(http: httpx.Client, model: str) -> None:
    told = NO_NOTION.replace("exact", model).removesuffix(" it")
    for path, body, loc in (
        ("/v1/rewards", {"groups": [REWARDED]}, ["partition", "notion"]),
        ("/v1/partitions", {"groups": [GROUP]}, ["partition", "notion"]),
        ("/v1/preferences", {"groups": [REWARDED]}, ["partition", "notion"]),
        ("/v1/equivalence", {"pairs": [{"a": "a", "b": "b"}]}, ["notion"]),
        (
            "/v1/rollouts",
            {"group_id": f"no {model}", "group_size": 2, "prompt": "p", "text": "t", "quality": 1},
            ["partition", "notion"],
        ),
    ):
        for notion in ("answer", "approach"):
            own = {"notion": notion} if loc == ["notion"] else {"partition": {"notion": notion}}
            answer = problem(http.post(path, json={**body, **own, "model": model}), 422)
            assert answer["errors"][0]["loc"] == loc
            assert told.replace("approach", notion) in answer["errors"][0]["msg"]
            assert "embedded or judge:MODEL@BASE_URL" in answer["detail"]


@pytest.mark.parametrize("wrong", ["method", "", 1, ["approach"], "Approach"])
def test_an_unknown_notion_is_named(http: httpx.Client, wrong: Any) -> None:
    body = {"groups": [GROUP], "partition": {"notion": wrong}}
    answer = problem(http.post("/v1/partitions", json=body), 422)
    assert answer["errors"][0]["loc"] == ["partition", "notion"]
    assert "answer" in answer["errors"][0]["msg"]


def test_a_named_threshold_of_the_answer_is_none_of_the_approach(http: httpx.Client) -> None:
    def partitioned(threshold: float | str) -> httpx.Response:
        options = {"notion": "approach", "threshold": threshold}
        return http.post("/v1/partitions", json={"groups": [GROUP], "partition": options})

    refusal = problem(partitioned("precision"), 422)
    assert refusal["errors"][0]["loc"] == ["partition", "threshold"]
    assert partitioned(0.999).json()["groups"][0]["partition"] == [0, 1, 2]


def test_urls_take_the_option(http: httpx.Client) -> None:
    query = [PROMPT + text for text in TEXTS]
    body = {"query": query, "prompts": [PROMPT] * 3, "labels": [None] * 3}
    for notion, classes in CLASSES.items():
        answer = http.post(f"/get_reward?n=3&run=url-{notion}&notion={notion}", json=body)
        assert answer.status_code == 200, answer.text
        expected = [(3 - classes.count(number)) / 2 for number in classes]
        assert answer.json()["rewards"] == expected
    refusal = problem(http.post("/get_reward?n=3&notion=way", json=body), 422)
    assert refusal["errors"][0]["loc"][-1] == "notion"


def test_the_setting_is_the_default_and_a_request_has_the_last_word(tmp_path: Path) -> None:
    arguments = ("--notion", "approach")
    with running(tmp_path / "log", *arguments) as service, service.client() as http:
        for options, notion in (({}, "approach"), ({"notion": "answer"}, "answer")):
            body = {"groups": [GROUP], "partition": options}
            answer = http.post("/v1/partitions", json=body).json()
            assert answer["groups"][0]["partition"] == CLASSES[notion]
            assert answer["model"]["notion"] == notion
        unchosen = http.post("/v1/partitions", json={"groups": [GROUP], "model": "exact"})
        assert unchosen.json()["model"]["notion"] is None
        assert http.get("/v1/models").json()["models"][0]["notion"] == "approach"


def test_a_setting_that_the_model_does_not_have_ends_the_start() -> None:
    for model in ("exact", "remote:http://127.0.0.1:9", "cascade:judge:m@http://127.0.0.1:9/v1"):
        run = run_command("serve", "--port", "0", "--model", model, "--notion", "approach")
        assert run.returncode == 2
        assert "cannot be told to compare by 'approach'" in run.stderr
        assert "Traceback" not in run.stderr


def test_files_take_the_option_and_know_it_again(service: Service, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(json.dumps(REWARDED) + "\n")
    by_option = ("--options", '{"partition": {"notion": "approach"}}')
    for arguments in (by_option, ("--notion", "approach"), ()):
        run = run_command("score", *arguments, "--overwrite", str(source), str(target))
        assert run.returncode == 0, run.stderr
        classes = CLASSES["approach" if arguments else "answer"]
        assert json.loads(target.read_text())["partition"] == classes
    for arguments in (by_option, ("--notion", "approach")):
        run = run_command("score", *arguments, str(source), str(target))
        assert run.returncode == 2, "the answers there are by another notion"
        assert "Traceback" not in run.stderr


def test_evaluate_partitions_by_the_notion(tmp_path: Path) -> None:
    source = tmp_path / "run.jsonl"
    source.write_text(json.dumps(GROUP | {"correct": [True, True, False]}) + "\n")
    for notion, distinct in (("answer", 1), ("approach", 2)):
        run = run_command("evaluate", "--json", "--notion", notion, str(source))
        assert run.returncode == 0, run.stderr
        figures = json.loads(run.stdout)["metrics"]
        assert figures["effective_diversity"]["mean"] == pytest.approx(distinct / 3)
