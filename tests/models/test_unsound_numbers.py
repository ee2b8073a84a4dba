"""Checkpoints whose weights give NaN: refused at the start, or a 503 for whoever needs them."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from starlette.testclient import TestClient
from transformers import AutoTokenizer

from darling_models.cascade import Cascade
from darling_models.errors import ModelError
from darling_models.evaluation.predict import of_pairs
from darling_models.labelled_data import HumanPair
from darling_models.options import ModelOptions
from darling_models.partitions.linkage import LINKAGES
from darling_models.protocol import all_pairs, classify
from darling_models.registry import load
from darling_service.app import create_app
from darling_service.http.state import Service
from darling_service.offline import Scoring, score_files
from darling_service.settings import Settings
from tests.checkpoints import sentence_encoder, spoil, tiny
from tests.models.test_cross_encoder import bert

PAIR = "<s>{a}</s></s>{b}</s>"
CROSS_ENCODER, EMBEDDINGS = "cross-encoder", "embeddings"
WHERE = {
    "everywhere": ("word_embeddings.weight", slice(None)),
    "in long texts": ("position_embeddings.weight", slice(60, None)),
}
BAD, GOOD = "§", "Nothing wrong in this text, which is long enough for any rule."
"""`§` is the character whose token's vector is NaN, in a model that starts."""


def made(folder: Path, backend: str, name: str, rows: Any, kind: str = "bert") -> str:
    """The name of a model whose weights are NaN there."""
    path = folder / "model"
    path.mkdir()
    if backend == EMBEDDINGS:
        sentence_encoder(path, kind, max_position_embeddings=70)
        spoil(path, name, rows)
    else:
        tiny(kind, path, max_position_embeddings=70, equivalence_template=PAIR)
        spoil(path, name, rows)
    return f"{backend}:{path}"


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("kind", ["bert", "roberta", "mpnet"])
@pytest.mark.parametrize("backend", [CROSS_ENCODER, EMBEDDINGS])
def test_a_model_that_answers_nan_is_refused_by_name(
    tmp_path: Path, backend: str, kind: str, where: str
) -> None:
    name = made(tmp_path, backend, *WHERE[where], kind)
    what = "short texts" if where == "everywhere" else "texts that fill its window"
    with pytest.raises(ModelError, match=f"model '{name}' cannot compare .*{what}.*not finite"):
        load(name)
    with pytest.raises(ModelError, match="not finite"):
        load(f"cascade:{name}" if backend == CROSS_ENCODER else name)


@pytest.mark.parametrize("label", ["classifier.weight", "classifier.bias"])
def test_a_head_without_numbers_is_refused(tmp_path: Path, label: str) -> None:
    bert(tmp_path, num_labels=1)
    spoil(tmp_path, label)
    with pytest.raises(ModelError, match="not finite"):
        load(f"cross-encoder:{tmp_path}")


