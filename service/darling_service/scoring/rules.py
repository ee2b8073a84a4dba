"""How a request's groups are partitioned: by its own choices, else by the model's."""

from darling_models.faults import Loc
from darling_models.instructions import Instructions, instructed
from darling_models.notions import by_notion
from darling_models.protocol import Embedder, ModelInfo, Notion, Threshold
from darling_service.engine.engine import Engine
from darling_service.errors import FieldError, Invalid
from darling_service.schemas.requests import EquivalenceRequest, GroupsRequest, Rewarded
from darling_service.schemas.reward_options import RewardOptions
from darling_service.scoring.partitioning import PartitionRule
from darling_service.scoring.rewards import MATRICES
from darling_service.settings import Settings


def rule_of(
    engine: Engine, request: GroupsRequest, options: RewardOptions | None = None
) -> PartitionRule:
    """How to partition: the request's choices, else the model's own.

    `options`: what the partition is for, beside itself. Raises `Invalid` if the model has not what
    they need.
    """
    partition = request.partition
    info = info_by(engine, partition.notion, ("partition", "notion"))
    if partition.criterion is not None:
        check_instructable(
            engine, Instructions(criterion=partition.criterion), ("partition", "criterion")
        )
    if partition.show_reference:
        check_instructable(engine, Instructions(reference="shown"), ("partition", "show_reference"))
    needs = frozenset[str]() if options is None else options.needs
    with_cosines = "cosines" in needs
    read = request.return_probabilities or not needs.isdisjoint(MATRICES)
    threshold = partition.threshold
    if threshold is None and options is not None and options.parity is not None:
        threshold = info.published_threshold
    rule = PartitionRule(
        threshold=threshold_of(info, threshold, ("partition", "threshold")),
        linkage=partition.linkage or info.linkage,
        notion=info.notion,
        criterion=partition.criterion,
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
        place = ("reward", choice) if isinstance(request, Rewarded) else (choice,)
        raise Invalid([FieldError(place, message)])
    if with_cosines and rule.short_answers:
        message = (
            "skips pairs whose embeddings this reward needs; remove it, or choose another "
            "objective and diversity"
        )
        raise Invalid([FieldError(("partition", "short_answer_rule"), message)])
    return rule


def criterion_of(info: ModelInfo, rule: PartitionRule, settings: Settings) -> str | None:
    """The criterion by which a judge compares: the request's, else the settings' for their notion.
    None where the notion decides."""
    if rule.criterion is not None or not info.instructable:
        return rule.criterion
    return None if rule.notion is None else settings.model_options().criterion_by(rule.notion)


def info_by(engine: Engine, notion: Notion | None, loc: Loc) -> ModelInfo:
    """What the model says of itself by this notion. Raises `Invalid` if it does not have it."""
    try:
        return by_notion(engine.classifier, notion).info
    except ValueError as error:
        raise Invalid([FieldError(loc, str(error))]) from None


def check_pair_instructions(engine: Engine, request: EquivalenceRequest) -> None:
    """Raises `Invalid` if the model cannot be told what the request tells it."""
    if request.criterion is not None:
        check_instructable(engine, Instructions(criterion=request.criterion), ("criterion",))
    for index, pair in enumerate(request.pairs):
        if pair.reference is not None:
            place = ("pairs", index, "reference")
            check_instructable(engine, Instructions(reference=pair.reference), place)


def check_instructable(engine: Engine, instructions: Instructions, loc: Loc) -> None:
    """Raises `Invalid` if the model cannot be told such a thing."""
    try:
        instructed(engine.classifier, instructions)
    except ValueError as error:
        raise Invalid([FieldError(loc, str(error))]) from None


def threshold_of(info: ModelInfo, wanted: Threshold | None, loc: Loc) -> float:
    """Raises `Invalid` if the model has no such operating point."""
    try:
        return info.threshold_at(wanted)
    except ValueError as error:
        raise Invalid([FieldError(loc, str(error))]) from None
