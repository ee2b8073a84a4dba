"""The option `text` over HTTP, and templated prompts with the real default model."""

import asyncio
import random
from typing import Any

import httpx
import pytest

from tests.conftest import Service, running
from tests.faults.test_bad_input import problem
from tests.test_corpus import read
from tests.texts import essay

ASK = "The old station stands empty. What should the town do with it?"
THOUGHTS = ("Lisbon? Kyoto? Cairo? The user wants warmth.", "Somewhere with history, then.")
A = f"<think>{THOUGHTS[0]}</think>\nKyoto, for its temples."
B = f"<think>{THOUGHTS[1]}</think>\nKyoto, for its temples."
C = f"<think>{THOUGHTS[0]}</think>\nCairo, for the pyramids."
WHOLE = [A, B, C]
TEMPLATES = [case for case in read("chat_templates.jsonl") if case.asks and "<" in case.prompt]


def scored(http: httpx.Client, rollouts: list[Any], **options: Any) -> dict[str, Any]:
    group = {"prompt": "Name a place.", "rollouts": rollouts, "quality": [1.0] * len(rollouts)}
    answer = http.post("/v1/rewards", json={"groups": [group], **options})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    first: dict[str, Any] = body["groups"][0]
    return body | first


def test_the_answers_decide_and_not_the_reasoning(http: httpx.Client) -> None:
    found = scored(http, WHOLE)
    assert (
        found["partition"] == scored(http, [t.partition("\n")[2] for t in (A, B, C)])["partition"]
    )
    assert found["partition"] == [0, 0, 1]
    assert (found["reasoning_dropped"], found["reasoning_unfinished"]) == (3, 0)
    assert found["model"]["text"] == "answer"
    plain = scored(http, ["Kyoto.", "Cairo."])
    assert (plain["reasoning_dropped"], plain["reasoning_unfinished"]) == (0, 0)


def test_unfinished_reasoning_has_no_answer_and_keeps_its_quality(http: httpx.Client) -> None:
    found = scored(http, ["<think>Kyoto", "<think>Cairo", "", "Kyoto, for its temples."])
    assert found["partition"] == [0, 0, 0, 1]
    assert (found["reasoning_dropped"], found["reasoning_unfinished"]) == (0, 2)
    assert found["quality"] == [1.0] * 4


def test_every_request_takes_the_option(exact: Service) -> None:
    """In groups and cohorts; a pair is compared as it is given unless the request says so."""
    group: dict[str, Any] = {"prompt": "p", "rollouts": WHOLE}
    rewarded = group | {"quality": [1.0, 1.0, 1.0]}
    with exact.client() as http:
        for text, classes in (("answer", [0, 0, 1]), ("reasoning", [0, 1, 0]), ("all", [0, 1, 2])):
            options = {"partition": {"text": text}}
            for path, own in (
                ("/v1/rewards", rewarded),
                ("/v1/partitions", group),
                ("/v1/preferences", rewarded),
            ):
                answer = http.post(path, json={"groups": [own], **options}).json()
                assert answer["groups"][0]["partition"] == classes, path
                assert answer["model"]["text"] == text
            alone = {"group_id": text, "group_size": 1, "prompt": "p", "text": A, "quality": 1.0}
            answer = http.post("/v1/rollouts", json={**alone, **options}).json()
            assert answer["reasoning_dropped"] == int(text == "answer")
            assert answer["model"]["text"] == text
        pairs = [{"a": A, "b": B}, {"a": " \n", "b": "\u200b"}]
        for more, same in (({}, [False, True]), ({"text": "answer"}, [True, True])):
            answer = http.post("/v1/equivalence", json={"pairs": pairs, **more})
            results = answer.json()["results"]
            assert [result["equivalent"] for result in results] == same


def test_the_published_code_compares_everything_unless_told_otherwise(exact: Service) -> None:
    with exact.client() as http:
        for options, classes in (({}, [0, 1, 2]), ({"partition": {"text": "answer"}}, [0, 0, 1])):
            found = scored(http, WHOLE, reward={"parity": "darling"}, **options)
            assert found["partition"] == classes


