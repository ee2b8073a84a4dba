"""Processes that compute, as forks of one that has imported much: each starts quickly.

A stop signal for a whole process group, such as a terminal's Ctrl-C, reaches the one that is forked
as well. It ignores the signal, since Python takes every fork of one that has ended for ended, and
whoever started it may still have answers to give.
"""

import multiprocessing
import signal
from collections.abc import Sequence
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext

STOPS = (signal.SIGINT, signal.SIGTERM)


def forks(preload: Sequence[str]) -> ForkServerContext:
    """What starts such processes; the one that is forked imports the modules `preload`.

    It is one for a whole Python process, with the modules that are named first.
    """
    # A fork of this process would copy its threads' locks.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["darling_models.forks_preload", *preload])
    resource_tracker.ensure_running()  # where the fork server starts it, it unblocks the signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # until it can ignore them
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context
