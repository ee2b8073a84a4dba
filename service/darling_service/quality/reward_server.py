"""The source `http`: another reward server, asked in OpenRLHF's wire format."""

import asyncio
import logging
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from darling_models.errors import InputRejected, ModelUnavailable, ServerRefused
from darling_models.remote.hosts import Hosts, json_number
from darling_models.remote.servers_loop import begin
from darling_models.texts.chat_templates import Turn
from darling_service.errors import Problem
from darling_service.quality.sample import Sample
from darling_service.upstream import PASSING, PROBE_S, problem_of

log = logging.getLogger(__name__)

REQUESTS_PER_HOST = 64
"""Requests in flight to one reward server, each of one rollout."""
PROBE = Sample([{"role": "user", "content": "Name a colour."}], [Turn("assistant", "Blue.")], None)
"""The question that tells whether a server that has failed answers again."""


class RewardServer:
    """A reward server that this service stands in front of, on one or more hosts."""

    def __init__(self, urls: Sequence[str], timeout_s: float) -> None:
        """Raises `ModelError` unless every URL is an HTTP URL without credentials."""
        self._hosts = Hosts(urls, REQUESTS_PER_HOST, timeout_s=timeout_s)
        self._healthy = True

    async def quality(self, sample: Sample) -> float:
        # With the caller, its question is given up.
        asking = begin(self._hosts.ask("", _body(sample), _reward))
        try:
            score = await asyncio.wrap_future(asking)
        except (ModelUnavailable, ServerRefused, InputRejected) as fault:
            self._healthy = isinstance(fault, PASSING)
            log.warning("the reward server gave no reward: %s", fault.in_log)
            raise problem_of(fault, "reward") from None
        self._healthy = True
        return score

    async def ready(self) -> bool:
        """Whether the server answers. After it has failed, it is asked about a rollout of ours."""
        if not self._healthy:
            with suppress(Problem, TimeoutError):
                async with asyncio.timeout(PROBE_S):
                    await self.quality(PROBE)
        return self._healthy


def _body(sample: Sample) -> dict[str, Any]:
    """The sample as OpenRLHF would send it."""
    prompt = "\n\n".join(message["content"] for message in sample.messages)
    prompt, query = sample.written or (prompt, prompt + sample.text())
    return {"query": [query], "prompts": [prompt], "labels": [sample.label]}


def _reward(answer: Any) -> float:
    """The one reward in an answer, whether or not it stands in a list."""
    reward = answer["rewards"]
    while isinstance(reward, list):
        (reward,) = reward
    score = json_number(reward)
    if not math.isfinite(score):
        raise ValueError(f"not a finite reward: {score}")
    return score
