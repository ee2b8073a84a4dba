"""The limits on a request: what the schemas cannot check, since settings choose them.

Each check gathers every error of the request, so that a caller can correct them all at once.
"""

from collections.abc import Iterable, Iterator, Sequence

from darling_models.faults import Loc
from darling_models.texts.group import chars_of
from darling_models.texts.messages import Response
from darling_service.errors import FieldError, Invalid
from darling_service.schemas.requests import (
    EquivalenceRequest,
    PromptGroup,
    Rollout,
    response_of,
)
from darling_service.settings import Settings

MAX_PROBABILITIES = 2**20
"""Probabilities in one answer: those of four groups of 512 rollouts, 20 MB of JSON."""


def check_groups(
    groups: Sequence[PromptGroup], settings: Settings, with_probabilities: bool = False
) -> None:
    """Raises `Invalid` naming every place that is over a limit.

    `with_probabilities`: whether the answer holds those of all pairs.
    """
    raise_any(_group_limits(groups, settings))
    count = sum(len(group.rollouts) ** 2 for group in groups)
    if with_probabilities and count > MAX_PROBABILITIES:
        message = (
            f"{count} probabilities are over {MAX_PROBABILITIES}, the most that one answer holds; "
            "send fewer groups in one request, or leave return_probabilities out"
        )
        raise Invalid([FieldError(("return_probabilities",), message)])


def check_pairs(request: EquivalenceRequest, settings: Settings) -> None:
    """Raises `Invalid` naming every place that is over a limit."""
    raise_any(_pair_limits(request, settings))


def _group_limits(groups: Sequence[PromptGroup], settings: Settings) -> Iterator[FieldError]:
    if len(groups) > settings.max_groups:
        yield FieldError(
            ("groups",), over("groups", len(groups), "max_groups", settings.max_groups)
        )
        return
    for g, group in enumerate(groups):
        if len(group.rollouts) > settings.max_rollouts:
            message = too_many_rollouts(len(group.rollouts), settings)
            yield FieldError(("groups", g, "rollouts"), message)
            continue
        yield from too_long(("groups", g, "prompt"), group.prompt, settings)
        if group.reference is not None:
            yield from too_long(("groups", g, "reference"), group.reference, settings)
        for r, rollout in enumerate(group.rollouts):
            place = ("groups", g, "rollouts", r)
            yield from too_long(place, response_of(rollout), settings)
            if isinstance(rollout, Rollout) and rollout.answer is not None:
                yield from too_long((*place, "answer"), rollout.answer, settings)


def _pair_limits(request: EquivalenceRequest, settings: Settings) -> Iterator[FieldError]:
    if len(request.pairs) > settings.max_pairs:
        yield FieldError(
            ("pairs",), over("pairs", len(request.pairs), "max_pairs", settings.max_pairs)
        )
        return
    for p, pair in enumerate(request.pairs):
        texts = {"prompt": pair.prompt, "a": pair.a, "b": pair.b, "reference": pair.reference}
        for name, text in texts.items():
            if text is not None:
                yield from too_long(("pairs", p, name), text, settings)


def too_few(rollouts: int, k: int) -> str:
    return f"{rollouts} rollouts, and reward.k = {k}; sample more, or lower k"


def too_many_rollouts(count: int, settings: Settings) -> str:
    """A group in two parts would get other rewards, so that only a higher limit helps."""
    return (
        f"{count} rollouts are over max_rollouts = {settings.max_rollouts}; raise "
        "DARLING_MAX_ROLLOUTS (a group cannot be split: its rewards depend on all its rollouts)"
    )


def over(what: str, count: int, limit: str, most: int) -> str:
    return f"{count} {what} are over {limit} = {most}; split the request"


def too_long(loc: Loc, words: Response, settings: Settings) -> Iterator[FieldError]:
    """The error of a text, or of a conversation, that has too many characters."""
    if (chars := chars_of(words)) > settings.max_chars:
        yield FieldError(
            loc,
            f"{chars} characters are over max_chars = {settings.max_chars}; shorten the text or "
            "raise DARLING_MAX_CHARS",
        )


def raise_any(errors: Iterable[FieldError]) -> None:
    """Raises `Invalid` if there are errors."""
    if known := list(errors):
        raise Invalid(known)
