"""`/classify` as the published DARLING client calls it, against the published reward code."""

import asyncio
import random
from typing import Any

import httpx
import pytest

from darling_service.errors import Invalid
from darling_service.trainers.classify import pair_in
from tests.conftest import Service, running
from tests.faults.test_bad_input import problem
from tests.texts import essay

LETTERS = ["Yes.", "no", "No.", "Toyota Camry.", "Toyota Corolla Hybrid.", "the Toyota Camry car"]


def short(a: str, b: str) -> bool | None:
    """The client's own rule for answers of at most five words."""
    x, y = a.lower().split(), b.lower().split()
    longest = max(len(x), len(y))
    return None if longest > 5 else 2 * len(set(x) & set(y)) >= longest


async def published_partition(hosts: list[str], texts: list[str]) -> list[float]:
    """The call pattern of facebookresearch/darling: one request a pair, hosts in turn by group,
    union-find above .5, and a diversity of .1 at least."""
    parent = list(range(len(texts)))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    async with httpx.AsyncClient(timeout=600) as http:

        async def similar(i: int, j: int) -> bool:
            if (ruled := short(texts[i], texts[j])) is not None:
                return ruled
            a, b = " ".join(texts[i].split()), " ".join(texts[j].split())
            place = (i + j) % len(hosts)
            body = {"model": f"similarity_gpu_{place}", "input": [f"<cls> {a} <sep> {b} <sep>"]}
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


@pytest.mark.processor
@pytest.mark.parametrize("seed", range(4))
def test_the_published_client_finds_what_parity_mode_finds(service: Service, seed: int) -> None:
    """Eight ports of one host, as the published settings name them, are the same service here."""
    source = random.Random(seed)
    texts = [source.choice(LETTERS) for _ in range(3)]
    texts += [" ".join(essay(source.randrange(3), 30).split()) for _ in range(3)]
    texts += ["I would visit Lisbon for its steep streets, sunshine and custard tarts."]
    texts += ["Lisbon, for its warm light, its steep streets and its custard tarts."]
    source.shuffle(texts)
    found = asyncio.run(published_partition([service.url] * 8, texts))
    request = {
        "groups": [{"prompt": "p", "rollouts": texts, "quality": [1.0] * len(texts)}],
        "reward": {"parity": "darling"},
        "partition": {"threshold": 0.5},
    }
    ours = httpx.post(f"{service.url}/v1/rewards", json=request).json()["groups"][0]
    assert found == ours["rewards"]
    assert 1 < ours["num_classes"] < len(texts)


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
