"""Measures the coefficients of `darling-reward size`, and checks them on other runs.

    python -m benchmarks.sizing [--cross-encoders MiniLM] [--groups 24]

It prints a row for `darling_service/sizing/processors.py`. Then a service scores groups over HTTP:
groups of one size with rollouts of mixed lengths, which the calculator predicts from their mean,
and groups of mixed sizes, whose work is added up. Texts are other ones than those of the fit, the
cache is off, and CPU seconds are those of the service's processes, which hold better than
wall-clock seconds on a machine that others use.
"""

import argparse
import asyncio
import math
import random
from collections.abc import Sequence
from pprint import pformat
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.accelerator import SIZES, save_random
from benchmarks.http import Connection
from benchmarks.load import resident_mib, service
from benchmarks.machine import description
from benchmarks.workers import cpu_seconds, family
from darling_service.sizing.cost import EncoderCost, PairCost, seconds
from darling_service.sizing.fit import fitted_encoder
from darling_service.sizing.measure import (
    ROUNDS,
    encoder_rounds,
    measured_pairs,
    passage,
    tokenizer_of_encoder,
    work_of_texts,
)
from darling_service.sizing.processors import MEMORY
from darling_service.sizing.work import Groups, Work, work_of

CLIENTS = 8
ROLLOUTS = 16
"""Rollouts of each group of the first check."""
SEED = 1000
"""Far from the seeds of the fit, so that texts are cut from other places."""

Body = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cross-encoders", nargs="*", choices=SIZES, default=["MiniLM"])
    parser.add_argument("--groups", type=int, default=24, help="of each check")
    given = parser.parse_args()
    print(description(), flush=True)
    print(pformat(measured_and_checked(given.groups)), flush=True)
    for name in given.cross_encoders:
        print(name.lower(), cross_encoder(name), flush=True)


def cross_encoder(name: str) -> PairCost:
    """The cost of a cross-encoder of this architecture, with random weights."""
    with TemporaryDirectory() as folder:
        save_random(SIZES[name], torch.float32, folder)
        return measured_pairs(f"cross-encoder:{folder}")


def measured_and_checked(groups: int) -> EncoderCost:
    """Fits the costs, and prints what they predict of two runs over HTTP beside what was measured.

    Rounds of the fit and parts of the check take turns, so that both meet the same neighbours.
    """
    source = random.Random(SEED)
    checks = {
        f"groups of {ROLLOUTS}, by their means": [group(source, ROLLOUTS) for _ in range(groups)],
        "groups of 2 to 48, added up": [
            group(source, source.choice((2, 4, 8, 24, 48))) for _ in range(groups)
        ],
    }
    measured = dict.fromkeys(checks, 0.0)
    runs: list[tuple[Work, float]] = []
    with service("--cache-bytes", "0") as (url, pid):
        asyncio.run(sent(url, [group(source, 4) for _ in range(4)]))
        for turn, of_round in enumerate(encoder_rounds(ROUNDS, math.inf)):
            runs += of_round
            for name, bodies in checks.items():
                before = cpu_seconds(family(pid))
                asyncio.run(sent(url, bodies[turn::ROUNDS]))
                measured[name] += cpu_seconds(family(pid)) - before
        resident = resident_mib(pid)
    cost = fitted_encoder(runs)
    for (name, bodies), work_of_all in zip(checks.items(), (by_means, added_up), strict=True):
        work = work_of_all(bodies)
        predicted, taken = seconds(work, cost, None), measured[name]
        print(
            f"{name}: {work.tokens:,.0f} tokens, {work.pairs:,.0f} pairs: measured {taken:.2f} "
            f"CPU s, predicted {predicted:.2f}, which is {predicted / taken:.2f} times as much"
        )
    off = [abs(seconds(work, cost, None) / taken - 1) for work, taken in runs]
    print(f"runs of the fit: off by {median(off):.0%} in the median, at most {max(off):.0%}")
    texts, tokens = texts_and_tokens(checks["groups of 2 to 48, added up"])
    bound = MEMORY.of(texts * CLIENTS / groups, tokens * CLIENTS / groups, cache=0) / 2**20
    print(f"resident memory: measured {resident:.0f} MiB, predicted at most {bound:.0f} MiB")
    return cost


def group(source: random.Random, rollouts: int) -> Body:
    """A group whose rollouts have from some ten to some thousand words, by a lognormal."""
    typical = source.lognormvariate(4.6, 0.9)
    lengths = [max(int(typical * source.lognormvariate(0, 0.5)), 5) for _ in range(rollouts)]
    texts = [passage(source, min(length, 1500)) for length in lengths]
    prompt = passage(source, source.randint(5, 150))
    return {"prompt": prompt, "rollouts": texts, "quality": [1.0] * rollouts}


def by_means(bodies: Sequence[Body]) -> Work:
    """The work as the calculator takes it: every text has the mean length."""
    encoded = _tokens(bodies)
    rollouts = mean(tokens for _, texts in encoded for tokens in texts)
    prompts = mean(prompt for prompt, _ in encoded)
    return work_of(Groups(len(bodies), ROLLOUTS, rollouts, prompts))


def added_up(bodies: Sequence[Body]) -> Work:
    tokenizer, work = tokenizer_of_encoder(), Work()
    for body in bodies:
        work += work_of_texts(body["prompt"], body["rollouts"], tokenizer)
    return work


def texts_and_tokens(bodies: Sequence[Body]) -> tuple[int, int]:
    encoded = _tokens(bodies)
    texts = sum(len(texts) + 1 for _, texts in encoded)
    return texts, sum(prompt + sum(texts) for prompt, texts in encoded)


def _tokens(bodies: Sequence[Body]) -> list[tuple[int, list[int]]]:
    """Tokens of each group's prompt, and of its rollouts."""
    tokenizer = tokenizer_of_encoder()

    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    return [(count(body["prompt"]), [count(text) for text in body["rollouts"]]) for body in bodies]


async def sent(url: str, bodies: Sequence[Body]) -> None:
    """Sends each group in a request of its own, from some clients at once."""
    waiting = list(bodies)

    async def client() -> None:
        connection = Connection(url)
        while waiting:
            status, answer = await connection.post("/v1/rewards", {"groups": [waiting.pop()]})
            assert status == 200, answer
        await connection.drop()

    await asyncio.gather(*(client() for _ in range(CLIENTS)))


if __name__ == "__main__":
    main()
