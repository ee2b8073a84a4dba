"""NumPy beside torch on the same cores."""

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]


def one_thread_for_numpy() -> None:
    """Keeps OpenBLAS, which NumPy multiplies with, to one thread in this process.

    After a product its threads spin for a while and keep the cores from torch's own: a group of
    short answers took half as long again. What NumPy multiplies here is small.
    """
    ThreadpoolController().select(internal_api="openblas").limit(limits=1)
