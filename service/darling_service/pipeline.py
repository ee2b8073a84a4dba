"""The path of every request: HTTP routes, the cohort endpoint and the command line take it.

limits -> pairs that need no model -> cache -> batching queue -> partition
       -> diversity -> shaping -> advantages -> response
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from darling_models.faults import Loc
from darling_models.notions import by_notion
from darling_models.protocol import Embedder, IntArray, ModelInfo, Notion, Threshold
from darling_models.texts.rule import TextRule
from darling_service.engine.engine import Engine
from darling_service.engine.models import Engines
from darling_service.errors import FieldError, Invalid, Unavailable
from darling_service.off_loop import in_thread_if_long
from darling_service.rewards.diversity import partition_diversity
from darling_service.rewards.exact import BoolArray, mean
from darling_service.schemas.requests import (
    EquivalenceRequest,
    Group,
    GroupsRequest,
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
from darling_service.scoring import inputs
from darling_service.scoring.partitioning import (
    ClassifiedGroup,
    PartitionRule,
    classify_groups,
    classify_pairs,
)
from darling_service.scoring.reading import GroupInputs, read_group
from darling_service.scoring.rewards import prefer, reward_group
from darling_service.scoring.texts import texts_of_groups, texts_of_pairs, words_of, words_of_pairs
from darling_service.scoring.visits import Visit, Visits
from darling_service.settings import Settings
from darling_service.telemetry import Telemetry

Grouped = RewardRequest | PartitionRequest | PreferenceRequest
"""The requests that hold groups of rollouts."""
PAIRWISE = frozenset({"equivalent", "probabilities", "cosines"})
"""Columns that need an answer for every pair, also where it cannot change the partition."""
RETRY_AFTER_STOP_S = 5.0
RETRY_AFTER_TIMEOUT_S = 30.0


class Pipeline:
    """Answers requests with the models of this process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.telemetry = Telemetry()
        self._engines = Engines(settings, self.telemetry)
        self._active: set[asyncio.Task[object] | None] = set()
        self._visits: Visits | None = None
        self._draining = False

    async def start(self) -> None:
        """Loads the models. Raises `ModelError`."""
        self._visits = Visits(self.settings.visits_file, self.settings.max_visits)
        await self._engines.start()

    async def ready(self) -> bool:
        return not self._draining and await self._engines.ready()

    def models(self) -> list[ModelInfo]:
        """The models a request may name, the default first."""
        return self._engines.infos()

    async def drain(self) -> None:
        """Refuses new requests, gives those in flight `shutdown_grace_s`, then answers them 503."""
        self._draining = True
        if waiting := [task for task in self._active if task is not None]:
            await asyncio.wait(waiting, timeout=self.settings.shutdown_grace_s)
        await self._engines.stop()
        if self._visits is not None:
            self._visits.close()

    async def check(self, request: RewardRequest) -> None:
        """Raises what `rewards` would raise before any model runs; the groups may be incomplete."""
        request = request.resolved()
        await self._read_rewarded(request, complete=False)
        self.refuse_when_draining()
        _rule(self._engines.get(request.model), request, request.reward)

    async def rewards(self, request: RewardRequest) -> RewardResponse:
        """Raises `Invalid`, `Overloaded`, `Unavailable`."""
        request = request.resolved()
        options = request.reward
        async with self._answering(request.model) as answering:
            groups = await self._read_rewarded(request)
            rule = _rule(answering.engine, request, options)
            parts = [group.parts for group in groups]
            classified, usage = await self._classify(answering.engine, request, rule, parts)
            visits = await self._visited(request, groups, classified)
        rewarded = [
            reward_group(group, texts, options, request.return_probabilities, seen)
            for group, texts, seen in zip(groups, classified, visits, strict=True)
        ]
        self._observe(classified)
        return RewardResponse(
            rewarded, answering.model(rule, self._text(request)), answering.account(usage)
        )

    async def partitions(self, request: PartitionRequest) -> PartitionResponse:
        """Raises `Invalid`, `Overloaded`, `Unavailable`."""
        async with self._answering(request.model) as answering:
            await in_thread_if_long(
                lambda: inputs.check_groups(request.groups, self.settings), words_of(request.groups)
            )
            rule = _rule(answering.engine, request)
            classified, usage = await self._classify(answering.engine, request, rule)
        partitioned = [
            PartitionedGroup(
                **texts.as_fields(request.return_probabilities),
                id=group.id,
                diversity=partition_diversity(texts.partition).tolist(),
            )
            for group, texts in zip(request.groups, classified, strict=True)
        ]
        self._observe(classified)
        return PartitionResponse(
            partitioned, answering.model(rule, self._text(request)), answering.account(usage)
        )

    async def preferences(self, request: PreferenceRequest) -> PreferenceResponse:
        """Raises `Invalid`, `Overloaded`, `Unavailable`."""
        options = RewardOptions(diversity=request.diversity)
        async with self._answering(request.model) as answering:
            groups = await self._read(request.groups, options)
            rule = _rule(answering.engine, request, options)
            classified, usage = await self._classify(answering.engine, request, rule)
        preferred = [
            prefer(group, texts, options, request.share, request.return_probabilities)
            for group, texts in zip(groups, classified, strict=True)
        ]
        self._observe(classified)
        return PreferenceResponse(
            preferred, answering.model(rule, self._text(request)), answering.account(usage)
        )

    async def equivalence(self, request: EquivalenceRequest) -> EquivalenceResponse:
        """Raises `Invalid`, `Overloaded`, `Unavailable`."""
        async with self._answering(request.model) as answering:
            await in_thread_if_long(
                lambda: inputs.check_pairs(request, self.settings), words_of_pairs(request)
            )
            pairs = await texts_of_pairs(request)
            info = _info(answering.engine, request.notion, ("notion",))
            threshold = _threshold(info, request.threshold, ("threshold",))
            probabilities, usage = await classify_pairs(answering.engine, pairs, info.notion)
        results = [
            PairEquivalence(probability, probability > threshold or a == b)
            for probability, (_, a, b) in zip(probabilities.tolist(), pairs, strict=True)
        ]
        used = ModelUsed(
            info.id, info.revision, threshold, linkage=None, text=request.text, notion=info.notion
        )
        return EquivalenceResponse(results, used, answering.account(usage))

    def _text(self, request: Grouped) -> TextRule:
        """What of each rollout is compared: the request's choice, else the service's."""
        return request.partition.text or self.settings.text

    async def _classify(
        self,
        engine: Engine,
        request: Grouped,
        rule: PartitionRule,
        parts: Sequence[Sequence[BoolArray]] | None = None,
    ) -> tuple[list[ClassifiedGroup], Usage]:
        as_published = isinstance(request, RewardRequest) and request.reward.parity is not None
        texts = await texts_of_groups(request.groups, self._text(request), as_published)
        return await classify_groups(engine, texts, rule, parts)

    async def _read_rewarded(
        self, request: RewardRequest, complete: bool = True
    ) -> list[GroupInputs]:
        if "visits" in request.reward.needs:
            inputs.require_step(request.run)
        return await self._read(request.groups, request.reward, complete)

    async def _read(
        self, groups: Sequence[Group], options: RewardOptions, complete: bool = True
    ) -> list[GroupInputs]:
        """`complete`: whether the groups have all their rollouts."""

        def read() -> list[GroupInputs]:
            inputs.check_groups(groups, self.settings)
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

    def refuse_when_draining(self) -> None:
        """Raises `Unavailable` once the service stops."""
        if self._draining:
            raise Unavailable("the service is stopping", retry_after_s=RETRY_AFTER_STOP_S)

    @asynccontextmanager
    async def _answering(self, model: str | None) -> AsyncIterator["Answering"]:
        """The engine for a request, which counts as active and within its time limit meanwhile."""
        self.refuse_when_draining()
        answering = Answering(self._engines.get(model), self.telemetry, time.perf_counter())
        task = asyncio.current_task()
        self._active.add(task)
        limit = self.settings.request_timeout_s
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
            self._active.discard(task)

    def _observe(self, classified: Sequence[ClassifiedGroup]) -> None:
        for group in classified:
            self.telemetry.observe_group(
                rollouts=len(group.partition),
                classes=group.num_classes,
                diversity=mean(partition_diversity(group.partition)),
            )


