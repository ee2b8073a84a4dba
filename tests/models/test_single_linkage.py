"""Single linkage asks only about pairs that can change the partition, and finds the same one."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from darling_models.partitions.linkage import partition
from darling_models.partitions.single_linkage import Components
from darling_models.protocol import FloatArray, all_pairs
from tests.conftest import running
from tests.models.test_cross_encoder import WORDS, bert


@st.composite
def questions(draw: st.DrawFn) -> tuple[FloatArray, FloatArray]:
    """(P(equivalent) (n, n), likeness of all pairs): unrelated to each other."""
    n = draw(st.integers(1, 12))
    p = draw(arrays.arrays(np.float64, (n, n), elements=st.sampled_from([0.0, 0.5, 1.0])))
    likeness = draw(arrays.arrays(np.float64, len(all_pairs(n)), elements=st.floats(0, 1)))
    return np.maximum(p, p.T), likeness


@given(questions(), st.sampled_from([0.2, 0.7]))
def test_the_partition_is_that_of_all_pairs(
    question: tuple[FloatArray, FloatArray], threshold: float
) -> None:
    p, likeness = question
    n = len(p)
    components = Components(n, all_pairs(n), likeness)
    found = np.eye(n)
    asked: list[tuple[int, int]] = []
    rounds = 0
    while len(pairs := components.next_round()):
        rounds += 1
        rows, columns = pairs.T
        found[rows, columns] = found[columns, rows] = p[rows, columns]
        components.join(pairs[p[rows, columns] > threshold])
        asked += [(int(i), int(j)) for i, j in pairs]
    np.testing.assert_array_equal(
        partition(found, threshold, "single"), partition(p, threshold, "single")
    )
    assert len(set(asked)) == len(asked)
    assert rounds <= 1 + math.log2(max(n, 2))


def test_one_class_costs_a_pair_a_text_and_none_alike_costs_all() -> None:
    for equivalent, expected in ((True, 9), (False, 45)):
        components = Components(10, all_pairs(10), np.zeros(45))
        asked = 0
        while len(pairs := components.next_round()):
            asked += len(pairs)
            components.join(pairs if equivalent else pairs[:0])
        assert asked == expected


def test_a_cross_encoder_judges_fewer_pairs_for_the_same_rewards(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    bert(folder, num_labels=2)
    texts = [" ".join(WORDS[k : k + 3 + k % 4]) for k in range(12)]
    group = {"prompt": "", "rollouts": [*texts, texts[0]], "quality": [1.0] * 13}

    arguments = ("--model", f"cross-encoder:{folder}", "--cache-bytes", "0")
    with running(tmp_path / "log", *arguments) as service, service.client() as http:

        def answer(threshold: float, **options: Any) -> Any:
            body = {"groups": [group], "partition": {"linkage": "single", "threshold": threshold}}
            return http.post("/v1/rewards", json=body | options).json()

        whole = answer(0.5, return_probabilities=True)
        assert whole["usage"]["classified"] == 66
        classified: list[int] = []
        values = np.unique(whole["groups"][0]["probabilities"])
        for threshold in np.quantile(values, [0.1, 0.5, 0.8, 0.95]).tolist():
            every, some = answer(threshold, return_probabilities=True), answer(threshold)
            assert some["groups"][0]["partition"] == every["groups"][0]["partition"]
            assert some["groups"][0]["rewards"] == every["groups"][0]["rewards"]
            usage = some["usage"]
            assert usage["classified"] + usage["skipped"] == usage["pairs"] == 78
            classified.append(usage["classified"])
        assert classified[0] < classified[1] < 66
        assert answer(0.0)["usage"]["classified"] == 11
        pairwise = answer(0.5, reward={"diversity": "pairwise"})
        assert pairwise["usage"]["classified"] == 66, "its diversity reads every pair"
