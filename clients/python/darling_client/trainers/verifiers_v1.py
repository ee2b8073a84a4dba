"""verifiers from 0.4 on, and prime-rl: an environment whose episode is a group.

darling_env.py, a module on Python's path:

    from darling_client.trainers.verifiers_v1 import DarlingEnv

    __all__ = ["DarlingEnv"]

Pair it with any taskset: `vf-eval TASKSET --env.id darling-env --env.n 8`.
"""

from __future__ import annotations

import logging
from itertools import dropwhile
from typing import Any

from verifiers.v1.envs.best_of_n import BestOfNEnv

from darling_client import AsyncClient
from darling_client._outages import log
from darling_client._types import Messages, Response
from darling_client.tracking import named
from darling_client.trainers._batch import Row, scores_of_group
from darling_client.trainers._quality import judgements_of, with_logprob
from darling_client.trainers._request import AdapterParams, Request, check_parts


class DarlingEnv(BestOfNEnv):  # type: ignore[misc]
    """verifiers' own best-of-n, which attempts a task n times, with rewards of quality shaped by
    diversity.

    The sum of the task's rewards is the quality. verifiers adds up the rewards of a trace, so the
    reward `darling` is what is missing to the shaped one. An attempt that failed takes no part and
    keeps its rewards; trainers leave it out.
    """

    darling_client: AsyncClient | None = None
    """The client to use; by default one for the environment's `DARLING_URL`."""
    darling_params: AdapterParams | None = None
    """See `AdapterParams`; checked when the environment is made."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        check_parts(print, self.darling_client, AsyncClient, "darling_client")
        self._request = Request(self.darling_params or {})
        self._client = self.darling_client or AsyncClient()

    def darling_quality(self, task: Any, trace: Any) -> Any:
        """What is known of an attempt: a number, a mapping with some of the fields of `Judgement`,
        or an awaitable of either. Override it to say more than the task's rewards."""
        return trace.reward

    async def start(self) -> None:
        await super().start()
        if not log.hasHandlers():  # verifiers' commands show the records of its own logger alone
            log.parent = logging.getLogger("verifiers.v1")

    async def finalize(self, task: Any, episode: Any) -> None:
        """Records the reward `darling`, and what it was made from as metrics, in every trace.

        Raises `DarlingError` when there is no answer within the client's `patience_s`, and
        `ValueError` when an attempt has no finite quality: the episode then fails.
        """
        await super().finalize(task, episode)
        traces = [trace for trace in episode.traces if trace.ok and trace.num_turns]
        judged = await judgements_of([(task, trace) for trace in traces], self.darling_quality)
        rows = []
        for trace, known in zip(traces, judged, strict=True):
            prompt, response = _conversation(trace)
            rows.append(Row(prompt, response, with_logprob(known, _logprobs(trace))))
        scores = await scores_of_group(rows, self._client, self._request)
        if None in scores:
            raise ValueError("quality is None, NaN or infinity; return a finite number")
        for trace, score in zip(traces, scores, strict=True):
            assert score is not None
            trace.record_reward("darling", score.reward - trace.reward)
            trace.record_metrics(named(score.parts()))


def _conversation(trace: Any) -> tuple[Messages, Response]:
    """The messages before the policy's first, and what it and its tools said from there on."""
    start = next(place for place, node in enumerate(trace.nodes) if node.sampled)
    prompt = [node.message for node in trace.nodes[:start]]
    if trace.root_reply is not None and trace.num_branches > 1:
        return prompt, trace.root_reply  # the other branches may be those of subagents
    own = dropwhile(lambda node: not node.sampled, trace.branches[-1].nodes)
    return prompt, [node.message for node in own]


def _logprobs(trace: Any) -> list[float]:
    """Those of what the policy sampled in all turns, which verifiers has when it trains."""
    return [value for node in trace.nodes if node.sampled for value in node.logprobs]
