"""A pool of remote classifiers in vLLM's wire format: `POST /classify`, probabilities per input.

    {"model": NAME, "input": [TEXT, ...]} -> {"data": [{"index": 0, "probs": [..., p]}, ...]}

Each input is written by the pair template, special tokens included, so the server is told to add
none. Requests are spread over the hosts (`hosts`); if none of them answers, the pairs have failed,
and no number is made up.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from hashlib import blake2b
from typing import Any

from darling_models.cross_encoder.presets import BERT_PAIR
from darling_models.errors import InputRejected, ModelError, ModelUnavailable, ServerRefused
from darling_models.options import DEFAULT_OPTIONS, ModelOptions
from darling_models.pairs import PairResult, Pairwise
from darling_models.protocol import Failed, ModelInfo, Unit
from darling_models.remote.hosts import Hosts, json_number
from darling_models.remote.servers_loop import begin

PAIRS_PER_REQUEST = 16
"""Pairs in one request, so that a batch is spread over hosts."""
REQUESTS_PER_HOST = 8
"""Requests in flight to one host: enough to fill the batches of a model server."""


def load(name: str, target: str, options: ModelOptions) -> "RemotePool":
    """`remote:URL,URL` or `remote:MODEL@URL,URL`. Raises `ModelError`; no host has to be up yet."""
    return RemotePool(target, options)


class RemotePool(Pairwise):
    """A pairwise classifier; `target` is `URL,URL` or `MODEL@URL,URL`."""

    def __init__(self, target: str, options: ModelOptions = DEFAULT_OPTIONS) -> None:
        """Raises `ModelError` if the target names no host. No host has to be up yet."""
        model, at, urls = target.partition("@")
        if not at or "://" in model:
            model, urls = "", target
        self._model = model
        self._template = options.pair_template or BERT_PAIR
        if "{a}" not in self._template or "{b}" not in self._template:
            raise ModelError(f"the pair template {self._template!r} needs {{a}} and {{b}}")
        self._label = -1 if options.similar_label is None else options.similar_label
        hosts = urls.split(",")
        self._hosts = Hosts(hosts, REQUESTS_PER_HOST, timeout_s=options.model_timeout_s)
        choices = f"{model} {self._template} {self._label}"
        self.info = options.apply(
            ModelInfo(
                id=f"remote:{target}",
                revision=blake2b(choices.encode(), digest_size=8).hexdigest(),
                threshold=0.5,
                linkage="average",
                description=f"/classify in vLLM's wire format, {len(hosts)} hosts",
            )
        )

    def run(self, units: Sequence[Unit]) -> list[PairResult | Failed]:
        """A result for each pair, or why no host has given one."""
        return self.begin(units).result()

    def begin(self, units: Sequence[Unit]) -> "Future[list[PairResult | Failed]]":
        """What `run` returns, to come; cancelling it gives the hosts up."""
        return begin(self._run(units))

    async def _run(self, units: Sequence[Unit]) -> list[PairResult | Failed]:
        starts = range(0, len(units), PAIRS_PER_REQUEST)
        parts = [units[start : start + PAIRS_PER_REQUEST] for start in starts]
        outcomes = await asyncio.gather(*map(self._outcomes, parts))
        return [outcome for part in outcomes for outcome in part]

    async def _outcomes(self, units: Sequence[Unit]) -> Sequence[PairResult | Failed]:
        try:
            return await self._classify(units)
        except InputRejected as fault:
            if len(units) == 1:
                return [Failed(fault)]
            return [outcome for unit in units for outcome in await self._outcomes([unit])]
        except (ModelUnavailable, ServerRefused) as fault:
            return [Failed(fault)] * len(units)

    async def _classify(self, units: Sequence[Unit]) -> list[PairResult]:
        body: dict[str, Any] = {
            "input": [self._write(unit) for unit in units],
            "add_special_tokens": False,
        }
        if self._model:
            body["model"] = self._model
        return await self._hosts.ask("/classify", body, lambda answer: self._read(answer, units))

    def _write(self, unit: Unit) -> str:
        # Not str.format, nor one replacement after the other: texts may hold braces themselves.
        before, _, rest = self._template.partition("{a}")
        between, _, after = rest.partition("{b}")
        return f"{before}{unit.inputs[0]}{between}{unit.inputs[1]}{after}"

    def _read(self, answer: Any, units: Sequence[Unit]) -> list[PairResult]:
        rows = sorted(answer["data"], key=lambda row: row["index"])
        if [row["index"] for row in rows] != list(range(len(units))):
            raise ValueError(f"{len(rows)} answers for {len(units)} inputs")
        probabilities = [json_number(row["probs"][self._label]) for row in rows]
        if not all(0.0 <= p <= 1.0 for p in probabilities):
            raise ValueError(f"probabilities outside [0, 1]: {probabilities}")
        return [
            PairResult(probability=p, tokens=unit.tokens, truncated=False)
            for p, unit in zip(probabilities, units, strict=True)
        ]
