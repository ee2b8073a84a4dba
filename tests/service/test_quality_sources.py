"""Quality on the service's side, for trainers that cannot send it: each source, for real."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from darling_models.reward_model import RewardModel
from tests import checkpoints
from tests.commands import run_command
from tests.conftest import Service, metric, running, until
from tests.faults.test_bad_input import problem
from tests.servers.processes import serving
from tests.service.test_trainer_formats import chat, ok, openrlhf, posted

CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
)


def scores(service: Service, *bodies: Any, query: str = "n=1") -> list[float]:
    answers = ok(posted(service.url, f"/get_reward?{query}", *bodies))
    for answer in answers:
        assert answer["rewards"] == answer["scores"] * answer["extra_logs"]["diversity"]
        assert answer["extra_logs"]["quality"] == answer["scores"]
    return [answer["scores"] for answer in answers]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log = tmp_path_factory.mktemp("plain") / "log"
    with running(log, "--model", "exact", "--quality", "label-match") as service:
        yield service


def test_labels_as_text_and_constants(plain: Service) -> None:
    bodies = [openrlhf("2+3?", text, "5") for text in ("5", "The answer is 5.", "6", "five")]
    assert scores(plain, *bodies, query="n=4") == [1, 1, 0, 0]
    assert scores(plain, openrlhf("2+3?", "6", "5"), query="n=1&quality=constant") == [1]


NO_LABELS = [
    None,
    "",
    " \n\t",
    "\u200b\ufeff",
    "\u3000",
    [],
    [""],
    ["4", "5"],
    {"answer": "5"},
    [None],
]


def by_openrlhf(text: str, label: Any) -> tuple[str, Any, list[Any]]:
    return "/get_reward", {**openrlhf("Q?", text), "labels": [label]}, ["labels", 0]


def by_slime(text: str, label: Any) -> tuple[str, Any, list[Any]]:
    return "/trainers/slime/rm", {"prompt": "Q?", "response": text, "label": label}, ["label"]


def by_nemo_gym(text: str, label: Any) -> tuple[str, Any, list[Any]]:
    body = {
        "responses_create_params": {"input": "Q?"},
        "response": {"output": [{"role": "assistant", "content": text}]},
        "expected_answer": label,
    }
    return "/trainers/nemo-gym/verify", body, ["label" if label is None else "expected_answer"]


ROUTES = [by_openrlhf, by_slime, by_nemo_gym]
Asks = Callable[[str, Any], tuple[str, Any, list[Any]]]


@pytest.mark.parametrize("asks", ROUTES)
@pytest.mark.parametrize("source", ["label-match", "math-verify"])
def test_a_blank_label_is_no_label(plain: Service, asks: Asks, source: str) -> None:
    """Every source that compares, every route: the field and the cure are named."""
    if source == "math-verify":
        pytest.importorskip("math_verify", reason="the extra `math` is not installed")
    for label in NO_LABELS:
        for text in ("", "5"):
            path, body, place = asks(text, label)
            answer = posted(plain.url, f"{path}?n=1&quality={source}", body)[0]
            (error,) = problem(answer, 422)["errors"]
            assert error["loc"] == place, label
            assert "send the right answer" in error["msg"]
            assert "?quality=constant" in error["msg"]
        path, body, _ = asks("5", label)
        assert posted(plain.url, f"{path}?n=1&quality=constant", body)[0].status_code == 200


@pytest.mark.parametrize("asks", ROUTES)
@pytest.mark.parametrize(
    ("text", "label", "quality"),
    [
        ("The answer is 42.", 42, 1),
        ("The answer is 42.", 42.0, 1),
        ("The answer is 42.0.", 42, 1),
        ("The answer is 1,000,000.", 1e6, 1),
        ("The answer is 42.", ["42"], 1),
        ("The answer is 42.", [42], 1),
        ("The answer is 41.", 42, 0),
        ("The answer is true.", True, 1),
        ("The answer is 0.", 0, 1),
        ("", 0, 0),
        ("", "...", 0),
        (r"<think>so maybe \boxed{42}</think>The answer is 7.", 42, 0),
        (r"<think>so maybe \boxed{42}", 42, 0),
        (r"<think>so maybe \boxed{7}</think>The answer is 42.", 42, 1),
    ],
)
def test_labels_of_every_type(
    plain: Service, asks: Asks, text: str, label: Any, quality: int
) -> None:
    path, body, _ = asks(text, label)
    query = f"?n=1&parity=darling&run={uuid4().hex}"  # a lone rollout: its reward is its quality
    (answer,) = ok(posted(plain.url, f"{path}{query}", body))
    assert (
        answer if isinstance(answer, float) else answer.get("reward", answer.get("rewards"))
    ) == (quality)


CALL = '<tool_call>{"name": "say", "arguments": {"text": "<answer>42</answer>"}}</tool_call>'
HARMONY = (
    "<|channel|>commentary to=functions.say<|message|>The answer is 42.<|call|>"
    "<|start|>assistant<|channel|>final<|message|>"
)


@pytest.mark.parametrize("source", ["label-match", "math-verify"])
@pytest.mark.parametrize("asks", ROUTES)
@pytest.mark.parametrize(
    ("text", "quality"),
    [
        (CALL, 0),
        (f"I do not know. {CALL}", 0),
        (f"The answer is 7. {CALL}", 0),
        (f"{CALL}\nThe answer is 7.", 0),
        (f"The answer is 42.\n{CALL.replace('42', '7')}", 1),
        (f"<think>42</think>{CALL}", 0),
        (f"{HARMONY}I do not know.", 0),
        (f"{HARMONY}The answer is 42.", 1),
    ],
)
def test_what_is_written_into_a_call_is_no_answer(
    plain: Service, asks: Asks, text: str, quality: int, source: str
) -> None:
    if source == "math-verify":
        pytest.importorskip("math_verify", reason="the extra `math` is not installed")
    path, body, _ = asks(text, 42)
    query = f"?n=1&quality={source}&parity=darling&run={uuid4().hex}"
    (answer,) = ok(posted(plain.url, f"{path}{query}", body))
    reward = answer if isinstance(answer, float) else answer.get("reward", answer.get("rewards"))
    assert reward == quality


def test_a_call_among_messages_is_no_answer(plain: Service) -> None:
    call = {"type": "function_call", "name": "say", "arguments": '{"text": "The answer is 42."}'}
    said = {"role": "assistant", "content": "The answer is 42."}
    for output, quality in (([call], 0), ([said, call], 1), ([call, said], 1)):
        body = {
            "responses_create_params": {"input": "Q?"},
            "response": {"output": output},
            "expected_answer": "42",
        }
        path = f"/trainers/nemo-gym/verify?n=1&parity=darling&run={uuid4().hex}"
        assert ok(posted(plain.url, path, body))[0]["reward"] == quality


def test_a_blank_label_in_a_list_names_its_place(plain: Service) -> None:
    sent = [openrlhf("list?", "5", "5"), openrlhf("list?", "5", " ")]
    batch = {name: [body[name][0] for body in sent] for name in ("query", "prompts", "labels")}
    answer = posted(plain.url, "/get_reward?n=8", batch)[0]
    assert problem(answer, 422)["errors"][0]["loc"] == ["labels", 1]


@pytest.mark.parametrize("blank", ["", " ", "\n", "\u200b"])
def test_a_blank_reference_is_refused(plain: Service, blank: str) -> None:
    rollouts = [{"text": "a", "answer": ""}, {"text": "b", "answer": "5"}]
    group = {"prompt": "Q?", "rollouts": rollouts, "reference": blank}
    answer = posted(plain.url, "/v1/rewards", {"groups": [group]})[0]
    (error,) = problem(answer, 422)["errors"]
    assert error["loc"] == ["groups", 0, "reference"]
    assert "leave reference out" in error["msg"]
    one = {**rollouts[0], "prompt": "Q?", "group_id": "g", "group_size": 1, "reference": blank}
    answer = posted(plain.url, "/v1/rollouts", one)[0]
    assert problem(answer, 422)["errors"][0]["loc"] == ["reference"]


def test_answers_equal_their_reference_however_they_are_written(plain: Service) -> None:
    answers = ["42", " 42.0", "$42$", "\u221242", "", "41"]
    rollouts = [{"text": f"t{i}", "answer": answer} for i, answer in enumerate(answers)]
    group = {"prompt": "Q?", "rollouts": rollouts, "reference": "42"}
    (answer,) = ok(posted(plain.url, "/v1/rewards", {"groups": [group]}))
    assert answer["groups"][0]["quality"] == [1, 1, 1, 0, 0, 0]


def test_when_one_rollout_of_a_list_fails_the_others_do_not_wait_on(plain: Service) -> None:
    sent = [openrlhf("list?", "5", "5"), openrlhf("list?", "5")]
    batch = {name: [body[name][0] for body in sent] for name in ("query", "prompts", "labels")}
    problem(posted(plain.url, "/get_reward?n=8", batch)[0], 422)
    until(lambda: metric(plain, "darling_waiting_rollouts") == 0)


def test_the_url_cannot_name_what_has_to_be_set_up(plain: Service) -> None:
    for name in ("http://127.0.0.1:1/get_reward", "reward-model:/etc", "http", "other"):
        body = openrlhf("x", "y", "z")
        answer = httpx.post(f"{plain.url}/get_reward", params={"quality": name}, json=body)
        assert "label-match" in problem(answer, 422)["detail"]


def test_math_verify_judges_answers_and_survives_hostile_ones(plain: Service) -> None:
    pytest.importorskip("math_verify", reason="the extra `math` is not installed")
    texts = [
        r"\boxed{0.5}",
        "So it is $\\frac{2}{4}$.",
        r"\boxed{2}",
        "The answer is $9^{9^{9^9}}$.",
    ]
    bodies = [openrlhf("Half?", text, r"\frac{1}{2}") for text in texts]
    assert scores(plain, *bodies, query="n=4&quality=math-verify") == [1, 1, 0, 0]
    assert scores(plain, *bodies[:1], query="n=1&quality=math-verify") == [1]


def worker_pids(service: Service) -> list[int]:
    """The processes of a service that compare final answers, forked from a child of it."""
    return [worker for child in children(service.process.pid) for worker in children(child)]


def children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):  # it has ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSTOP"])
def test_a_dead_or_stopped_worker_makes_no_right_answer_wrong(plain: Service, name: str) -> None:
    pytest.importorskip("math_verify", reason="the extra `math` is not installed")
    run = f"n=1&quality=math-verify&run={uuid4().hex}"
    sent = [openrlhf(f"{name} {i}?", r"\boxed{0.5}", r"\frac{1}{2}") for i in range(4)]
    assert scores(plain, *sent[:2], query=run) == [1, 1]
    pids = worker_pids(plain)
    assert pids
    for pid in pids:
        os.kill(pid, getattr(signal, name))
    assert scores(plain, *sent[2:], query=run) == [1, 1]
    assert not set(worker_pids(plain)) & set(pids)


def test_workers_that_always_end_are_a_503(plain: Service) -> None:
    pytest.importorskip("math_verify", reason="the extra `math` is not installed")
    body = openrlhf("Ended?", r"\boxed{0.5}", r"\frac{1}{2}")
    done = threading.Event()

    def strike() -> None:
        while not done.wait(0.005):
            for pid in worker_pids(plain):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    striker = threading.Thread(target=strike)
    striker.start()
    try:
        answer = posted(plain.url, "/get_reward?n=1&quality=math-verify", body)[0]
    finally:
        done.set()
        striker.join()
    assert "math-verify gave no verdict" in problem(answer, 503)["detail"]
    assert int(answer.headers["retry-after"]) >= 1
    assert scores(plain, body, query="n=1&quality=math-verify") == [1]


SHAPES = ["{}", "<think>", "</think>", "\\boxed{{{}}}", "The answer is {}"]
UNITS = [
    *".)(*$ \n\r\t\"'-{}[]_\\",
    "\u2028",
    "\u201c",
    "w",
    "\\boxed{",
    "<s>",
    "<|im_end|>",
    "- a\n",
    "5, ",
]
HOSTILE = st.builds(
    lambda shape, parts, times: shape.format("".join(parts) * times),
    st.sampled_from(SHAPES),
    st.lists(st.sampled_from(UNITS), min_size=1, max_size=4),
    st.sampled_from([1, 40, 1000]),
)


@settings(max_examples=60)
@given(text=HOSTILE, label=HOSTILE, source=st.sampled_from(["constant", "label-match"]))
@example(text="5" + "." * 1000, label="5", source="label-match")
@example(text="\\boxed{" * 1000, label="\\boxed{" * 1000, source="label-match")
def test_no_text_makes_a_source_fail(plain: Service, text: str, label: str, source: str) -> None:
    body = openrlhf("Odd?", text, label)
    answer = posted(plain.url, f"/get_reward?n=1&quality={source}&run={uuid4().hex}", body)[0]
    assert answer.status_code in (200, 422), answer.text
    if answer.status_code == 200:
        assert answer.json()["scores"] in (0, 1)


@pytest.mark.parametrize(
    "unit", [*UNITS, "9^", "(1+", "\\frac{1}{", "\\sqrt{", "1,", "x=", "|", "!"]
)
def test_no_text_makes_math_verify_fail(plain: Service, unit: str) -> None:
    """An answer of 1,900 characters is parsed still; one of 20,000 is not."""
    pytest.importorskip("math_verify", reason="the extra `math` is not installed")
    texts = [f"\\boxed{{5{unit * (size // len(unit))}}}" for size in (40, 1900, 20_000)]
    bodies = [openrlhf(f"{unit} {len(text)}?", text, "7") for text in texts]
    for answer in posted(plain.url, "/get_reward?n=1&quality=math-verify", *bodies):
        assert answer.status_code == 200, answer.text
        assert answer.json()["scores"] == 0


def checkpoint(folder: Path, labels: int, template: str | None) -> Path:
    checkpoints.qwen3(folder, num_labels=labels)
    if template:
        (folder / "chat_template.jinja").write_text(template)
    return folder


@pytest.mark.parametrize("labels", [1, 2])
def test_reward_models_score_as_the_checkpoint_does(tmp_path: Path, labels: int) -> None:
    """Against plain transformers, one at a time, without padding."""
    folder = checkpoint(tmp_path / "rm", labels, CHAT_TEMPLATE)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    texts = ["Lisbon", "Kyoto, because its temples and gardens are like nothing else.", ""]

    def expected(text: str) -> float:
        written = f"{chat('A city?')}{text}<|im_end|>\n"
        ids = tokenizer(written, return_tensors="pt", add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            logits = model(input_ids=ids).logits[0]
        return float(logits[0] if labels == 1 else torch.softmax(logits, 0)[-1])

    ours = RewardModel(str(folder))
    messages = [{"role": "user", "content": "A city?"}]
    found = ours.scores([ours.encode(messages, text) for text in texts])
    assert found == pytest.approx([expected(text) for text in texts], abs=1e-5)
    assert len(set(found)) == 3, "the texts matter"
    alone = ours.scores([ours.encode(messages, texts[1])])
    assert alone == found[1:2], "company does not"

    arguments = ("--model", "exact", "--quality", f"reward-model:{folder}")
    with running(tmp_path / "log", *arguments) as service:
        # OpenRLHF sends the conversation as written, slime as messages.
        bodies = []
        for text in texts:
            body = openrlhf("A city?", text)
            body["query"] = [f"{body['query'][0]}\n"]
            bodies.append(body)
        assert scores(service, *bodies, query="n=3") == found
        prompt = [{"role": "user", "content": "A city?"}]
        sent = [{"prompt": prompt, "response": text, "label": None} for text in texts]
        answers = ok(posted(service.url, "/trainers/slime/rm?n=3&answer=object", *sent))
        assert [answer["quality"] for answer in answers] == found
        many = [openrlhf("B?", f"rollout {i}") for i in range(64)]
        assert len(set(scores(service, *many, query="n=64"))) > 32


@pytest.fixture(scope="module")
def odd_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A reward model with a small window, whose score of any text with a "q" is not a number."""
    folder = tmp_path_factory.mktemp("odd")
    model = checkpoints.bert(folder, num_labels=1)
    token = AutoTokenizer.from_pretrained(folder)("q", add_special_tokens=False)["input_ids"][0]
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight[token] = float("nan")
    model.save_pretrained(folder)
    arguments = ("--model", "exact", "--quality", f"reward-model:{folder}")
    with running(tmp_path_factory.mktemp("log") / "log", *arguments) as service:
        yield service


