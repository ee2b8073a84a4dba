"""LLM judges: polarity and parsing against a scripted server, sense against a real small model."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from darling_models.errors import ModelError, ModelUnavailable, ServerRefused
from darling_models.llm_judge.prompts import SAME_ANSWER
from darling_models.notions import by_notion
from darling_models.options import Domain, ModelOptions, VerdictForm
from darling_models.protocol import Notion, all_pairs, classify
from darling_models.registry import load
from tests.conftest import running
from tests.servers.processes import Server, serving
from tests.servers.smollm import missing

TEXTS = ["apple pie", "cherry", "Apricot {a}", "banana", "cake"]
VERDICTS: tuple[VerdictForm, ...] = get_args(VerdictForm)
PAIRS = all_pairs(len(TEXTS))
NOTIONS: tuple[Notion, ...] = get_args(Notion)
SAME_END = np.array([TEXTS[i][-1] == TEXTS[j][-1] for i, j in PAIRS.tolist()])
SAME_LETTER = np.array([TEXTS[i][0].lower() == TEXTS[j][0].lower() for i, j in PAIRS.tolist()])


@pytest.fixture(scope="module")
def referee() -> Iterator[Server]:
    with serving("tests.servers.chat", "--key", "secret") as server:
        yield server


def options(
    verdict: VerdictForm, domain: Domain = "general", notion: Notion | None = None
) -> ModelOptions:
    return ModelOptions(
        judge_verdict=verdict, judge_domain=domain, judge_api_key="secret", notion=notion
    )


@pytest.mark.parametrize(("domain", "verdict"), list(product(SAME_ANSWER, VERDICTS)))
def test_a_judge_that_says_the_same_means_equivalent(
    referee: Server, domain: Domain, verdict: VerdictForm
) -> None:
    classifier = load(f"judge:referee@{referee.url}/v1", options(verdict, domain))
    found = classify(classifier, "Name a {dish}.", TEXTS, PAIRS)
    sure = 0.9 if verdict == "logprobs" else 1.0
    np.testing.assert_allclose(found, np.where(SAME_LETTER, sure, 1 - sure))
    turned = classify(classifier, "Name a {dish}.", TEXTS, PAIRS[:, ::-1])
    np.testing.assert_array_equal(turned, found)


@pytest.mark.parametrize("verdict", VERDICTS)
def test_the_notion_is_the_question(referee: Server, verdict: VerdictForm) -> None:
    """Whether it is told by a setting or by a request."""
    name = f"judge:referee@{referee.url}/v1"
    sure = 0.9 if verdict == "logprobs" else 1.0
    for default, notion in product((None, *NOTIONS), NOTIONS):
        classifier = by_notion(load(name, options(verdict, notion=default)), notion)
        assert (classifier.info.notion, classifier.info.notions) == (notion, NOTIONS)
        found = classify(classifier, "Name a {dish}.", TEXTS, PAIRS)
        same = SAME_LETTER if notion == "answer" else SAME_END
        np.testing.assert_allclose(found, np.where(same, sure, 1 - sure))


@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_notions_questions_have_keys_of_their_own(referee: Server, verdict: VerdictForm) -> None:
    classifier = load(f"judge:referee@{referee.url}/v1", options(verdict))
    by = {notion: by_notion(classifier, notion) for notion in NOTIONS}
    keys = {n: {unit.key for unit in by[n].plan("p", TEXTS, PAIRS).units} for n in NOTIONS}
    assert not keys["answer"] & keys["approach"]
    assert by["answer"].info.revision == by["approach"].info.revision


def test_a_threshold_in_the_settings_is_for_the_notion_in_the_settings(referee: Server) -> None:
    for default, other in (NOTIONS, NOTIONS[::-1]):
        chosen = ModelOptions(threshold=0.7, notion=default)
        classifier = load(f"judge:referee@{referee.url}/v1", chosen)
        assert classifier.info.threshold == 0.7
        assert by_notion(classifier, other).info.threshold == 0.5


def test_a_group_is_one_question_and_pairs_are_many(referee: Server) -> None:
    expected: dict[VerdictForm, int] = {"group": 1, "json": len(PAIRS)}
    for verdict, questions in expected.items():
        classifier = load(f"judge:referee@{referee.url}/v1", options(verdict))
        assert len(classifier.plan("p", TEXTS, PAIRS).units) == questions


def test_domains_and_verdicts_are_told_apart(referee: Server) -> None:
    revisions = {
        load(f"judge:referee@{referee.url}/v1", options(verdict, domain)).info.revision
        for domain, verdict in product(SAME_ANSWER, VERDICTS)
    }
    assert len(revisions) == len(SAME_ANSWER) * len(VERDICTS)


@pytest.mark.parametrize("key", [None, "wrong"])
def test_a_refused_key_is_no_answer(referee: Server, key: str | None) -> None:
    classifier = load(f"judge:referee@{referee.url}/v1", ModelOptions(judge_api_key=key))
    with pytest.raises(ServerRefused, match="401"):
        classify(classifier, "", ["a", "b"], all_pairs(2))


@pytest.mark.parametrize("target", ["referee", "@http://host/v1", "http://host/v1", "m@host"])
def test_a_target_without_model_or_host_is_refused(target: str) -> None:
    with pytest.raises(ModelError, match="write"):
        load(f"judge:{target}")


@pytest.mark.parametrize("verdict", VERDICTS)
def test_it_serves_rewards(referee: Server, tmp_path: Path, verdict: VerdictForm) -> None:
    name = f"judge:referee@{referee.url}/v1"
    arguments = ("--model", name, "--judge-verdict", verdict, "--judge-api-key", "secret")
    with running(tmp_path / "log", *arguments) as service, service.client() as http:
        group = {"prompt": "Name a dish.", "rollouts": TEXTS, "quality": [1] * 5}
        answer = http.post("/v1/rewards", json={"groups": [group]}).json()
    assert answer["model"]["id"] == name
    assert answer["groups"][0]["partition"] == [0, 1, 0, 2, 1]
    assert answer["usage"]["tokens"] == 7 * (1 if verdict == "group" else 10)


@pytest.mark.parametrize(
    ("verdict", "nonsense"),
    [
        ("logprobs", "logprobs"),
        ("logprobs", "prose"),
        ("logprobs", "null"),
        ("json", "prose"),
        ("json", "string"),
        ("json", "null"),
        ("group", "string"),
        ("group", "incomplete"),
        ("group", "repeated"),
    ],
)
def test_nonsense_is_unavailable_and_never_a_number(verdict: VerdictForm, nonsense: str) -> None:
    with serving("tests.servers.chat", "--nonsense", nonsense) as server:
        classifier = load(f"judge:referee@{server.url}/v1", options(verdict))
        classify(classifier, "", ["warm", "up"], all_pairs(2))
        with pytest.raises(ModelUnavailable):
            classify(classifier, "", ["a", "b"], all_pairs(2))


def test_nonsense_is_503_through_the_service(tmp_path: Path) -> None:
    with serving("tests.servers.chat", "--nonsense", "prose") as server:
        arguments = ("--model", f"judge:referee@{server.url}/v1", "--judge-verdict", "json")
        with running(tmp_path / "log", *arguments) as service, service.client() as http:
            group = {"prompt": "", "rollouts": ["a", "b"], "quality": [1, 1]}
            answer = http.post("/v1/rewards", json={"groups": [group]})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())}")
def test_a_real_small_model_judges_through_the_service(tmp_path: Path) -> None:
    texts = ["Lisbon, for its light.", "Kyoto, for its temples.", "I would visit Lisbon."]
    with serving("tests.servers.smollm") as server:
        arguments = ("--model", f"judge:smollm@{server.url}/v1")
        with running(tmp_path / "log", *arguments) as service, service.client() as http:
            group = {"prompt": "Name a city worth a visit.", "rollouts": texts, "quality": [1] * 3}
            body = {"groups": [group], "return_probabilities": True}
            answer = http.post("/v1/rewards", json=body).json()
            turned = {**group, "rollouts": texts[::-1]}
            again = http.post("/v1/rewards", json={**body, "groups": [turned]}).json()
    found = np.array(answer["groups"][0]["probabilities"])
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(np.array(again["groups"][0]["probabilities"]), found[::-1, ::-1])
    judged = found[np.triu_indices(3, k=1)]
    assert ((judged > 0) & (judged < 1)).all()
    assert len(np.unique(judged)) == 3, "a model's own opinions, not a constant"
    assert answer["usage"]["tokens"] > 300