@pytest.fixture(scope="module", params=[CROSS_ENCODER, EMBEDDINGS])
def partly(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model with NaN in the vector of one token, which no warm-up meets."""
    folder: Path = tmp_path_factory.mktemp("partly")
    name = made(folder, request.param, "position_embeddings.weight", slice(0, 0))
    path = Path(name.partition(":")[2])
    tokens = AutoTokenizer.from_pretrained(path).encode(BAD, add_special_tokens=False)
    spoil(path, "word_embeddings.weight", tokens[-1])
    return name


@pytest.fixture(scope="module")
def http(partly: str) -> Iterator[TestClient]:
    app = create_app(Service(Settings(model=partly, max_batch_tokens=10_000)))
    with TestClient(app, raise_server_exceptions=False) as client:
        while client.get("/health/ready").status_code != 200:
            pass
        yield client


def group(*texts: str) -> dict[str, Any]:
    return {"prompt": "p", "rollouts": list(texts), "quality": [1.0] * len(texts)}


def texts(number: int) -> tuple[str, str, str]:
    """A group with one text that makes NaN, new for each number."""
    return f"{number} {GOOD}", f"{number}! {GOOD}", f"{number} {BAD} {GOOD}"


def refused(answer: Any) -> None:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) >= 1
    assert "failed" in answer.json()["detail"]


REWARDS: list[dict[str, Any]] = [
    *({"partition": {"linkage": linkage}} for linkage in LINKAGES),
    {"return_probabilities": True},
    {"reward": {"parity": "darling"}},
    {"reward": {"diversity": "pairwise"}},
    {"reward": {"diversity": "pairwise", "soft": True}},
]


@pytest.mark.parametrize("number", range(len(REWARDS)))
def test_rewards_and_partitions_that_need_it_are_503(http: TestClient, number: int) -> None:
    fields = REWARDS[number]
    for _ in range(2):  # what failed is in no cache
        refused(http.post("/v1/rewards", json={"groups": [group(*texts(number))], **fields}))
    if "reward" not in fields:
        asked = {"prompt": "p", "rollouts": list(texts(50 + number))}
        refused(http.post("/v1/partitions", json={"groups": [asked], **fields}))
    assert http.get("/health/ready").status_code == 200, "it answers what is not NaN"


def test_cosines_of_it_are_503(http: TestClient, partly: str) -> None:
    reward = {"objective": "additive", "diversity": "volume"}
    answer = http.post("/v1/rewards", json={"groups": [group(*texts(60))], "reward": reward})
    if partly.startswith(EMBEDDINGS):
        refused(answer)
    else:
        assert answer.status_code == 422, "a cross-encoder has no vectors"


def test_every_other_route_is_503(http: TestClient) -> None:
    good, _, bad = texts(100)
    refused(http.post("/v1/equivalence", json={"pairs": [{"a": good, "b": bad}]}))
    refused(http.post("/classify", json={"input": [f"[CLS] {good} [SEP] {bad} [SEP]"]}))
    refused(http.post("/v1/preferences", json={"groups": [group(good, bad)]}))
    query = {"query": ["p" + good, "p" + bad], "prompts": ["p", "p"], "labels": ["", ""]}
    refused(http.post("/get_reward?n=2&quality=constant", json=query))
    rollout = {"run": "r", "group_id": "g", "group_size": 1, "prompt": "p", "quality": 1.0}
    assert http.post("/v1/rollouts", json={**rollout, "text": bad}).status_code == 200, "no pair"


def test_only_the_requests_that_need_it_fail(http: TestClient) -> None:
    async def together() -> list[int]:
        transport = httpx.ASGITransport(http.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            asked = [
                client.post("/v1/rewards", json={"groups": [group(*texts(200 + i)[: 2 + i % 2])]})
                for i in range(6)
            ]
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    assert http.portal is not None
    assert http.portal.call(together) == [200, 503] * 3


def test_scoring_a_file_gives_the_line_an_error_and_goes_on(partly: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    lines = [group(*texts(300)[:2]), group(*texts(301)), group(*texts(302)[:2])]
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert score_files(Scoring([str(source)], str(target)), Settings(model=partly)) == 1
    answers = [json.loads(line) for line in target.read_text().splitlines()]
    answers = [answer for answer in answers if "error" in answer or "rewards" in answer]
    assert [answer.get("error", {}).get("status") for answer in answers] == [None, 503, None]
    assert np.isfinite([answers[i]["rewards"] for i in (0, 2)]).all()


def test_evaluating_and_labelling_raise_the_reason(partly: str) -> None:
    classifier = load(partly)
    good, _, bad = texts(400)
    with pytest.raises(ModelError, match="not finite"):
        of_pairs(classifier, [HumanPair("p", good, bad, similar=True, labeler="")], "test")
    with pytest.raises(ModelError, match="not finite"):
        classify(classifier, "", [good, bad], all_pairs(2))


def test_a_cascade_makes_no_number_of_a_damaged_head(tmp_path: Path) -> None:
    bert(tmp_path, num_labels=2)
    first, second = load("embedded"), load(f"cross-encoder:{tmp_path}")
    head = first._head  # type: ignore[attr-defined]
    head.network.output_bias[:] = np.nan
    cascade = Cascade(first, second, ModelOptions())
    with pytest.raises(ModelError, match="not finite"):
        classify(cascade, "", ["a", "b"], all_pairs(2))