def slime(text: str) -> dict[str, Any]:
    return {"prompt": uuid4().hex, "response": text}


def test_a_score_that_is_no_number_fails_its_own_rollout_only(odd_model: Service) -> None:
    path = "/trainers/slime/rm?n=1"
    texts = ["Kyoto", "a q in it", "Oslo"]
    good, bad, other = posted(odd_model.url, path, *map(slime, texts))
    assert [good.status_code, other.status_code] == [200, 200]
    assert "nan" in problem(bad, 503)["detail"]
    assert int(bad.headers["retry-after"]) >= 1


def test_cut_inputs_of_a_reward_model_are_counted(odd_model: Service) -> None:
    before = metric(odd_model, "darling_truncated_total")
    ok(posted(odd_model.url, "/trainers/slime/rm?n=1", slime("short"), slime("long " * 200)))
    assert metric(odd_model, "darling_truncated_total") == before + 1


@settings(max_examples=40)
@given(text=HOSTILE)
@example(text="")
def test_no_text_makes_a_reward_model_fail(odd_model: Service, text: str) -> None:
    for path, body in (
        ("/trainers/slime/rm", slime(text)),
        ("/get_reward", openrlhf(uuid4().hex, text)),
    ):
        answer = posted(odd_model.url, f"{path}?n=1", body)[0]
        assert answer.status_code == 200 or "q" in json.dumps(body), answer.text


