"""An LLM as the judge, behind any OpenAI-compatible `POST /chat/completions`.

`logprobs` and `json` ask about one pair at a time; `group` asks once for the partition of a whole
group, O(1) calls instead of O(n^2), at the price that a pair's answer then depends on its group.
An answer that makes no sense is asked for again and ends in `ModelUnavailable`, never in a number.
Each question fails by itself: what a rate limit let through is not asked for again. The notion and
the instructions of a request are parts of the question, and so of each unit and of its key.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Protocol, cast

import numpy as np

from darling_models.errors import InputRejected, ModelError, ModelUnavailable, ServerRefused
from darling_models.instructions import NO_INSTRUCTIONS, Instructions
from darling_models.keys import content_key
from darling_models.llm_judge.prompts import NOTIONS, definition, messages
from darling_models.llm_judge.verdicts import first_token_probability, json_classes, json_same
from darling_models.options import ModelOptions
from darling_models.pairs import PairResult, Pairwise
from darling_models.protocol import (
    EquivalenceClassifier,
    Failed,
    FloatArray,
    IntArray,
    ModelInfo,
    Notion,
    Plan,
    Unit,
    estimate_tokens,
)
from darling_models.remote.hosts import Hosts
from darling_models.remote.servers_loop import begin

REQUESTS_PER_HOST = 16
"""Requests in flight to one host: enough to fill the batches of a model server."""
TOP_LOGPROBS = 20
"""Log-probabilities asked for: the most that OpenAI gives, and vLLM by default."""
ANSWER_TOKENS = 1024
"""Tokens a judge may write: room for a JSON answer, with some talk around it. A judge that reasons
first needs more; `judge_parameters` gives it."""
MAX_COUNT = 2**31 - 1
"""Largest number of tokens that a server is believed."""


def load(name: str, target: str, options: ModelOptions) -> EquivalenceClassifier:
    """`judge:MODEL@BASE_URL`. Raises `ModelError`; the server need not be up yet."""
    judge = Judge(target, options)
    kind = GroupJudge if judge.verdict == "group" else PairJudge
    return kind(judge, judge.info)


class Reader(Protocol):
    def __call__(self, choice: Any, unit: Unit, tokens: int) -> Any: ...


class Judge:
    """A chat model and how it is asked; `target` is MODEL@BASE_URL."""

    def __init__(self, target: str, options: ModelOptions) -> None:
        model, _, urls = target.partition("@")
        if not model or not urls or "://" in model:
            raise ModelError(f"{target!r} is no judge; write judge:MODEL@http://host:8000/v1")
        self._hosts = Hosts(
            urls.split(","),
            REQUESTS_PER_HOST,
            _headers(options.judge_api_key),
            options.model_timeout_s,
        )
        self._model = model
        self._options = options
        self.verdict = options.judge_verdict
        self._parameters = self._own_parameters() | _parameters(options.judge_parameters)
        questions = str([self._body(["", ""], notion, "", "", "") for notion in NOTIONS])
        self._revision = blake2b(questions.encode(), digest_size=8).hexdigest()
        self._id = f"judge:{target}"
        self.info = self._info(options)

    def info_by(self, notion: Notion) -> ModelInfo:
        """What the judge says of itself when it compares by `notion`."""
        return self.info if notion == self.info.notion else self._info(self._options.by(notion))

    def _info(self, options: ModelOptions) -> ModelInfo:
        """Raises `ModelError` for a named threshold, of which a judge has none."""
        subject = {
            "answer": f"the answers of {options.judge_domain} responses",
            "approach": "the methods of solutions",
        }
        notion = options.notion or "answer"
        return options.apply(
            ModelInfo(
                id=self._id,
                revision=self._revision,
                threshold=0.5,
                linkage="average",
                description=f"{self._model} asked about {subject[notion]}, by {self.verdict}",
                notion=notion,
                notions=NOTIONS,
                instructable=True,
            )
        )

    def ask(self, units: Sequence[Unit], read: Reader) -> "Future[list[Any]]":
        """What `read` makes of the first choice for each unit, to come (in a unit's inputs, what
        `_context` gives follows the texts).

        A unit whose question fails has `Failed` instead. Cancelling it gives the server up.
        """
        return begin(self._answers(units, read))

    async def _answers(self, units: Sequence[Unit], read: Reader) -> list[Any]:
        return await asyncio.gather(*(self._ask(unit, read) for unit in units))

    async def _ask(self, unit: Unit, read: Reader) -> Any:
        *texts, notion, prompt, criterion, reference = unit.inputs

        def understand(answer: Any) -> Any:
            spent = (answer.get("usage") or {}).get("total_tokens")
            if not (isinstance(spent, int) and 0 <= spent <= MAX_COUNT):
                spent = unit.tokens
            return read(answer["choices"][0], unit, spent)

        body = self._body(texts, cast(Notion, notion), prompt, criterion, reference)
        try:
            return await self._hosts.ask("/chat/completions", body, understand)
        except (ModelUnavailable, ServerRefused, InputRejected) as fault:
            return Failed(fault)

    def _body(
        self, texts: Sequence[str], notion: Notion, prompt: str, criterion: str, reference: str
    ) -> dict[str, Any]:
        criterion = criterion or self._options.criterion_by(notion) or ""
        same = criterion or definition(notion, self._options.judge_domain)
        body = {
            "model": self._model,
            "messages": messages(same, self.verdict, prompt, texts, reference),
            **self._parameters,
        }
        return {name: value for name, value in body.items() if value is not None}

    def _own_parameters(self) -> dict[str, Any]:
        asked: dict[str, Any]
        if self.verdict == "logprobs":
            asked = {"max_tokens": 1, "logprobs": True, "top_logprobs": TOP_LOGPROBS}
        else:
            asked = {"max_tokens": ANSWER_TOKENS, "response_format": {"type": "json_object"}}
        return {"temperature": 0, **asked}


def _headers(key: str | None) -> dict[str, str]:
    """The header that shows the key, without the line break that a file of secrets ends with.

    Raises `ModelError` for a key that no header can hold.
    """
    if key is None or not key.strip():
        return {}
    if not (key.strip().isascii() and key.strip().isprintable()):
        raise ModelError("judge_api_key holds characters that an HTTP header cannot; copy it anew")
    return {"authorization": f"Bearer {key.strip()}"}


def _parameters(written: str | None) -> dict[str, Any]:
    """The setting `judge_parameters`. Raises `ModelError` unless it is a JSON object."""
    try:
        parameters = json.loads(written or "{}")
    except (ValueError, RecursionError) as error:
        raise ModelError(f"judge_parameters is not valid JSON ({error})") from None
    if not isinstance(parameters, dict):
        raise ModelError(
            'judge_parameters is no JSON object; write it as {"max_completion_tokens": 4096, '
            '"max_tokens": null}'
        )
    if fixed := {"model", "messages"} & parameters.keys():
        raise ModelError(f"judge_parameters may not hold {sorted(fixed)[0]}; the service writes it")
    return parameters


class PairJudge(Pairwise):
    """One question per pair."""

    def __init__(
        self, judge: Judge, info: ModelInfo, instructions: Instructions = NO_INSTRUCTIONS
    ) -> None:
        self._judge = judge
        self.info = info
        self._instructions = instructions

    def by(self, notion: Notion) -> "PairJudge":
        return PairJudge(self._judge, self._judge.info_by(notion), self._instructions)

    def instructed(self, instructions: Instructions) -> "PairJudge":
        return PairJudge(self._judge, self.info, instructions)

    def context(self, prompt: str) -> tuple[str, ...]:
        return _context(self.info, prompt, self._instructions)

    def run(self, units: Sequence[Unit]) -> list[PairResult | Failed]:
        """A result for each pair, or why the judge has given none."""
        return self.begin(units).result()

    def begin(self, units: Sequence[Unit]) -> "Future[list[PairResult | Failed]]":
        """What `run` returns, to come; cancelling it gives the judge up."""
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

    @property
    def fault(self) -> None:
        return None  # labels were read as a partition


class GroupJudge:
    """One question per group: its distinct texts, in sorted order, are one unit."""

    def __init__(
        self, judge: Judge, info: ModelInfo, instructions: Instructions = NO_INSTRUCTIONS
    ) -> None:
        self._judge = judge
        self.info = info
        self._instructions = instructions

    def by(self, notion: Notion) -> "GroupJudge":
        return GroupJudge(self._judge, self._judge.info_by(notion), self._instructions)

    def instructed(self, instructions: Instructions) -> "GroupJudge":
        return GroupJudge(self._judge, self.info, instructions)

    def plan(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Plan:
        if len(pairs) == 0:
            return Plan([], np.empty((0, 1), dtype=np.int64))
        unit = self._unit(prompt, texts, pairs)
        return Plan([unit], np.zeros((len(pairs), 1), dtype=np.int64))

    def run(self, units: Sequence[Unit]) -> list[Classes | Failed]:
        """The classes of each group, or why the judge has given none."""
        return self.begin(units).result()

    def begin(self, units: Sequence[Unit]) -> "Future[list[Classes | Failed]]":
        """What `run` returns, to come; cancelling it gives the judge up."""

        def read(choice: Any, unit: Unit, tokens: int) -> Classes:
            return Classes(json_classes(choice, len(unit.inputs) - CONTEXT), tokens)

        return self._judge.ask(units, read)

    def probabilities(
        self, prompt: str, texts: Sequence[str], pairs: IntArray, results: Mapping[bytes, Any]
    ) -> FloatArray:
        if len(pairs) == 0:
            return np.empty(0, dtype=np.float64)
        unit = self._unit(prompt, texts, pairs)
        label = dict(zip(unit.inputs, results[unit.key].labels, strict=False))
        same = [label[texts[i]] == label[texts[j]] for i, j in pairs.tolist()]
        return np.asarray(same, dtype=np.float64)

    def _unit(self, prompt: str, texts: Sequence[str], pairs: IntArray) -> Unit:
        members = sorted({texts[i] for i in np.unique(pairs)})
        inputs = (*members, *_context(self.info, prompt, self._instructions))
        return Unit(content_key(*inputs), inputs, sum(map(estimate_tokens, inputs)))


CONTEXT = 4
"""Number of texts that `_context` gives."""


def _context(info: ModelInfo, prompt: str, instructions: Instructions) -> tuple[str, str, str, str]:
    """What a question holds beside the texts: the notion, the prompt, the criterion and the
    reference, "" where there is none."""
    assert info.notion is not None, "a judge compares by a notion"
    return info.notion, prompt, instructions.criterion or "", instructions.reference or ""
