"""The cost model's coefficients on this machine, fitted to the CPU seconds of small groups.

CPU seconds are those of this process, in all its threads. On a machine that others use they hold
better than wall-clock seconds, and are still some per cent higher than on one that is quiet.
"""

import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pydoc_data import topics

import numpy as np
from tokenizers import Tokenizer

from darling_models import registry
from darling_models.embedded.encoder import wheel_weights
from darling_models.options import DEFAULT_OPTIONS, ModelOptions
from darling_models.pairs import PairResult, Pairwise
from darling_service.in_process import Scorer
from darling_service.sizing.cost import EncoderCost, PairCost
from darling_service.sizing.fit import fitted_encoder, fitted_pairs
from darling_service.sizing.work import Work, encoder_tokens

PROMPT = "Explain."
GROUPS = ((2, 12), (2, 300), (4, 1200), (8, 60), (16, 12), (24, 120), (48, 20), (64, 6))
"""Rollouts of a group and words of each, so different that they tell the coefficients apart."""
PAIRS = ((12, 12), (8, 60), (4, 250))
"""Pairs of a run, and words of each of their texts."""
ROUNDS = 3
BUDGET_S = 25.0
"""CPU seconds after which no round is begun, so that the whole takes less than a minute."""
WORD = re.compile(r"[(\"]?[A-Za-z]+(?:['-][A-Za-z]+)*[)\"]?[.,;:?!]?")

Run = Callable[[random.Random], tuple[Work, float]]
"""Does some work, and returns it with its CPU seconds."""
Runs = list[tuple[Work, float]]


def measured_encoder(rounds: int = ROUNDS) -> EncoderCost:
    """Loads the default classifier by the environment's settings, and fits its costs.

    Raises `ModelError` if it cannot be loaded, and `ValueError` for a wrong setting.
    """
    return fitted_encoder([run for runs in encoder_rounds(rounds) for run in runs])


def encoder_rounds(rounds: int, budget_s: float = BUDGET_S) -> Iterator[Runs]:
    """Yields the runs that the default classifier's costs are fitted to, a round at a time, until
    this process has taken `budget_s` more CPU seconds."""
    tokenizer = tokenizer_of_encoder()
    with Scorer("embedded", cache_bytes=0, history_url=None) as own:

        def score(rollouts: int, words: int) -> Run:
            def run(source: random.Random) -> tuple[Work, float]:
                texts = [passage(source, words) for _ in range(rollouts)]
                group = {"prompt": PROMPT, "rollouts": texts, "quality": [1.0] * rollouts}
                started = time.process_time()
                own.rewards([group])
                taken = time.process_time() - started
                return work_of_texts(PROMPT, texts, tokenizer), taken

            return run

        yield from _rounds([score(n, words) for n, words in GROUPS], rounds, budget_s)


def tokenizer_of_encoder() -> Tokenizer:
    """The default classifier's tokenizer, which cuts nothing off."""
    tokenizer = Tokenizer.from_file(str(wheel_weights() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def work_of_texts(prompt: str, texts: Sequence[str], tokenizer: Tokenizer) -> Work:
    """The work of one group of texts that all differ, with the tokens that each really has."""
    if len(texts) == 1:
        return Work(groups=1)
    encodings = tokenizer.encode_batch([prompt, *texts], add_special_tokens=False)
    tokens = sum(encoder_tokens(len(encoding.ids)) for encoding in encodings)
    pairs = len(texts) * (len(texts) - 1) // 2
    return Work(groups=1, texts=len(texts) + 1, tokens=tokens, pairs=pairs)


def measured_pairs(name: str, options: ModelOptions = DEFAULT_OPTIONS) -> PairCost:
    """Loads the cross-encoder `name`, such as `cross-encoder:PATH`, and fits its costs.

    Raises `ModelError` for one that cannot be loaded, and `ValueError` for one that reads no pairs.
    """
    model = registry.load(name, registry.only_read(name, options))
    if not isinstance(model, Pairwise):
        raise ValueError(f"{name} reads no pairs, so its cost is not of this form")

    def read(pairs: int, words: int) -> Run:
        def run(source: random.Random) -> tuple[Work, float]:
            texts = [passage(source, words) for _ in range(2 * pairs)]
            every = np.arange(2 * pairs).reshape(pairs, 2)
            started = time.process_time()
            results = model.run(model.plan(PROMPT, texts, every).units)
            taken = time.process_time() - started
            tokens = sum(one.tokens for one in results if isinstance(one, PairResult))
            return Work(read_pairs=pairs, pair_tokens=tokens), taken

        return run

    works = [read(pairs, words) for pairs, words in PAIRS]
    runs = [run for runs in _rounds(works, ROUNDS, BUDGET_S) for run in runs]
    return fitted_pairs(runs, round(max(work.pair_tokens / work.read_pairs for work, _ in runs)))


def passage(source: random.Random, words: int) -> str:
    """Prose of so many words, give or take a third, from a random place of Python's reference."""
    length = max(round(words * source.uniform(0.67, 1.33)), 1)
    start = source.randrange(len(_prose()) - length)
    return " ".join(_prose()[start : start + length])


@cache
def _prose() -> Sequence[str]:
    return [word for word in " ".join(topics.topics.values()).split() if WORD.fullmatch(word)]


def _rounds(works: Sequence[Run], rounds: int, budget_s: float) -> Iterator[Runs]:
    """Does all the works in up to `rounds` rounds, after one that warms up and does not count."""
    source, stop = random.Random(0), time.process_time() + budget_s
    for turn in range(rounds + 1):
        runs = [work(source) for work in works]
        if turn:
            yield runs
            if time.process_time() > stop:
                return
