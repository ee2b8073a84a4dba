"""What texts of odd shapes cost the default model: `python -m benchmarks.hostile_text`.

    read        CPU time of tokenising, encoding and describing a text, per character
    describe    the same without the encoder, which computes outside the interpreter's lock
    silence     the longest that describing a text of `--max-chars` and comparing it keeps another
                thread of the process from running, in CPU time, the least of three tries

Each CPU time is shown with its ratio to plain words. A text of one token a character costs as many
times as much to read as plain words have characters in a token.
"""

import argparse
import sys
import time
from collections.abc import Callable
from threading import Event, Thread, get_ident

import numpy as np

from darling_models.embedded.classifier import ARTEFACT, Embedded
from darling_models.embedded.description import describe
from darling_models.embedded.encoder import TextEncoder, wheel_weights
from darling_models.embedded.features import pair_features
from darling_models.embedded.head import PairHead
from darling_models.protocol import ONE_PAIR, text_unit
from tests.faults.hostile import SHAPES, text_of

TRIES = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--characters", type=int, default=10_000, help="of a text that is timed")
    parser.add_argument("--max-chars", type=int, default=200_000, help="of a text for the silence")
    options = parser.parse_args()

    model, encoder, head = Embedded(), TextEncoder(wheel_weights()), PairHead.load(ARTEFACT)
    width = len(head.lexicon.token_mean)

    def description(text: str) -> object:
        (tokens,) = encoder.tokenize([text])
        vectors = np.ones((len(tokens.ids), width), dtype=np.float32)
        described = describe(text, tokens, vectors, head.lexicon)
        return pair_features([described, described], described, ONE_PAIR, head.lexicon)

    def reading(text: str) -> object:
        return model.run([text_unit(text)])

    print("| shape | characters a token | read, µs | × | describe, µs | × | silence, ms |")
    print("|---|---|---|---|---|---|---|")
    plain: list[float] = []
    for shape in SHAPES:
        text, longest = text_of(shape, options.characters), text_of(shape, options.max_chars)
        costs = [1e6 * cpu_s(work, text) / len(text) for work in (reading, description)]
        plain = plain or costs
        per_token = len(text) / len(encoder.tokenize([text])[0].ids)
        silent = min(silence_s(description, longest) for _ in range(TRIES))
        columns = [f"{c:.1f} | {c / p:.1f}" for c, p in zip(costs, plain, strict=True)]
        print(f"| {shape} | {per_token:.1f} | {' | '.join(columns)} | {1000 * silent:.0f} |")
        sys.stdout.flush()


def cpu_s(work: Callable[[str], object], text: str) -> float:
    """CPU seconds of a call, the least of some tries."""
    times = []
    for _ in range(TRIES):
        started = time.process_time()
        work(text)
        times.append(time.process_time() - started)
    return min(times)


def silence_s(work: Callable[[str], object], text: str) -> float:
    """CPU seconds that this thread computes, at most, until another one gets its turn."""
    done, longest = Event(), 0.0
    clock = time.pthread_getcpuclockid(get_ident())

    def watch() -> None:
        nonlocal longest
        last = time.clock_gettime(clock)
        while not done.is_set():
            time.sleep(0.001)
            now = time.clock_gettime(clock)
            longest, last = max(longest, now - last), now

    watching = Thread(target=watch)
    watching.start()
    work(text)
    done.set()
    watching.join()
    return longest


if __name__ == "__main__":
    main()