@pytest.mark.parametrize(
    ("quality", "words"),
    [("reward-model:/nowhere/at/all", "there is no folder"), ("best", "unknown quality")],
)
def test_a_source_that_cannot_be_set_up_ends_the_process(quality: str, words: str) -> None:
    run = run_command("serve", "--port", "0", "--model", "exact", "--quality", quality)
    assert run.returncode == 2
    assert words in run.stderr
    assert "Traceback" not in run.stderr


def test_another_reward_server_behind_gets_what_openrlhf_sent(tmp_path: Path) -> None:
    with serving("tests.servers.reward") as behind:
        url = f"{behind.url}/get_reward"
        arguments = ("--model", "exact", "--quality", url)
        with running(tmp_path / "log", *arguments) as service:
            bodies = [openrlhf("A city?", text, "gold") for text in ("Oslo", "Kyoto!")]
            lengths = [float(len(body["query"][0])) for body in bodies]
            assert scores(service, *bodies, query="n=2") == lengths
            got = httpx.post(f"{behind.url}/seen", json={}).json()
            assert sorted(map(json.dumps, got)) == sorted(map(json.dumps, bodies))
            for sort in ("nan", "text", "none", "huge", "empty", "fault"):
                body = openrlhf("A city?", f"say {sort}")
                answer = posted(service.url, "/get_reward?n=1", body)[0]
                assert "reward server" in problem(answer, 503)["detail"] or sort == "huge"
                assert int(answer.headers["retry-after"]) >= 1
            assert scores(service, openrlhf("A city?", "say list")) == [0.25]
            behind.process.kill()
            behind.process.wait()
            answer = posted(service.url, "/get_reward?n=1", bodies[0])[0]
            problem(answer, 503)
