"""Workers: a thread of torch each, and the caller's own threads as before."""

import threading

import torch

from darling_models.runtime.pack_threads import Workers


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
