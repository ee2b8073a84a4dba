"""The path of every request: HTTP routes, the cohort endpoint and the command line take it.

limits -> pairs that need no model -> cache -> batching queue -> partition
       -> diversity -> shaping -> advantages -> response
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from darling_models.protocol import IntArray, ModelInfo
from darling_models.texts.rule import TextRule
from darling_service.audit import Audit
from darling_service.caller import CALLER
from darling_service.engine.alone import PAUSE_S
from darling_service.engine.engine import Engine
from darling_service.engine.models import Engines
from darling_service.engine.pool import Pool
from darling_service.errors import Unavailable
from darling_service.history.history import History
from darling_service.history.observer import Gathered, Observer
from darling_service.off_loop import in_thread_if_long
from darling_service.rewards.diversity import partition_diversity
from darling_service.rewards.exact import BoolArray
from darling_service.schemas.requests import (
    EquivalenceRequest,
    PartitionRequest,
    PreferenceRequest,
    RewardRequest,
)
from darling_service.schemas.responses import (
    EquivalenceResponse,
    ModelUsed,
    PairEquivalence,
    PartitionedGroup,
    PartitionResponse,
    PreferenceResponse,
    RewardResponse,
    Usage,
)
from darling_service.schemas.reward_options import RewardOptions
from darling_service.scoring import inputs, limits
from darling_service.scoring.partitioning import (
    ClassifiedGroup,
    PartitionRule,
    classify_groups,
    classify_pairs,
)
from darling_service.scoring.reading import GroupInputs, read_group
from darling_service.scoring.rewards import prefer, reward_group
from darling_service.scoring.rules import (
    check_pair_instructions,
    criterion_of,
    info_by,
    rule_of,
    threshold_of,
)
from darling_service.scoring.texts import texts_of_groups, texts_of_pairs, words_of, words_of_pairs
from darling_service.scoring.visits import Recalled, Visit, VisitCounts, Visits
from darling_service.settings import Settings
from darling_service.telemetry import Telemetry
from darling_service.tracing import span

GroupAnswer = TypeVar("GroupAnswer", bound=PartitionedGroup)

Grouped = RewardRequest | PartitionRequest | PreferenceRequest
"""The requests that hold groups of rollouts."""
AnyRequest = TypeVar("AnyRequest", bound=Grouped | EquivalenceRequest)
AnyResponse = TypeVar("AnyResponse")
RETRY_AFTER_TIMEOUT_S = 30.0


class Pipeline:
    """Answers requests with the models of this process."""

    def __init__(
        self,
        settings: Settings,
        telemetry: Telemetry | None = None,
        history: History | None = None,
        pool: Pool | None = None,
        visits: VisitCounts | None = None,
    ) -> None:
        """`pool`: the copies of the default model. `visits`: who counts them; for both, None
        leaves it to the settings."""
        self.settings = settings
        self.telemetry = telemetry or Telemetry()
        self._observer = Observer(self.telemetry, history)
        self._engines = Engines(settings, self.telemetry, pool)
        self._visits = visits
        self._audit = Audit(settings.audit_share, self.telemetry)
        self._by_itself: Pipeline | None = None
        self._being_answered = 0

    def open(self) -> None:
        """Opens the visits file, which is quickly done, unless others count. Raises
        `ModelError`."""
        self._visits = self._visits or Visits(self.settings.visits_file, self.settings.max_visits)

    async def start(self) -> None:
        """Loads the models, and opens the visits file if it is not. Raises `ModelError`."""
        if self._visits is None:
            self.open()
        await self._engines.start()

    async def ready(self) -> bool:
        """Whether the default model answers."""
        return await self._engines.ready()

    def models(self) -> list[ModelInfo]:
        """The models a request may name, the default first."""
        return self._engines.infos()

    async def stop(self) -> None:
        """Ends the models; requests that still wait for one fail with `Unavailable`."""
        self._audit.stop()
        if self._by_itself is not None:
            await self._by_itself._engines.stop()
        await self._engines.stop()
        if isinstance(self._visits, Visits):
            self._visits.close()
        self._visits = None

    async def check(self, request: RewardRequest) -> None:
        """Raises what `rewards` would raise before any model runs; the groups may be incomplete."""
        request = request.resolved()
        await self._read_rewarded(request, complete=False)
        rule_of(self._engines.get(request.model), request, request.reward)

    async def rewards(
        self,
        request: RewardRequest,
        due: float = math.inf,
        gathered: Gathered | None = None,
    ) -> RewardResponse:
        """`due`, here and below: event-loop time at which the caller gives up. `gathered`: what is
        known of the request's one group, where it is a cohort.

        Raises `Invalid`, `Overloaded`, `Unavailable`.
        """
        request = request.resolved()
        options = request.reward
        async with self._answering(request.model, due) as answering:
            groups = await self._read_rewarded(request)
            rule = rule_of(answering.engine, request, options)
            parts = [group.parts for group in groups]
            classified, usage = await self._classify(answering, request, rule, parts)
            visits = await self._visited(request, groups, classified)
            rewarded = await self._each_group(
                request,
                lambda group, texts, seen: reward_group(
                    group, texts, options, request.return_probabilities, seen
                ),
                *(groups, classified, visits),
                model=(model := answering.model(rule, self._text(request))),
                gathered=gathered,
            )
        response = RewardResponse(rewarded, model, answering.account(usage))
        self._audit.consider(response, lambda: self._again(Pipeline.rewards, request, visits))
        return response

    async def partitions(
        self, request: PartitionRequest, due: float = math.inf
    ) -> PartitionResponse:
        """Raises `Invalid`, `Overloaded`, `Unavailable`."""
        async with self._answering(request.model, due) as answering:
            await in_thread_if_long(lambda: self._check_limits(request), words_of(request.groups))
            rule = rule_of(answering.engine, request)
            classified, usage = await self._classify(answering, request, rule)
            partitioned = await self._each_group(
                request,
                lambda group, texts: PartitionedGroup(
                    **texts.as_fields(request.return_probabilities),
                    id=group.id,
                    diversity=partition_diversity(texts.partition).tolist(),
                ),
                *(request.groups, classified),
                model=(model := answering.model(rule, self._text(request))),
            )
        response = PartitionResponse(partitioned, model, answering.account(usage))
        self._audit.consider(response, lambda: self._again(Pipeline.partitions, request))
        return response

    async def preferences(
        self, request: PreferenceRequest, due: float = math.inf
    ) -> PreferenceResponse:
        """Raises `Invalid`, `Overloaded`, `Unavailable`."""
        options = RewardOptions(diversity=request.diversity)
        async with self._answering(request.model, due) as answering:
            groups = await self._read(request, options)
            rule = rule_of(answering.engine, request, options)
            classified, usage = await self._classify(answering, request, rule)
            preferred = await self._each_group(
                request,
                lambda group, texts: prefer(
                    group, texts, options, request.share, request.return_probabilities
                ),
                *(groups, classified),
                model=(model := answering.model(rule, self._text(request))),
            )
        response = PreferenceResponse(preferred, model, answering.account(usage))
        self._audit.consider(response, lambda: self._again(Pipeline.preferences, request))
        return response

    async def equivalence(
        self, request: EquivalenceRequest, due: float = math.inf
    ) -> EquivalenceResponse:
        """Raises `Invalid`, `Overloaded`, `Unavailable`."""
        async with self._answering(request.model, due) as answering:
            await in_thread_if_long(
                lambda: limits.check_pairs(request, self.settings), words_of_pairs(request)
            )
            pairs = await texts_of_pairs(request)
            info = info_by(answering.engine, request.notion, ("notion",))
            check_pair_instructions(answering.engine, request)
            threshold = threshold_of(info, request.threshold, ("threshold",))
            probabilities, usage = await classify_pairs(
                answering.engine, pairs, info.notion, request.criterion, answering.due
            )

            def decided() -> list[PairEquivalence]:
                return [
                    PairEquivalence(probability, probability > threshold or a == b)
                    for probability, (_, a, b, _) in zip(probabilities.tolist(), pairs, strict=True)
                ]

            results = await in_thread_if_long(decided, words_of_pairs(request))
        used = ModelUsed(
            info.id,
            info.revision,
            threshold,
            linkage=None,
            text=request.text,
            notion=None if request.criterion is not None else info.notion,
        )
        response = EquivalenceResponse(results, used, answering.account(usage))
        self._audit.consider(response, lambda: self._again(Pipeline.equivalence, request))
        return response

    async def _again(
        self,
        answer: Callable[["Pipeline", AnyRequest], Awaitable[AnyResponse]],
        request: AnyRequest,
        visits: Sequence[IntArray | None] = (),
    ) -> AnyResponse:
        """The request's answer for the audit, which waits until no request is being answered.

        `visits`: the earlier visits that the first answer was made of.
        """
        while self._being_answered:  # noqa: ASYNC110 (an event would cost every request)
            await asyncio.sleep(PAUSE_S)
        if self._by_itself is None:
            settings = self.settings.unbounded().model_copy(update={"audit_share": 0.0})
            self._by_itself = Pipeline(settings)
            self._by_itself._engines = await self._engines.alone(lambda: self._being_answered > 0)
        self._by_itself._visits = Recalled(visits)
        return await answer(self._by_itself, request)

    def _text(self, request: Grouped) -> TextRule:
        """What of each rollout is compared: the request's choice, else the service's."""
        return request.partition.text or self.settings.text

    async def _each_group(
        self,
        request: Grouped,
        answer: Callable[..., GroupAnswer],
        groups: Sequence[Any],
        classified: Sequence[ClassifiedGroup],
        *more: Sequence[Any],
        model: ModelUsed,
        gathered: Gathered | None = None,
    ) -> list[GroupAnswer]:
        """What `answer` makes of each group, of its classification, and of `more` about it."""
        caller = CALLER.get()
        info = self._engines.get(request.model).classifier.info
        criterion = criterion_of(info, classified[0].rule, self.settings)

        def answers() -> list[GroupAnswer]:
            made = [answer(*row) for row in zip(groups, classified, *more, strict=True)]
            self._observer.groups(request, caller, classified, made, model, criterion, gathered)
            return made

        with span("reward"):
            return await in_thread_if_long(answers, words_of(request.groups))

    async def _classify(
        self,
        answering: "Answering",
        request: Grouped,
        rule: PartitionRule,
        parts: Sequence[Sequence[BoolArray]] | None = None,
    ) -> tuple[list[ClassifiedGroup], Usage]:
        as_published = isinstance(request, RewardRequest) and request.reward.parity is not None
        with_reference = request.partition.show_reference
        texts = await texts_of_groups(
            request.groups, self._text(request), as_published, with_reference
        )
        return await classify_groups(answering.engine, texts, rule, parts, answering.due)

    def _check_limits(self, request: Grouped) -> None:
        """Raises `Invalid` naming every place that is over a limit."""
        limits.check_groups(request.groups, self.settings, request.return_probabilities)
        if request.partition.show_reference:
            inputs.require_references(request.groups)

    async def _read_rewarded(
        self, request: RewardRequest, complete: bool = True
    ) -> list[GroupInputs]:
        if "visits" in request.reward.needs:
            inputs.require_step(request.run)
        return await self._read(request, request.reward, complete)

    async def _read(
        self,
        request: RewardRequest | PreferenceRequest,
        options: RewardOptions,
        complete: bool = True,
    ) -> list[GroupInputs]:
        """`complete`: whether the groups have all their rollouts."""
        groups = request.groups

        def read() -> list[GroupInputs]:
            self._check_limits(request)
            return inputs.each_group(groups, lambda group: read_group(group, options, complete))

        return await in_thread_if_long(read, words_of(groups))

    async def _visited(
        self,
        request: RewardRequest,
        groups: Sequence[GroupInputs],
        classified: Sequence[ClassifiedGroup],
    ) -> Sequence[IntArray | None]:
        """Earlier visits of the groups' answers, where exploration asks for them."""
        if "visits" not in request.reward.needs:
            return [None] * len(groups)
        assert self._visits is not None, "no engine answers before the start"
        run, step = inputs.require_step(request.run)
        visits = [
            Visit(
                id=group.id,
                prompt=compared.texts.prompt_name,
                texts=compared.texts.texts,
                answers=group.columns["outcomes"],
            )
            for group, compared in zip(groups, classified, strict=True)
        ]
        return await self._visits.count(run, step, visits)

    @asynccontextmanager
    async def _answering(self, model: str | None, due: float) -> AsyncIterator["Answering"]:
        """The engine for a request, which is given up when its time is over."""
        limit = self.settings.request_timeout_s
        due = min(due, asyncio.get_running_loop().time() + limit)
        engine = self._engines.get(model)
        answering = Answering(engine, self.telemetry, time.perf_counter(), due)
        self._being_answered += 1
        try:
            async with asyncio.timeout(limit):
                yield answering
        except TimeoutError:
            raise Unavailable(
                f"not answered within request_timeout_s = {limit:g}; send it again later, or in "
                "smaller parts",
                retry_after_s=RETRY_AFTER_TIMEOUT_S,
            ) from None
        finally:
            self._being_answered -= 1


@dataclass(frozen=True, slots=True)
class Answering:
    """A request that is being answered."""

    engine: Engine
    telemetry: Telemetry
    started: float
    due: float
    """Event-loop time at which the caller or the service gives up."""

    def model(self, rule: PartitionRule, text: TextRule) -> ModelUsed:
        info = self.engine.classifier.info
        notion = None if rule.criterion is not None else rule.notion
        return ModelUsed(info.id, info.revision, rule.threshold, rule.linkage, text, notion)

    def account(self, usage: Usage) -> Usage:
        """`usage` with the seconds that the request took, which telemetry gets too."""
        usage = replace(usage, seconds=time.perf_counter() - self.started)
        self.telemetry.observe_usage(usage)
        return usage