@dataclass(frozen=True, slots=True)
class Answering:
    """A request that is being answered."""

    engine: Engine
    telemetry: Telemetry
    started: float

    def model(self, rule: PartitionRule, text: TextRule) -> ModelUsed:
        info = self.engine.classifier.info
        return ModelUsed(info.id, info.revision, rule.threshold, rule.linkage, text, rule.notion)

    def account(self, usage: Usage) -> Usage:
        """`usage` with the seconds that the request took, which telemetry gets too."""
        usage = replace(usage, seconds=time.perf_counter() - self.started)
        self.telemetry.observe_usage(usage)
        return usage


def _rule(
    engine: Engine, request: GroupsRequest, options: RewardOptions | None = None
) -> PartitionRule:
    """How to partition: the request's choices, else the model's own.

    `options`: what the partition is for, beside itself. Raises `Invalid` if the model has not what
    they need.
    """
    partition = request.partition
    info = _info(engine, partition.notion, ("partition", "notion"))
    needs = frozenset[str]() if options is None else options.needs
    with_cosines = "cosines" in needs
    read = request.return_probabilities or not needs.isdisjoint(PAIRWISE)
    threshold = partition.threshold
    if threshold is None and options is not None and options.parity is not None:
        threshold = info.published_threshold
    rule = PartitionRule(
        threshold=_threshold(info, threshold, ("partition", "threshold")),
        linkage=partition.linkage or info.linkage,
        notion=info.notion,
        short_answers=partition.short_answer_rule,
        partition_only=not read,
        with_cosines=with_cosines,
    )
    if options is not None and with_cosines and not isinstance(engine.classifier, Embedder):
        choice = options.choice_that_needs("cosines")
        message = (
            f"{getattr(options, choice)} compares embeddings of texts, and {info.id} has none; "
            "choose another, or serve embedded or embeddings:PATH_OR_ID"
        )
        raise Invalid([FieldError(("reward", choice), message)])
    if with_cosines and rule.short_answers:
        message = (
            "skips pairs whose embeddings this reward needs; remove it, or choose another "
            "objective and diversity"
        )
        raise Invalid([FieldError(("partition", "short_answer_rule"), message)])
    return rule


def _info(engine: Engine, notion: Notion | None, loc: Loc) -> ModelInfo:
    """What the model says of itself by this notion. Raises `Invalid` if it does not have it."""
    try:
        return by_notion(engine.classifier, notion).info
    except ValueError as error:
        raise Invalid([FieldError(loc, str(error))]) from None


def _threshold(info: ModelInfo, wanted: Threshold | None, loc: Loc) -> float:
    """Raises `Invalid` if the model has no such operating point."""
    try:
        return info.threshold_at(wanted)
    except ValueError as error:
        raise Invalid([FieldError(loc, str(error))]) from None