def test_the_setting_is_the_default(exact: Service, tmp_path: Any) -> None:
    with exact.client() as http:
        assert scored(http, WHOLE)["partition"] == [0, 0, 1]
    arguments = ("--model", "exact", "--text", "reasoning")
    with running(tmp_path / "log", *arguments) as other, other.client() as http:
        assert scored(http, WHOLE)["partition"] == [0, 1, 0]
        assert scored(http, WHOLE, partition={"text": "all"})["partition"] == [0, 1, 2]


@pytest.mark.parametrize("model", ["embedded", "exact", "unigram", "ngram"])
def test_blank_rollouts_are_one_class_in_every_model(http: httpx.Client, model: str) -> None:
    blank = ["", " ", "\n", "\t", "\u00a0\u3000", "\u200b", "<s></s>", "<think>Hm.</think> "]
    found = scored(http, [*blank, "Kyoto, for its temples."], model=model)
    assert found["partition"] == [0] * len(blank) + [1]


def test_the_default_model_tells_tools_apart(http: httpx.Client) -> None:
    def call(name: str, **arguments: Any) -> list[Any]:
        function = {"name": name, "arguments": str(arguments).replace("'", '"')}
        return [{"role": "assistant", "content": None, "tool_calls": [{"function": function}]}]

    for a, b in (
        (call("add", a=1), call("mul", a=2)),
        (call("get_weather", city="Rome"), call("book_flight", city="Rome")),
    ):
        assert scored(http, [a, a, b])["partition"] == [0, 0, 1]


def test_messages_with_too_many_characters(http: httpx.Client) -> None:
    halves = [{"role": "assistant", "content": "x" * 100_001}] * 2
    group = {"prompt": "p", "rollouts": ["a", halves], "quality": [1.0, 1.0]}
    answer = problem(http.post("/v1/rewards", json={"groups": [group]}), 422)
    assert answer["errors"][0]["loc"] == ["groups", 0, "rollouts", 1]
    assert "200002 characters are over max_chars" in answer["detail"]


@pytest.mark.processor
def test_openrlhf_gets_the_same_rewards_as_the_bare_prompt(service: Service) -> None:
    """16 groups of 8 in as many chat templates, as OpenRLHF sends them, one rollout a request.

    The soft rewards hold the probabilities, which another prompt would change.
    """
    source = random.Random(0)
    groups = [
        [essay(source.randrange(6), source.choice((2, 4, 8, 16, 40))) for _ in range(8)]
        for _ in range(16)
    ]
    asks = [f"{ASK} Answer in at most {number + 2} sentences." for number in range(16)]
    with service.client() as http:
        bare = [
            {"prompt": ask, "rollouts": texts, "quality": [1.0] * 8}
            for ask, texts in zip(asks, groups, strict=True)
        ]
        reward = {"diversity": "pairwise", "soft": True}
        expected = http.post("/v1/rewards", json={"groups": bare, "reward": reward}).json()

    path = "/get_reward?n=8&run=templates&diversity=pairwise&soft=true"

    async def rewards() -> list[float]:
        async with httpx.AsyncClient(base_url=service.url, timeout=120) as client:

            async def rollout(number: int, text: str) -> float:
                case = TEMPLATES[number % len(TEMPLATES)]
                prompt = case.prompt.replace(case.asks, asks[number])
                opens = "Hm.</think>" if prompt.endswith("<think>\n") else ""
                body = {"query": [f"{prompt}{opens}{text}"], "prompts": [prompt], "labels": [None]}
                answer = await client.post(path, json=body)
                reward: float = answer.json()["rewards"]
                return reward

            sent = (rollout(g, text) for g, texts in enumerate(groups) for text in texts)
            return await asyncio.gather(*sent)

    found = asyncio.run(rewards())
    assert found == [reward for group in expected["groups"] for reward in group["rewards"]]
    assert len(set(found)) > 50
