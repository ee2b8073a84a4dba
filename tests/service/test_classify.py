"""`/classify` as the published DARLING client calls it, against the published reward code."""

import asyncio
import gzip
import json
import os
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from darling_models.options import ModelOptions
from darling_models.registry import load
from darling_service.errors import Invalid
from darling_service.trainers.classify import pair_in
from tests.checkpoints import modernbert
from tests.conftest import Service, running
from tests.faults.test_bad_input import problem
from tests.texts import essay

SHORT = ["Yes.", "no", "No.", "Toyota Camry.", "Toyota Corolla Hybrid.", "the Toyota Camry car"]
LISBON = "I would visit Lisbon for its steep streets, sunshine and custard tarts."
TARTS = "Lisbon, for its warm light, its steep streets and its custard tarts."
LIST = "1. Turn it into a library.\n2. Sell it.\n\n   - The roof leaks.\n"
CODE = "def half(x):\n\treturn x / 2\n\n\nprint(half(3))\n"
MAX_WORDS = (4096 - 3) // 2
DATA = Path(os.environ.get("DARLING_DATA", Path(__file__).parents[3] / "shared" / "data"))


def short(a: str, b: str) -> bool | None:
    """The client's own rule for answers of at most five words."""
    x, y = a.lower().split(), b.lower().split()
    longest = max(len(x), len(y))
    return None if longest > 5 else 2 * len(set(x) & set(y)) >= longest


def sent(text: str) -> str:
    """A text as the client sends it: its first words, with one space between them."""
    return " ".join(text.split()[:MAX_WORDS])


async def published_rewards(
    hosts: list[str], texts: list[str], cls: str = "[CLS]", sep: str = "[SEP]"
) -> list[float]:
    """The call pattern of facebookresearch/darling: one request a pair, all to the host of the
    group, union-find above .5 over i < j, and a diversity of .1 at least; quality is 1."""
    parent = list(range(len(texts)))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    async with httpx.AsyncClient(timeout=600) as http:

        async def similar(i: int, j: int) -> bool:
            if (ruled := short(texts[i], texts[j])) is not None:
                return ruled
            place = len(texts) % len(hosts)
            pair = f"{cls} {sent(texts[i])} {sep} {sent(texts[j])} {sep}"
            body = {"model": f"similarity_gpu_{place}", "input": [pair]}
            answer = await http.post(f"{hosts[place]}/classify", json=body)
            answer.raise_for_status()
            return float(answer.json()["data"][0]["probs"][-1]) > 0.5

        pairs = [(i, j) for i in range(len(texts)) for j in range(i + 1, len(texts))]
        verdicts = await asyncio.gather(*(similar(i, j) for i, j in pairs))
    for (i, j), same in zip(pairs, verdicts, strict=True):
        if same:
            parent[root(i)] = root(j)
    roots = [root(i) for i in range(len(texts))]
    n = len(texts)
    return [max((n - roots.count(r)) / (n - 1), 0.1) for r in roots]


def parity(url: str, prompt: str, texts: list[str], **more: Any) -> dict[str, Any]:
    """The answer to a group whose quality is 1, under `parity: darling`."""
    group = {"prompt": prompt, "rollouts": texts, "quality": [1.0] * len(texts)}
    request = {"groups": [group], "reward": {"parity": "darling"}, **more}
    answer = httpx.post(f"{url}/v1/rewards", json=request, timeout=600)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def mixed(source: random.Random) -> list[str]:
    """Short answers, paragraphs in other layouts, lists, code and reasoning."""
    texts = [source.choice(SHORT) for _ in range(3)]
    for _ in range(3):
        words = essay(source.randrange(3), 30).split()
        gaps = [source.choice([" ", " ", " ", "\n", "  ", "\n\n", "\t"]) for _ in words]
        texts.append("".join(word + gap for word, gap in zip(words, gaps, strict=True)))
    thought = f"<think>\n{essay(source.randrange(3), 20)}\n</think>\n\n"
    texts += [LISBON, TARTS, thought + LISBON, thought + essay(0, 20), LIST, CODE]
    texts += ["\n".join(CODE.splitlines()), "", source.choice([" ", "\n\n"])]
    texts += [f"{LISBON}<|eot_id|>\n", f"<s> {TARTS}"]
    source.shuffle(texts)
    return texts


@pytest.mark.processor
@pytest.mark.parametrize("seed", range(4))
def test_the_published_client_finds_what_parity_mode_finds(service: Service, seed: int) -> None:
    """Eight ports of one host, as the published settings name them, are the same service here."""
    texts = mixed(random.Random(seed))
    found = asyncio.run(published_rewards([service.url] * 8, texts))
    answer = parity(service.url, "What should be done with the old station?", texts)
    assert found == answer["groups"][0]["rewards"]
    assert answer["model"]["threshold"] == 0.5
    assert 1 < answer["groups"][0]["num_classes"] < len(texts)


def test_parity_with_qwens_markers_and_texts_beyond_the_published_length(service: Service) -> None:
    """What comes after the first 2,046 words is not read: two texts that differ there are one."""
    long = (essay(0, 400) + "\n\n") * 6
    texts = [f"{long}One end.", f"{long}Quite another end.", essay(1, 60), essay(2, 60)]
    qwen = ("<|im_start|>", "<|im_end|>")
    found = asyncio.run(published_rewards([service.url] * 8, texts, *qwen))
    answer = parity(service.url, "p", texts)["groups"][0]
    assert found == answer["rewards"]
    assert answer["partition"][0] == answer["partition"][1]


