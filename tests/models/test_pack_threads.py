"""Packs and their threads: one of torch each, and the caller's own threads stay as before."""

import threading

import torch
from hypothesis import given
from hypothesis import strategies as st

from darling_models.runtime.pack_threads import Workers, balanced


def test_each_has_one_thread_of_torch_and_the_others_keep_theirs() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        workers = Workers(3)

        def seen(number: int) -> tuple[int, int, str]:
            torch.randn(300, 300) @ torch.randn(300, 300)
            return number, torch.get_num_threads(), threading.current_thread().name

        found = list(workers.map(seen, range(30)))
        assert [number for number, _, _ in found] == list(range(30)), "in order"
        assert {threads for _, threads, _ in found} == {1}
        assert {name[:4] for _, _, name in found} == {"pack"}
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_a_single_one_is_the_callers_thread() -> None:
    workers = Workers(1)
    assert (
        list(workers.map(lambda _: threading.current_thread(), range(2)))
        == [threading.current_thread()] * 2
    )


@given(
    st.lists(st.integers(1, 300), max_size=40),
    st.sampled_from((1, 256, 1024)),
    st.sampled_from((1, 32, 96)),
    st.integers(1, 4),
)
def test_packs_hold_each_text_once_and_few_tokens_are_not_divided(
    lengths: list[int], most: int, least: int, count: int
) -> None:
    packs = balanced(lengths, most, least, count)
    assert sorted(index for pack in packs for index in pack) == list(range(len(lengths)))
    assert all(packs)
    for pack in packs:
        assert [lengths[index] for index in pack] == sorted(lengths[index] for index in pack)
    if len(packs) > 1:
        assert len(packs) * least <= sum(lengths)
    if most == least == 1:
        assert len(packs) == len(lengths), "every text by itself"
