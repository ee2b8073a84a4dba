"""The source `http`: another reward server, asked in OpenRLHF's wire format."""

import asyncio
import logging
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from darling_models.errors import InputRejected, ModelUnavailable, ServerRefused
from darling_models.remote.hosts import Hosts, json_number
from darling_service.quality.sample import Sample
from darling_service.upstream import problem_of

log = logging.getLogger(__name__)

REQUESTS_PER_HOST = 64
"""Requests in flight to one reward server, each of one rollout."""


class RewardServer:
    """A reward server that this service stands in front of, on one or more hosts."""

    def __init__(self, urls: Sequence[str]) -> None:
        """Raises `ModelError` unless every URL is an HTTP URL without credentials."""
        self._hosts = Hosts(urls, REQUESTS_PER_HOST)
        self._threads = ThreadPoolExecutor(
            REQUESTS_PER_HOST * len(self._hosts), thread_name_prefix="reward-server"
        )

    async def quality(self, sample: Sample) -> float:
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, lambda: self._hosts.post("", _body(sample), _reward)
            )
        except (ModelUnavailable, ServerRefused, InputRejected) as fault:
            log.warning("the reward server gave no reward: %s", fault.in_log)
            raise problem_of(fault, "reward") from None


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
