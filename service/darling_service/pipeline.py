"""The one way of a request: HTTP routes, the CLI and Ray Serve all come through here.

limits -> pairs that need no model -> cache -> batching queue -> partition
       -> diversity -> shaping -> advantages -> answer
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from darling_models.protocol import Embedder, IntArray, Linkage, ModelInfo, Threshold

from darling_service.engine.engine import Engine
from darling_service.engine.models import Engines
from darling_service.errors import FieldError, Invalid, Loc, Unavailable
from darling_service.rewards.diversity import partition_diversity
from darling_service.rewards.exact import mean
from darling_service.schemas.requests import (
    EquivalenceRequest,
    GroupsRequest,
    PartitionRequest,
    PreferenceRequest,
    PromptGroup,
    RewardRequest,
)
from darling_service.schemas.responses import (
    EquivalenceAnswer,
    Judgement,
    ModelUsed,
    PartitionAnswer,
    PartitionedGroup,
    PreferenceAnswer,
    RewardAnswer,
    Usage,
)
from darling_service.schemas.reward_options import PUBLISHED, RewardOptions
from darling_service.scoring import inputs
from darling_service.scoring.partitioning import (
    JudgedGroup,
    PartitionRule,
    judge_groups,
    judge_pairs,
)
from darling_service.scoring.rewards import GroupInputs, prefer, read_group, reward_group
from darling_service.scoring.visits import Visit, Visits
from darling_service.settings import Settings
from darling_service.telemetry import Telemetry

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

    def check(self, request: RewardRequest) -> None:
        """Raises what `rewards` would raise before any model runs."""
        self._read(request, complete=False)
        self._refuse_when_draining()
        _reward_rule(self._engines.get(request.model), request)

    async def rewards(self, request: RewardRequest) -> RewardAnswer:
        options, groups = self._read(request)
        async with self._answering(request.model) as (engine, usage):
            rule = _reward_rule(engine, request)
            judged = await judge_groups(engine, _texts(request.groups), rule, usage)
            visits = await self._visited(request, groups)
        answers = [
            reward_group(group, verdict, options, request.return_probabilities, seen)
            for group, verdict, seen in zip(groups, judged, visits, strict=True)
        ]
        self._observe(judged)
        return RewardAnswer(answers, _used(engine, rule.threshold, rule.linkage), usage)

    async def partitions(self, request: PartitionRequest) -> PartitionAnswer:
        inputs.check_groups(request.groups, self.settings)
        async with self._answering(request.model) as (engine, usage):
            rule = _rule(engine, request, partition_only=not request.return_probabilities)
            judged = await judge_groups(engine, _texts(request.groups), rule, usage)
        answers = [
            PartitionedGroup(
                id=group.id,
                partition=verdict.partition.tolist(),
                num_classes=verdict.num_classes,
                diversity=partition_diversity(verdict.partition).tolist(),
                probabilities=verdict.probabilities.tolist()
                if request.return_probabilities
                else None,
            )
            for group, verdict in zip(request.groups, judged, strict=True)
        ]
        self._observe(judged)
        return PartitionAnswer(answers, _used(engine, rule.threshold, rule.linkage), usage)

    async def preferences(self, request: PreferenceRequest) -> PreferenceAnswer:
        inputs.check_groups(request.groups, self.settings)
        options = RewardOptions(diversity=request.diversity)
        groups = inputs.each_group(request.groups, lambda group: read_group(group, options))
        async with self._answering(request.model) as (engine, usage):
            read = request.return_probabilities or request.diversity == "pairwise"
            rule = _rule(engine, request, partition_only=not read)
            judged = await judge_groups(engine, _texts(request.groups), rule, usage)
        answers = [
            prefer(group, verdict, request.diversity, request.share, request.return_probabilities)
            for group, verdict in zip(groups, judged, strict=True)
        ]
        self._observe(judged)
        return PreferenceAnswer(answers, _used(engine, rule.threshold, rule.linkage), usage)

    async def equivalence(self, request: EquivalenceRequest) -> EquivalenceAnswer:
        inputs.check_pairs(request, self.settings)
        pairs = [(pair.prompt_text(), pair.a, pair.b) for pair in request.pairs]
        async with self._answering(request.model) as (engine, usage):
            threshold = _threshold(engine, request.threshold, ("threshold",))
            probabilities = await judge_pairs(engine, pairs, usage)
        results = [
            Judgement(probability, probability > threshold or a == b)
            for probability, (_, a, b) in zip(probabilities.tolist(), pairs, strict=True)
        ]
        return EquivalenceAnswer(results, _used(engine, threshold, None), usage)

    def _read(
        self, request: RewardRequest, complete: bool = True
    ) -> tuple[RewardOptions, list[GroupInputs]]:
        """`complete`: whether the groups have all their rollouts."""
        inputs.check_groups(request.groups, self.settings)
        asked = request.reward
        if asked.exploration == "visits":
            inputs.require_step(request.run)
        options = PUBLISHED if asked.parity else asked
        options = options.model_copy(update={"advantage": asked.advantage, "k": asked.k})
        return options, inputs.each_group(
            request.groups, lambda group: read_group(group, options, complete)
        )

    async def _visited(
        self, request: RewardRequest, groups: Sequence[GroupInputs]
    ) -> Sequence[IntArray | None]:
        """Earlier visits of the groups' answers, where exploration asks for them."""
        if request.reward.exploration != "visits":
            return [None] * len(groups)
        assert self._visits is not None, "no engine answers before the start"
        run, step = inputs.require_step(request.run)
        seen = [Visit(g.prompt, g.id, g.texts, g.answers or ()) for g in groups]
        return await self._visits.count(run, step, seen)

    def _refuse_when_draining(self) -> None:
        if self._draining:
            raise Unavailable("the service is stopping", retry_after_s=RETRY_AFTER_STOP_S)

    @asynccontextmanager
    async def _answering(self, model: str | None) -> AsyncIterator[tuple[Engine, Usage]]:
        """The engine for a request, and the account of what it cost, closed at the end."""
        self._refuse_when_draining()
        engine = self._engines.get(model)
        usage = Usage()
        started = time.perf_counter()
        task = asyncio.current_task()
        self._active.add(task)
        limit = self.settings.request_timeout_s
        try:
            async with asyncio.timeout(limit):
                yield engine, usage
        except TimeoutError:
            raise Unavailable(
                f"not answered within request_timeout_s = {limit:g}; send it again later, or in "
                "smaller parts",
                retry_after_s=RETRY_AFTER_TIMEOUT_S,
            ) from None
        finally:
            self._active.discard(task)
        usage.seconds = time.perf_counter() - started
        self.telemetry.observe_usage(usage)

    def _observe(self, judged: Sequence[JudgedGroup]) -> None:
        for group in judged:
            self.telemetry.observe_group(
                rollouts=len(group.partition),
                classes=group.num_classes,
                diversity=mean(partition_diversity(group.partition)),
            )


