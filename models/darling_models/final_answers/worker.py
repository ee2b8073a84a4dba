"""What runs in a worker process of `final_answers`: math-verify on texts that may be hostile.

`9^{9^{9^9}}` is a legal answer and would compute for ever. math-verify's own time-out needs SIGALRM
and cannot stop one long multiplication; here the kernel ends the process when a question has used
up its CPU time, however busy the machine is.
"""

import logging
import resource
import time
from functools import lru_cache
from multiprocessing.connection import Connection
from typing import Any

CPU_SECONDS = 2
"""CPU time for one question; the kernel counts whole seconds, so it may be one more."""
MEMORY_BYTES = 4 * 2**30
"""Address space of a worker, which a hostile answer could otherwise fill without end."""
READY = "ready"


def serve(connection: Connection) -> None:
    """Answers (text,) with whether it can be compared at all, (a, b) with whether they agree."""
    logging.disable(logging.CRITICAL)  # math-verify logs whole texts
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    _agree(_parsed("$1$"), _parsed("$1$"))  # imports and grammars, before any clock runs
    connection.send(READY)
    while True:
        try:
            texts = connection.recv()
        except EOFError:
            return
        _allow(CPU_SECONDS)
        try:
            answers = [_parsed(text) for text in texts]
            if len(answers) == 1:
                _agree(answers[0], _parsed("$1$"))
                verdict = bool(answers[0])
            else:
                verdict = _agree(answers[0], answers[1]) or _agree(answers[1], answers[0])
        except Exception:  # whatever a parser of hostile text may raise, RecursionError among it
            verdict = False
        connection.send(verdict)


def _allow(seconds: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1 + seconds, hard))


@lru_cache(maxsize=256)
def _parsed(text: str) -> list[Any]:
    """The final answer, in every form math-verify can read; empty without one."""
    from math_verify import parse

    answer: list[Any] = parse(text, parsing_timeout=None)
    return answer


def _agree(gold: list[Any], answer: list[Any]) -> bool:
    from math_verify import verify

    return bool(verify(gold, answer, timeout_seconds=None))
