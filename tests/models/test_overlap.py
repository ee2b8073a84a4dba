"""Work beside a GPU's, here on the CPU: results in their order, and each one in time."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from darling_models.cross_encoder import classifier
from darling_models.cross_encoder.classifier import CrossEncoder
from darling_models.cross_encoder.pair_input import EncodedPair
from darling_models.pairs import pair_unit
from darling_models.protocol import IntArray, Unit
from darling_models.runtime.overlap import fetched, moved, one_ahead
from tests.models.test_cross_encoder import TEXTS, bert


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_results_come_in_the_order_of_the_work(count: int) -> None:
    assert list(one_ahead(lambda n: n * n, range(count))) == [n * n for n in range(count)]


def test_the_next_is_computed_while_one_is_used() -> None:
    second = threading.Event()

    def run(number: int) -> int:
        if number == 1:
            second.set()
        return number

    results = one_ahead(run, range(3))
    assert next(results) == 0
    assert second.wait(60)
    assert list(results) == [1, 2]


def test_a_fault_in_the_thread_is_the_callers() -> None:
    def run(number: int) -> float:
        return 1 / number

    results = one_ahead(run, [1, 0, 2])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_a_tensor_is_read_after_the_next_was_started() -> None:
    started = []

    def work() -> Iterator[tuple[int, torch.Tensor]]:
        for number in range(3):
            started.append(number)
            yield number, torch.full((2,), number)

    for label, tensor in fetched(work()):
        assert len(started) == min(label + 2, 3)
        assert tensor.tolist() == [label, label]
    assert list(fetched([])) == []


def test_numbers_are_the_same_on_the_device() -> None:
    assert moved(np.arange(3), "cpu").tolist() == [0, 1, 2]


def test_pairs_tokenised_in_parts_get_the_same_probabilities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path of a GPU, on a device of another name that is the CPU."""
    bert(tmp_path)
    model = CrossEncoder(str(tmp_path))
    units = [pair_unit(a, b) for a in TEXTS for b in TEXTS if a < b]
    whole = model.run(units)
    sizes = []
    encode = model.encode

    def noted(part: list[Unit], ids: dict[str, IntArray]) -> list[EncodedPair]:
        sizes.append(len(part))
        before = dict(ids)
        pairs = encode(part, ids)
        assert all(ids[text] is known for text, known in before.items()), "a text was cut twice"
        assert ids.keys() == before.keys() | {text for unit in part for text in unit.inputs}
        return pairs

    monkeypatch.setattr(model, "encode", noted)
    monkeypatch.setattr(model, "_device", "cpu:0")
    monkeypatch.setattr(classifier, "READ_TOKENS", 40)
    in_parts = model.run(units)
    assert len(sizes) > 1
    assert sum(sizes) == len(units)
    for one, other in zip(whole, in_parts, strict=True):
        assert one.probability == pytest.approx(other.probability, abs=1e-5)
        assert (one.tokens, one.truncated) == (other.tokens, other.truncated)
