"""Quality on the service's side, for trainers that cannot send it: each source, for real."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from darling_models.reward_model import RewardModel
from tests import checkpoints
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
    missing = posted(plain.url, "/get_reward?n=1", openrlhf("2+3?", "5"))[0]
    assert problem(missing, 422)["errors"][0]["loc"] == ["label"]


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


@pytest.mark.parametrize(
    ("quality", "words"),
    [("reward-model:/nowhere/at/all", "there is no folder"), ("best", "unknown quality")],
)
def test_a_source_that_cannot_be_set_up_ends_the_process(quality: str, words: str) -> None:
    command = [
        sys.executable,
        "-m",
        "darling_service.cli",
        "serve",
        "--port",
        "0",
        "--model",
        "exact",
    ]
    run = subprocess.run(
        [*command, "--quality", quality], capture_output=True, text=True, timeout=60
    )
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
