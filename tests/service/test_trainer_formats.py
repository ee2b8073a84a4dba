"""The wire formats of trainers, spoken as they speak them, against a real service."""

import asyncio
import base64
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darling_models.texts.special_tokens import without_special_tokens
from darling_service.schemas.requests import PartitionOptions
from darling_service.schemas.reward_options import RewardOptions
from darling_service.trainers.query import NO_PARAMETERS, Query
from darling_service.trainers.responses import response_of
from tests.conftest import Service, running
from tests.faults.test_bad_input import problem

SLIME = "/trainers/slime/rm"
TEXTS = ["Lisbon for its light and its streets", "Lisbon for its light and trams", "Kyoto", "Oslo"]


@pytest.fixture(scope="module")
def shims(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    arguments = ("--model", "ngram", "--cohort-size", "4")
    with running(tmp_path_factory.mktemp("shims") / "log", *arguments) as service:
        yield service


def chat(question: str) -> str:
    return f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"


def openrlhf(question: str, text: str, label: str | None = None) -> dict[str, Any]:
    prompt = chat(question)
    return {"query": [f"{prompt}{text}<|im_end|>"], "prompts": [prompt], "labels": [label]}


def posted(url: str, path: str, *bodies: Any) -> list[httpx.Response]:
    async def send() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            return await asyncio.gather(*(http.post(path, json=body) for body in bodies))

    return asyncio.run(send())


def ok(answers: list[httpx.Response]) -> list[Any]:
    assert [answer.status_code for answer in answers] == [200] * len(answers), answers[0].text
    return [answer.json() for answer in answers]


def whole(url: str, question: str, texts: list[str], **options: Any) -> dict[str, Any]:
    group = {"prompt": question, "rollouts": texts, "quality": [1.0] * len(texts)}
    answer = httpx.post(f"{url}/v1/rewards", json={"groups": [group], **options})
    first: dict[str, Any] = answer.json()["groups"][0]
    return first


def test_openrlhf_one_rollout_a_request(shims: Service) -> None:
    """Two interleaved groups in random order; identical responses are siblings, too."""
    groups = {"A?": TEXTS, "B?": [*TEXTS[:2], "Oslo", "Oslo"]}
    sent = [(question, text) for question, texts in groups.items() for text in texts]
    random.Random(0).shuffle(sent)
    found = ok(posted(shims.url, "/get_reward?n=4&run=x", *(openrlhf(q, t) for q, t in sent)))
    for question, texts in groups.items():
        group = whole(shims.url, question, texts)
        expected = dict(zip(texts, group["rewards"], strict=True))
        for (asked, text), answer in zip(sent, found, strict=True):
            if asked == question:
                assert answer["rewards"] == expected[text]
                assert answer["scores"] == 1.0
                assert set(answer["extra_logs"]) == {
                    *("diversity", "quality", "num_classes", "group_size", "group_complete")
                }
                assert answer["extra_logs"]["group_complete"] == 1
    assert all(not isinstance(answer["rewards"], list) for answer in found), "numbers for one"


def test_openrlhf_lists_of_any_length(shims: Service) -> None:
    """Early versions send a whole batch; several servers get empty lists."""
    empty: dict[str, list[Any]] = {"query": [], "prompts": [], "labels": []}
    path = "/trainers/openrlhf/get_reward"
    assert ok(posted(shims.url, path, empty))[0] == {"rewards": [], "scores": [], "extra_logs": {}}
    singles = [openrlhf(q, text) for text in TEXTS for q in ("C?", "D?")]
    batch = {name: [s[name][0] for s in singles] for name in ("query", "prompts", "labels")}
    (found,) = ok(posted(shims.url, path, batch))
    expected = whole(shims.url, "C?", TEXTS)
    assert found["rewards"][::2] == found["rewards"][1::2] == expected["rewards"]
    assert found["extra_logs"]["diversity"][::2] == expected["diversity"]
    del batch["labels"]
    assert ok(posted(shims.url, path, batch))[0]["rewards"] == found["rewards"]
    batch["prompts"].pop()
    assert "7 values for 8 queries" in problem(posted(shims.url, path, batch)[0], 422)["detail"]


def test_openrlhf_is_answered_at_the_deadline(shims: Service) -> None:
    answers = posted(shims.url, "/get_reward?n=4&deadline_s=0.5", openrlhf("E?", "Oslo"))
    assert answers[0].headers["darling-group-complete"] == "false"
    assert ok(answers)[0]["extra_logs"]["group_complete"] == 0
    assert ok(answers)[0]["rewards"] == 1.0


def test_options_in_the_url(shims: Service) -> None:
    path = '/get_reward?n=2&floor=0.25&objective=additive&weights={"quality":3}&linkage=single'
    answers = ok(posted(shims.url, path, openrlhf("F?", "Oslo"), openrlhf("F?", "Oslo")))
    assert [answer["rewards"] for answer in answers] == [3.25, 3.25]
    for query, name in (
        *(("nn=4", "nn"), ("floor=2", "floor"), ("n=0", "n"), ("reward=1", "reward")),
        *(("n=2&n=2", "n"), ("floor=0.1&n=2&floor=0.2", "floor"), ("nn=1&nn=1", "nn")),
    ):
        answer = posted(shims.url, f"/get_reward?{query}", openrlhf("G?", "x"))[0]
        loc = problem(answer, 422)["errors"][0]["loc"]
        assert loc[0] == "query"
        assert loc[-1] == name


def test_the_document_names_every_option_of_the_url(shims: Service) -> None:
    own = {*Query.model_fields} - NO_PARAMETERS
    options = {*own, *RewardOptions.model_fields, *PartitionOptions.model_fields}
    paths = httpx.get(f"{shims.url}/openapi.json").json()["paths"]
    described = {
        path: {one["name"]: one for one in paths[path]["post"]["parameters"]}
        for path in ("/trainers/openrlhf/get_reward", "/trainers/nemo-gym/verify", SLIME)
    }
    assert {*described[SLIME]} == options | {"answer"}
    for name, one in described.pop(SLIME).items():
        assert one["in"] == "query", name
        assert one["description"], name
    for parameters in described.values():
        assert {*parameters} == options
        for name, one in parameters.items():
            schema = one.get("schema") or one["content"]["application/json"]["schema"]
            if "default" in schema:
                value = schema["default"]
                written = value if isinstance(value, str) else json.dumps(value)
                query = httpx.QueryParams({"n": 1, name: written})
                ok(posted(shims.url, f"/get_reward?{query}", openrlhf("H?", "x")))


@pytest.mark.parametrize(
    ("query", "prompt", "response"),
    [
        (chat("Q") + "Lisbon<|im_end|>", chat("Q"), "Lisbon"),
        ("<s>" + chat("Q") + "Lisbon</s>", chat("Q"), "Lisbon"),
        (chat("Q")[20:] + "Lisbon<|im_end|>", chat("Q"), "Lisbon"),
        ("Q: a?\nA: b</s></s>", "Q: a?\nA:", "b"),
        ("Q: a?\nA: <s>b</s>, he said", "Q: a?\nA:", "b</s>, he said"),
        ("Q", "Q", ""),
        ("something else", chat("Q"), None),
        ("<｜begin▁of▁sentence｜>Hi there<｜end▁of▁sentence｜>", "Hi", "there"),
    ],
)
def test_responses_are_cut_from_their_prompts(
    query: str, prompt: str, response: str | None
) -> None:
    found = response_of(query, prompt)
    assert (found if found is None else without_special_tokens(found)) == response


@given(st.text(alphabet="ab<s>/|im_", max_size=40), st.text(alphabet="ab \n", max_size=40))
def test_a_response_behind_its_prompt_is_found(prompt: str, response: str) -> None:
    assert response_of(prompt + response, prompt) == response


@given(st.text(alphabet="abc", min_size=9, max_size=30), st.data())
def test_a_prompt_cut_from_the_left_is_known(prompt: str, data: Any) -> None:
    cut = data.draw(st.integers(0, len(prompt) - 8))
    assert response_of(prompt[cut:] + "!yes", prompt) == "!yes"


def test_a_query_without_its_prompt_is_judged_whole_and_counted(shims: Service) -> None:
    body = {"query": ["Lisbon"], "prompts": ["elsewhere"], "labels": [None]}
    assert ok(posted(shims.url, "/get_reward?n=1", body))[0]["rewards"] == 1.0
    text = httpx.get(f"{shims.url}/metrics").text
    assert "darling_unmatched_prompts_total 1.0" in text


def test_slime_answers_a_bare_number_or_an_object(shims: Service) -> None:
    prompt = [{"role": "user", "content": "Name a city."}]
    bodies = [{"prompt": prompt, "response": text, "label": None} for text in TEXTS]
    expected = whole(shims.url, "Name a city.", TEXTS)
    path = "/trainers/slime/rm?n=4"
    assert ok(posted(shims.url, path, *bodies)) == expected["rewards"]
    found = ok(posted(shims.url, f"{path}&answer=object", *bodies))
    assert [answer["rewards"] for answer in found] == expected["rewards"]
    assert [answer["diversity"] for answer in found] == expected["diversity"]
    assert found[0]["group_complete"] is True
    as_text = [body | {"prompt": "Name a city.", "label": {"gold": 1}} for body in bodies]
    assert ok(posted(shims.url, path, *as_text)) == expected["rewards"]


def test_the_documented_examples_answer_as_documented(shims: Service) -> None:
    paths = httpx.get(f"{shims.url}/openapi.json").json()["paths"]
    formats = {path: paths[path]["post"] for path in paths if path.startswith("/trainers")}
    assert len(formats) == 3
    for path, operation in formats.items():
        bodies = operation["requestBody"]["content"]["application/json"]["examples"]
        shown = operation["responses"]["200"]["content"]["application/json"]["example"]
        for body in bodies.values():
            assert ok(posted(shims.url, f"{path}?n=1", body["value"])) == [shown]


def nemo(text: str, **ids: Any) -> dict[str, Any]:
    said = [{"type": "output_text", "text": text, "annotations": []}]
    return {
        "responses_create_params": {
            "input": [{"role": "user", "content": [{"type": "input_text", "text": "A city?"}]}],
            "temperature": 1.0,
        },
        "response": {
            "id": "r1",
            "object": "response",
            "output": [
                {"type": "reasoning", "summary": []},
                {"type": "message", "role": "assistant", "content": said},
            ],
        },
        "verifier_metadata": {"anything": [1, None]},
        **ids,
    }


def test_nemo_gym_gets_its_request_back_with_the_reward(shims: Service) -> None:
    rewards = whole(shims.url, "A city?", TEXTS)["rewards"]
    task = [nemo(text, _ng_task_index=17, _ng_rollout_index=i) for i, text in enumerate(TEXTS)]
    group = [
        nemo(text, _ng_group_id="g", _ng_group_attempt=1, _ng_rollout_index=i)
        for i, text in enumerate(TEXTS)
    ]
    for bodies in (task, group):
        found = ok(posted(shims.url, "/trainers/nemo-gym/verify", *bodies))
        assert found == [
            body | {"reward": reward} for body, reward in zip(bodies, rewards, strict=True)
        ]
    again = ok(posted(shims.url, "/trainers/nemo-gym/verify", group[2]))
    assert again[0]["reward"] == rewards[2], "a retry"
    assert ok(posted(shims.url, "/trainers/nemo-gym/seed_session", {})) == [{}]


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_every_way_to_send_the_key_opens_what_needs_one(tmp_path: Path) -> None:
    arguments = ("--model", "exact", "--api-key", "s:é-ret")
    with running(tmp_path / "log", *arguments) as service, service.client() as http:
        for path in ("/v1/models", "/metrics"):
            answers = [
                http.get(path, headers=[(b"authorization", header.encode())])
                for header in ("Bearer s:é-ret", basic("trainer", "s:é-ret"))
            ]
            answers.append(http.get(path, params={"token": "s:é-ret"}))
            assert [answer.status_code for answer in answers] == [200] * 3, path
            refused = [
                http.get(path),
                http.get(path, params={"token": "no"}),
                *(
                    http.get(path, headers=[(b"authorization", header.encode())])
                    for header in (
                        "Bearer no",
                        "Bearer",
                        basic("s:é-ret", ""),
                        "Basic %",
                        "s:é-ret",
                    )
                ),
            ]
            assert [answer.status_code for answer in refused] == [401] * 7, path
            assert problem(refused[0], 401)["detail"].count("KEY") >= 3
        body = openrlhf("K?", "Oslo")
        assert http.post("/get_reward?n=1", json=body).status_code == 401
        assert http.post("/get_reward?n=1&token=s:é-ret", json=body).json()["rewards"] == 1.0
        in_url = service.url.replace("http://", "http://trainer:s:é-ret@") + "/get_reward?n=1"
        assert httpx.post(in_url, json=body).json()["rewards"] == 1.0
        assert http.get("/health/ready").status_code == 200


ODD_JSON = [
    str(10**30),
    "-" + "9" * 400,
    "1e400",
    "-1e-400",
    "-0.0",
    "0.1000",
    "1E+2",
    "NaN",
    "[Infinity, -Infinity]",
    str(2**53),
    '"\\u2028 \u00e9 \U0001f984 \\/"',
    "[" * 100 + "]" * 100,
    '{"a": 1, "a": 2}',
    '{"": null}',
    '{"reward": 3, "prompt_token_ids": [1, 2]}',
]
"""Values of fields that nobody reads, as JSON text."""


@pytest.mark.parametrize("value", ODD_JSON)
@pytest.mark.parametrize("place", ["top", "response", "input"])
@pytest.mark.parametrize("path", ["/verify", "/trainers/nemo-gym/verify"])
def test_fields_that_nobody_reads_stay_to_the_byte(
    shims: Service, value: str, place: str, path: str
) -> None:
    mark = "the mark"
    body = nemo("Oslo", _ng_task_index=f"{path} {place} {value[:40]}")
    holder = {"top": body, "response": body["response"], "input": body["responses_create_params"]}
    holder[place]["odd"] = mark
    sent = json.dumps(body, indent=1).replace(json.dumps(mark), value) + " \n"
    answer = httpx.post(
        f"{shims.url}{path}?n=1",
        content=sent.encode(),
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 200, answer.text
    assert answer.text == sent.rstrip()[:-1].rstrip() + ',"reward": 1.0}'


@pytest.mark.parametrize(
    ("odd", "named"),
    [
        ({"_ng_group_id": "g", "_ng_rollout_index": 10**30}, None),
        ({"_ng_group_id": 10**30, "_ng_rollout_index": "r"}, None),
        ({"_ng_task_index": 10**30}, None),
        ({"label": float("nan")}, None),
        ({"label": 10**30}, None),
        ({"reward": 5.0, "mask_sample": False}, None),
        ({"_ng_group_attempt": 10**30}, "_ng_group_attempt"),
        ({"_ng_group_attempt": -1}, "_ng_group_attempt"),
        ({"_ng_task_index": [1]}, "_ng_task_index"),
        ({"odd": "\ud800"}, "odd"),
        ({"label": "\udfff"}, "label"),
    ],
)
def test_odd_values_of_fields_are_read_or_named(
    shims: Service, odd: dict[str, Any], named: str | None
) -> None:
    content = json.dumps(nemo("Oslo") | odd)
    headers = {"content-type": "application/json"}
    answer = httpx.post(f"{shims.url}/verify?n=1", content=content, headers=headers)
    if named is None:
        assert answer.status_code == 200, answer.text
        assert answer.json()["reward"] == 1.0
    else:
        assert named in str(problem(answer, 422)["errors"][0]["loc"])


def test_a_partial_group_of_nemo_gym_says_so(shims: Service) -> None:
    path = "/verify?n=3&deadline_s=0.5"
    config = {"seed": 1}
    (alone,) = ok(
        posted(shims.url, path, nemo("Oslo", _ng_task_index="alone", instance_config=config))
    )
    assert alone["mask_sample"] is True
    assert alone["instance_config"] == {"seed": 1, "mask_sample": True}
    assert alone["failure_kind"] == "darling.partial_group"
    pair = ok(posted(shims.url, path, *(nemo(t, _ng_task_index="pair") for t in ("Oslo", "Bern"))))
    for answer in pair:
        assert answer["mask_sample"] is False, "degraded, but a score of two"
        assert "2 of its 3 rollouts" in answer["failure_reason"]
        assert "instance_config" not in answer


def test_nemo_gym_finds_every_route_at_the_root(shims: Service) -> None:
    """The paths that a `SimpleResourcesServer` has."""
    assert ok(posted(shims.url, "/seed_session", {"anything": 1})) == [{}]
    assert httpx.get(f"{shims.url}/reverify_mode").json() == "unsupported"
    rows = [
        {"_ng_task_index": 0, "reward": 1.0, "passed": True, "response": {"usage": {"tokens": 4}}},
        {"_ng_task_index": 0, "reward": 0.0, "passed": False, "note": "text"},
        {"_ng_task_index": 1, "reward": 0.5, "big": 10**400},
        {"_ng_task_index": 1, "reward": 9.0, "mask_sample": True},
    ]
    for path in ("/aggregate_metrics", "/trainers/nemo-gym/aggregate_metrics"):
        (found,) = ok(posted(shims.url, path, {"verify_responses": rows}))
        assert found["key_metrics"] == {
            "mean/reward": 0.5,
            "mean/passed": 0.5,
            "mean/tokens": 4.0,
        }
        assert found["agent_metrics"]["std/reward"] == 0.5
        assert (found["agent_metrics"]["num_rollouts"], found["agent_metrics"]["num_masked"]) == (
            4,
            1,
        )
        assert [task["_ng_task_index"] for task in found["group_level_metrics"]] == [0, 1]
        assert found["group_level_metrics"][1]["max/reward"] == 0.5
    (nothing,) = ok(posted(shims.url, "/aggregate_metrics", {"verify_responses": []}))
    assert nothing == {"group_level_metrics": [], "agent_metrics": {}, "key_metrics": {}}
    odd = [{"reward": value, "_ng_task_index": task} for value in (1e308, -1e308) for task in "ab"]
    odd += [{"reward": float("nan"), "_ng_task_index": 10**30}, {"reward": None}, {}]
    content = json.dumps({"verify_responses": odd})
    headers = {"content-type": "application/json"}
    answer = httpx.post(f"{shims.url}/aggregate_metrics", content=content, headers=headers)
    assert answer.status_code == 200
    assert len(answer.json()["group_level_metrics"]) == 4
    problem(posted(shims.url, "/aggregate_metrics", {"verify_responses": [1]})[0], 422)


LONG = "x" * 200_001
"""One character more than `max_chars`."""


@pytest.mark.parametrize("shape", ["<s>", "<|im_end|>", "x", " ", "\n", "<|", "</s> "])
def test_limits_come_before_any_work(shims: Service, shape: str) -> None:
    """A text of 3 MB is refused with its field and the limit, whatever it is made of."""
    text = shape * (3_000_000 // len(shape))
    bodies: dict[str, list[tuple[Any, list[Any]]]] = {
        "/get_reward?n=1": [
            (openrlhf("Q", text), ["query", 0]),
            ({"query": [text + "a"], "prompts": [text], "labels": [None]}, ["prompts", 0]),
            ({"query": ["ab"], "prompts": ["a"], "labels": [text]}, ["labels", 0]),
        ],
        "/trainers/slime/rm?n=1": [
            ({"prompt": "Q", "response": text}, ["response"]),
            ({"prompt": text, "response": "a"}, ["prompt"]),
            ({"prompt": [{"role": "user", "content": text}], "response": "a"}, ["prompt"]),
            ({"prompt": "Q", "response": "a", "label": text}, ["label"]),
        ],
        "/trainers/nemo-gym/verify?n=1": [
            (nemo(text), ["output"]),
            (nemo("a") | {"responses_create_params": {"input": text}}, ["input"]),
            (nemo("a") | {"label": text}, ["label"]),
        ],
        "/classify": [({"input": f"[CLS] {text} [SEP] b [SEP]"}, ["input", 0])],
    }
    for path, refused in bodies.items():
        for body, loc in refused:
            answer = problem(posted(shims.url, path, body)[0], 422)
            assert answer["errors"][0]["loc"] == loc, path
            assert "max_chars = 200000" in answer["errors"][0]["msg"]


def test_texts_at_the_limit_are_answered(shims: Service) -> None:
    for body in (openrlhf("Q1", LONG[20:]), openrlhf("Q2", "<s>" * 66_000)):
        assert ok(posted(shims.url, "/get_reward?n=1", body))[0]["rewards"] == 1.0
    pair = {"input": f"[CLS] {LONG[1:]} [SEP] {LONG[1:]} [SEP]", "model": "exact"}
    assert ok(posted(shims.url, "/classify", pair))[0]["data"][0]["probs"] == [0, 1]


@pytest.mark.parametrize(
    ("path", "raw", "loc"),
    [
        ("/classify", b'{"input": [' + b"1," * 100_000 + b"1]}", ["input", 0]),
        ("/classify", b'{"input": [' + b'"",' * 500_000 + b'""]}', ["input"]),
        ("/get_reward", b'{"prompts": [], "query": [' + b"1," * 100_000 + b"1]}", ["query", 0]),
        ("/get_reward", b'{"prompts": [], "query": [' + b'"",' * 500_000 + b'""]}', ["query"]),
        ("/trainers/slime/rm", b'{"response": "", "prompt": [' + b"{}," * 9_999 + b"{}]}",
         ["prompt", 0]),
        ("/trainers/nemo-gym/verify", b'{"responses_create_params": {"input": ""}, "response": '
         b'{"output": [' + b"{}," * 9_999 + b"{}]}}", ["response", "output", 0]),
    ],
)  # fmt: skip
def test_long_lists_of_faults_are_told_of_once(
    shims: Service, path: str, raw: bytes, loc: list[Any]
) -> None:
    headers = {"content-type": "application/json"}
    answer = httpx.post(f"{shims.url}{path}", content=raw, headers=headers, timeout=60)
    assert [error["loc"] for error in problem(answer, 422)["errors"]] == [loc]
    assert len(answer.content) < 2_000


def test_tool_calls_and_reasoning_of_nemo_gym(shims: Service) -> None:
    """Calls differ by name and arguments; tools' output is compared on request alone."""

    def rollout(name: str, output: str) -> dict[str, Any]:
        items = [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": f"Via {name}."}]},
            {"type": "function_call", "call_id": "1", "name": name, "arguments": "{}"},
            {"type": "function_call_output", "call_id": "1", "output": output},
        ]
        return {"responses_create_params": {"input": "Do it."}, "response": {"output": items}}

    calls = [rollout("get_weather", "a"), rollout("get_weather", "b"), rollout("book_flight", "a")]
    for text, rewards in (("answer", [0.5, 0.5, 1]), ("all", [1, 1, 1])):
        bodies = [call | {"_ng_group_id": text} for call in calls]
        answers = ok(
            posted(shims.url, f"/trainers/nemo-gym/verify?n=3&model=exact&text={text}", *bodies)
        )
        assert [answer["reward"] for answer in answers] == rewards
    odd = posted(shims.url, "/get_reward?n=1&text=everything", openrlhf("Z?", "x"))[0]
    assert problem(odd, 422)["errors"][0]["loc"][-1] == "text"


def test_quality_sees_the_policys_words_with_their_reasoning(shims: Service) -> None:
    """Which of them count is the quality source's matter; tools' output is none of them."""
    told = "<tool_call>{}</tool_call><|im_end|>\n<|im_start|>tool\n42<|im_end|>\n<|im_start|>"
    path = "/get_reward?n=1&quality=label-match"
    for text, scores in ((f"{told}assistant\n7<|im_end|>", 0.0), (f"{told}assistant\n42", 1.0)):
        assert ok(posted(shims.url, path, openrlhf("W?", text, "42")))[0]["scores"] == scores


HALF = "a" * 100_000


@pytest.mark.parametrize("label", [HALF * 2 + "a", [HALF, HALF, 1], {HALF: {"x": [HALF]}}])
def test_a_label_of_any_kind_is_within_max_chars(shims: Service, label: Any) -> None:
    for path, body, loc in (
        ("/trainers/slime/rm", {"prompt": "p", "response": "a", "label": label}, ["label"]),
        ("/verify", nemo("a", expected_answer=label), ["expected_answer"]),
        ("/verify", nemo("a", label=label), ["label"]),
        ("/get_reward", {"query": ["pa"], "prompts": ["p"], "labels": [label]}, ["labels", 0]),
    ):
        (answer,) = posted(shims.url, f"{path}?n=1", body)
        (error,) = problem(answer, 422)["errors"]
        assert error["loc"] == loc
        assert "max_chars = 200000" in error["msg"]
