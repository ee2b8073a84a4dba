"""Same request, same answer, bit for bit: order of rollouts, company, cache and process."""

import asyncio
import random
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from darling_models.partitions.linkage import number_by_first_occurrence
from darling_models.protocol import all_pairs, classify
from darling_models.registry import load
from tests.conftest import Service, running
from tests.texts import essay

pytestmark = pytest.mark.processor

PROMPT = "What should a small town do with its old railway station?"
COLUMNS = ("diversity", "quality", "rewards", "advantages")


def group(seed: int, rollouts: int = 8, words: int = 120) -> dict[str, Any]:
    """Rollouts of mixed length, a few of them equal, with quality of both signs."""
    source = random.Random(seed)
    texts = [essay(source.randrange(6), source.randrange(1, words)) for _ in range(rollouts)]
    quality = [source.uniform(-2, 2) for _ in texts]
    return {"prompt": PROMPT, "rollouts": texts, "quality": quality}


def body(*groups: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"groups": list(groups), "return_probabilities": True, **options}


def permuted(g: dict[str, Any], order: list[int]) -> dict[str, Any]:
    return g | {name: [g[name][i] for i in order] for name in ("rollouts", "quality")}


REWARDS: list[dict[str, Any]] = [
    {"advantage": "grpo"},
    {"diversity": "pairwise", "soft": True, "advantage": "rloo"},
    {"objective": "additive", "normalize": "zscore", "advantage": "centered"},
    {"diversity": "ngram", "exponent": 0.7, "floor": 0.05},
    {"among": "quality", "min_quality": 0.0, "diversity": "pairwise"},
    {"among": "quality", "min_quality": 0.0, "advantage": "grpo", "uniqueness": 0.5},
]


@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.parametrize("linkage", ["single", "average", "complete"])
def test_a_permuted_group_gets_the_permuted_answer(
    http: httpx.Client, reward: dict[str, Any], linkage: str
) -> None:
    for seed in range(3):
        original = group(seed)
        order = random.Random(seed).sample(range(8), 8)
        options = {"reward": reward, "partition": {"linkage": linkage}}
        first, second = (
            http.post("/v1/rewards", json=body(g, **options)).json()["groups"][0]
            for g in (original, permuted(original, order))
        )
        for name in COLUMNS:
            if first[name] is not None:
                assert second[name] == [first[name][i] for i in order]
        labels = number_by_first_occurrence([first["partition"][i] for i in order])
        assert second["partition"] == labels.tolist()
        p = np.array(first["probabilities"])[np.ix_(order, order)]
        np.testing.assert_array_equal(np.array(second["probabilities"]), p)


def test_company_cache_and_process_do_not_change_a_bit(service: Service, tmp_path: Path) -> None:
    """Alone and cold in a fresh process; among many and cold; warm: equal to the last bit."""
    wanted = group(100)

    async def crowd(url: str) -> Any:
        async with httpx.AsyncClient(base_url=url, timeout=120) as client:
            others = [
                client.post("/v1/rewards", json=body(*(group(200 + 4 * k + j) for j in range(4))))
                for k in range(8)
            ]
            own = client.post("/v1/rewards", json=body(group(300), wanted, group(301)))
            answers = await asyncio.gather(*others[:4], own, *others[4:])
            return answers[4].json()["groups"][1]

    with running(tmp_path / "log", "--max-batch-tokens", "300") as fresh, fresh.client() as client:
        alone = client.post("/v1/rewards", json=body(wanted)).json()["groups"][0]
    crowded = asyncio.run(crowd(service.url))
    with service.client() as client:
        warm = client.post("/v1/rewards", json=body(wanted)).json()
    assert crowded == alone
    assert warm["usage"]["tokens"] == 0
    assert warm["groups"][0] == alone


@pytest.mark.parametrize("name", ["embedded", "exact", "ngram", "unigram"])
def test_a_pair_does_not_depend_on_its_order(name: str) -> None:
    classifier = load(name)
    texts = [essay(k, 10 + 30 * k) for k in range(5)]
    pairs = all_pairs(5)
    forward = classify(classifier, PROMPT, texts, pairs)
    np.testing.assert_array_equal(classify(classifier, PROMPT, texts, pairs[:, ::-1]), forward)
    backward = classify(classifier, PROMPT, texts[::-1], 4 - pairs)
    np.testing.assert_array_equal(backward, forward)


def test_a_units_result_does_not_depend_on_its_batch() -> None:
    """Every array of a description, alone and among others of other lengths."""
    classifier = load("embedded")
    texts = [essay(k, words) for k, words in enumerate((1, 3, 9, 40, 90, 300, 1000))]
    units = classifier.plan(PROMPT, texts, all_pairs(len(texts))).units
    together = classifier.run(units)
    shuffled = dict(zip(units[::-1], classifier.run(units[::-1]), strict=True))
    for unit, result in zip(units, together, strict=True):
        (alone,) = classifier.run([unit])
        for other in (alone, shuffled[unit]):
            assert _arrays(other) == _arrays(result)


def _arrays(description: Any) -> list[bytes]:
    keys, read = description.keys, description.facts
    arrays = [description.document, description.shape, keys.vectors, keys.whole, keys.weights]
    arrays += [keys.ids, keys.sentence, keys.rest, keys.codes, read.axes, read.flags, *read.sets]
    arrays += list(description.sets.values())
    return [array.tobytes() for array in arrays]
