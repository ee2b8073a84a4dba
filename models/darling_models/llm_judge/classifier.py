"""An LLM as the judge, behind any OpenAI-compatible `POST /chat/completions`.

`logprobs` and `json` ask about one pair at a time; `group` asks once for the partition of a whole
group, O(1) calls instead of O(n^2), at the price that a pair's answer then depends on its group.
An answer that makes no sense is asked for again and ends in `ModelUnavailable`, never in a number.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np

from darling_models.errors import ModelError
from darling_models.keys import content_key
from darling_models.llm_judge.prompts import messages
from darling_models.llm_judge.verdicts import first_token_probability, json_classes, json_same
from darling_models.options import ModelOptions
from darling_models.pairs import PairResult, Pairwise
from darling_models.protocol import (
    EquivalenceClassifier,
    FloatArray,
    IntArray,
    ModelInfo,
    Plan,
    Unit,
    estimate_tokens,
)
from darling_models.remote.hosts import Hosts

REQUESTS_PER_HOST = 16
"""Requests in flight to one host: enough to fill the batches of a model server."""
TOP_LOGPROBS = 20
"""Log-probabilities asked for: the most that OpenAI gives, and vLLM by default."""
ANSWER_TOKENS = 1024
"""Tokens a judge may write: room for a JSON answer, with some talk around it."""


def load(name: str, target: str, options: ModelOptions) -> EquivalenceClassifier:
    """`judge:MODEL@BASE_URL`. Raises `ModelError`; the server need not be up yet."""
    judge = Judge(target, options)
    return GroupJudge(judge) if judge.verdict == "group" else PairJudge(judge)


class Reader(Protocol):
    def __call__(self, choice: Any, unit: Unit, tokens: int) -> Any: ...


class Judge:
    """A chat model and how it is asked; `target` is MODEL@BASE_URL."""

    def __init__(self, target: str, options: ModelOptions) -> None:
        model, _, urls = target.partition("@")
        if not model or not urls or "://" in model:
            raise ModelError(f"{target!r} is no judge; write judge:MODEL@http://host:8000/v1")
        key = options.judge_api_key
        headers = {"authorization": f"Bearer {key}"} if key else None
        self._hosts = Hosts(urls.split(","), REQUESTS_PER_HOST, headers)
        self._threads = ThreadPoolExecutor(
            REQUESTS_PER_HOST * len(self._hosts), thread_name_prefix="judge"
        )
        self._model = model
        self.domain = options.judge_domain
        self.verdict = options.judge_verdict
        question = str((model, messages(self.domain, self.verdict, "", ["", ""])))
        self.info = options.apply(
            ModelInfo(
                id=f"judge:{target}",
                revision=blake2b(question.encode(), digest_size=8).hexdigest(),
                threshold=0.5,
                linkage="average",
                description=f"{model} asked about {self.domain} responses, by {self.verdict}",
            )
        )

    def ask(self, units: Sequence[Unit], read: Reader) -> list[Any]:
        """What `read` makes of the first choice for each unit (prompt last in its inputs)."""
        return list(self._threads.map(lambda unit: self._ask(unit, read), units))

    def _ask(self, unit: Unit, read: Reader) -> Any:
        *texts, prompt = unit.inputs
        body: dict[str, Any] = {
            "model": self._model,
            "messages": messages(self.domain, self.verdict, prompt, texts),
            "temperature": 0,
        }
        if self.verdict == "logprobs":
            body |= {"max_tokens": 1, "logprobs": True, "top_logprobs": TOP_LOGPROBS}
        else:
            body |= {"max_tokens": ANSWER_TOKENS, "response_format": {"type": "json_object"}}

        def understand(answer: Any) -> Any:
            spent = (answer.get("usage") or {}).get("total_tokens")
            tokens = spent if isinstance(spent, int) else unit.tokens
            return read(answer["choices"][0], unit, tokens)

        return self._hosts.post("/chat/completions", body, understand)


class PairJudge(Pairwise):
    """One question per pair."""

    reads_prompt = True

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.info = judge.info

    def run(self, units: Sequence[Unit]) -> list[PairResult]:
        """Raises `ModelUnavailable` if the judge does not answer, or makes no sense."""
        parse = first_token_probability if self._judge.verdict == "logprobs" else json_same

        def read(choice: Any, unit: Unit, tokens: int) -> PairResult:
            return PairResult(parse(choice), tokens, truncated=False)

        return self._judge.ask(units, read)


@dataclass(frozen=True, slots=True)
class Classes:
    labels: list[int]
    """Class of each text of the unit."""
    tokens: int
    truncated: bool = False

    @property
    def nbytes(self) -> int:
        return 64 + 8 * len(self.labels)


class GroupJudge:
    """One question per group: its distinct texts, in sorted order, are one unit."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.info = judge.info

    def plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Plan:
        if len(pairs) == 0:
            return Plan([], np.empty((0, 1), dtype=np.int64))
        return Plan([_group_unit(prompt, texts, pairs)], np.zeros((len(pairs), 1), dtype=np.int64))

    def run(self, units: Sequence[Unit]) -> list[Classes]:
        """Raises `ModelUnavailable` if the judge does not answer, or gives no partition."""

        def read(choice: Any, unit: Unit, tokens: int) -> Classes:
            return Classes(json_classes(choice, len(unit.inputs) - 1), tokens)

        return self._judge.ask(units, read)

    def probabilities(
        self, prompt: str, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> FloatArray:
        if len(pairs) == 0:
            return np.empty(0, dtype=np.float64)
        unit = _group_unit(prompt, texts, pairs)
        label = dict(zip(unit.inputs, results[unit.key].labels, strict=False))
        same = [label[texts[i]] == label[texts[j]] for i, j in pairs.tolist()]
        return np.asarray(same, dtype=np.float64)


def _group_unit(prompt: str, texts: Sequence[str], pairs: IntArray) -> Unit:
    members = sorted({texts[i] for i in np.unique(pairs)})
    inputs = (*members, prompt)
    return Unit(content_key(*inputs), inputs, sum(map(estimate_tokens, inputs)))