def real_groups() -> list[tuple[str, list[str]]]:
    """(prompt, texts) of rollouts of language models, and of reasoning before an answer."""
    groups = []
    for name, prompt, texts, step in (
        ("math_rollouts", "question", "responses", 20),
        ("careful_groups", "prompt", "generations", 160),
        ("behaviour_groups", "prompt", "rollouts", 60),
    ):
        with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            records = [json.loads(line) for line in lines]
        if name == "behaviour_groups":
            thinking = [record for record in records if record["category"] == "thinking"]
            records = thinking[::6] + records[::step]
        else:
            records = records[::step]
        groups += [(record[prompt], record[texts]) for record in records]
    return groups


@pytest.mark.heavy
@pytest.mark.skipif(
    not (DATA / "math_rollouts.jsonl.gz").exists(),
    reason="the rollouts are not in the repository: set DARLING_DATA to their folder",
)
def test_the_published_client_on_real_groups(service: Service) -> None:
    compared = 0
    for prompt, texts in real_groups():
        found = asyncio.run(published_rewards([service.url] * 8, texts))
        assert found == parity(service.url, prompt, texts)["groups"][0]["rewards"], prompt
        compared += len(found)
    assert compared > 100


def test_the_threshold_of_parity_is_the_requests_or_the_settings_or_the_published_one(
    service: Service, tmp_path: Path
) -> None:
    texts = [LISBON, TARTS, essay(0, 20)]
    assert parity(service.url, "p", texts)["model"]["threshold"] == 0.5
    named = parity(service.url, "p", texts, partition={"threshold": "precision"})
    models = httpx.get(f"{service.url}/v1/models").json()["models"]
    assert named["model"]["threshold"] == models[0]["operating_points"]["precision"]
    assert (
        parity(service.url, "p", texts, partition={"threshold": 0.2})["model"]["threshold"] == 0.2
    )
    with running(tmp_path / "log", "--threshold", "0.3") as other:
        assert parity(other.url, "p", texts)["model"]["threshold"] == 0.3


@pytest.mark.parametrize(
    ("model", "threshold"), [("darling-modernbert", 0.32), ("cross-encoder", 0.5)]
)
def test_a_published_checkpoint_keeps_its_threshold(
    tmp_path: Path, model: str, threshold: float
) -> None:
    modernbert(tmp_path)
    options = ModelOptions(pair_template="[CLS]{a}[SEP]{b}[SEP]")
    info = load(f"{model}:{tmp_path}", options).info
    assert info.published_threshold == threshold
    assert load(f"cascade:{model}:{tmp_path}", options).info.published_threshold == threshold
    chosen = load(f"{model}:{tmp_path}", replace(options, threshold=0.7)).info
    assert chosen.published_threshold == chosen.threshold == 0.7


@pytest.mark.parametrize("agreeing", [{"linkage": "single"}, {"short_answer_rule": True}])
def test_options_that_agree_with_parity_may_be_sent(
    service: Service, agreeing: dict[str, Any]
) -> None:
    plain = parity(service.url, "p", [LISBON, TARTS])
    assert (
        parity(service.url, "p", [LISBON, TARTS], partition=agreeing)["groups"] == plain["groups"]
    )


@pytest.mark.parametrize(
    "written",
    ["[CLS] {a} [SEP] {b} [SEP]", "[CLS]{a}[SEP]{b}[SEP]", "<cls> {a} <sep> {b} <sep>",
     "<s>{a}</s>{b}</s>", "<|im_start|>{a}<|im_end|>{b}<|im_end|>"],
)  # fmt: skip
def test_the_special_tokens_of_the_published_backbones(written: str) -> None:
    for a, b in (("Blue is a colour.", "Red [x]"), ("", "b"), ("a\nb", "")):
        pair = pair_in(written.replace("{a}", a).replace("{b}", b))
        assert (pair.a, pair.b) == (a, b)
    twice = pair_in("[CLS] one [SEP] two or three [SEP] four and five [SEP]")
    assert (twice.a, twice.b) == ("one [SEP] two or three", "four and five")


@pytest.mark.parametrize("text", ["a and b", "", "[CLS]", "[CLS] a [SEP]", "a [SEP] b [SEP]"])
def test_what_is_no_pair_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="is not a pair"):
        pair_in(text)


def test_the_shape_of_vllms_answer(exact: Service) -> None:
    inputs = ["[CLS] a b [SEP] A  B [SEP]", "[CLS] a [SEP] b [SEP]"]
    body: dict[str, Any] = {
        "model": "similarity_gpu_3",
        "input": inputs,
        "truncate_prompt_tokens": 1,
    }
    answer = httpx.post(f"{exact.url}/classify", json=body).json()
    assert answer["object"] == "list"
    assert answer["model"] == "similarity_gpu_3"
    assert [row["index"] for row in answer["data"]] == [0, 1]
    assert [row["probs"] for row in answer["data"]] == [[0, 1], [1, 0]]
    assert [row["label"] for row in answer["data"]] == ["LABEL_1", "LABEL_0"]
    assert {row["num_classes"] for row in answer["data"]} == {2}
    alone = httpx.post(f"{exact.url}/classify", json={"input": inputs[0], "model": "ngram"}).json()
    assert len(alone["data"]) == 1
    odd = httpx.post(f"{exact.url}/classify", json={"input": [inputs[0], "x"]})
    assert problem(odd, 422)["errors"][0]["loc"] == ["input", 1]


def test_the_remote_classifier_can_stand_in_front_of_it(exact: Service, tmp_path: Any) -> None:
    group = {"prompt": "p", "rollouts": ["a b", "A  B", "c"], "quality": [1.0, 1.0, 1.0]}
    arguments = ("--model", f"remote:{exact.url}")
    with running(tmp_path / "log", *arguments) as front, front.client() as http:
        found = http.post("/v1/rewards", json={"groups": [group]}).json()["groups"][0]
    assert found["partition"] == [0, 0, 1]