def _texts(groups: Sequence[PromptGroup]) -> list[tuple[str, list[str]]]:
    return [(group.prompt_text(), group.texts()) for group in groups]


def _rule(
    engine: Engine, request: GroupsRequest, partition_only: bool, published: bool = False
) -> PartitionRule:
    """How to partition: the request's choices, else the model's own, else as published."""
    info, chosen = engine.classifier.info, request.partition
    return PartitionRule(
        threshold=_threshold(engine, chosen.threshold, ("partition", "threshold")),
        linkage="single" if published else chosen.linkage or info.linkage,
        short_answers=published or chosen.short_answer_rule,
        partition_only=partition_only,
    )


def _reward_rule(engine: Engine, request: RewardRequest) -> PartitionRule:
    """Raises `Invalid` if the model has not what the request's options need."""
    options = request.reward
    read = request.return_probabilities or options.diversity == "pairwise" or options.needs_vectors
    rule = _rule(engine, request, partition_only=not read, published=options.parity is not None)
    if not options.needs_vectors:
        return rule
    if not isinstance(engine.classifier, Embedder):
        name = "objective" if options.objective == "evol" else "diversity"
        message = (
            f"{getattr(options, name)} compares vectors of texts, and {engine.classifier.info.id} "
            "has none; serve embedded or embeddings:PATH_OR_ID"
        )
        raise Invalid([FieldError(("reward", name), message)])
    if rule.short_answers:
        message = "leaves out pairs whose vectors the reward compares; drop it"
        raise Invalid([FieldError(("partition", "short_answer_rule"), message)])
    return replace(rule, with_cosines=True)


def _threshold(engine: Engine, wanted: Threshold | None, loc: Loc) -> float:
    """Raises `Invalid` if the model has no such operating point."""
    try:
        return engine.classifier.info.threshold_at(wanted)
    except ValueError as error:
        raise Invalid([FieldError(loc, str(error))]) from None


def _used(engine: Engine, threshold: float, linkage: Linkage | None) -> ModelUsed:
    info = engine.classifier.info
    return ModelUsed(info.id, info.revision, threshold, linkage)
