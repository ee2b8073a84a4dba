"""Columns of a request's groups: what the schemas cannot check.

Each check gathers every error of the request, so that a caller can correct them all at once.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from darling_models.faults import Loc
from darling_models.final_answers.equality import same_answer
from darling_models.final_answers.plain_form import plain_form
from darling_service.errors import MAX_ERRORS, FieldError, Invalid
from darling_service.rewards import quality as qualities
from darling_service.rewards.exact import BoolArray, FloatArray
from darling_service.rewards.rounding import same
from darling_service.schemas.requests import Group, PromptGroup, Run
from darling_service.schemas.reward_options import RewardOptions
from darling_service.scoring.limits import raise_any, too_few

Answer = TypeVar("Answer")


def each_group(groups: Sequence[Group], read: Callable[[Group], Answer]) -> list[Answer]:
    """`read` of every group; its errors, placed under their groups, together in one `Invalid`.

    Stops once there are more than `MAX_ERRORS`.
    """
    answers: list[Answer] = []
    errors: list[FieldError] = []
    for index, group in enumerate(groups):
        if len(errors) > MAX_ERRORS:
            break
        try:
            answers.append(read(group))
        except Invalid as problem:
            errors += [FieldError(("groups", index, *e.loc), e.msg) for e in problem.errors]
    raise_any(errors)
    return answers


def quality_of(group: Group, required: bool, complete: bool = True) -> FloatArray | None:
    """The rollouts' quality, shape (n,): given numbers, else correctness, else the reference.

    None when the group gives nothing of these and `required` is False. `complete`: see
    `correctness_of`.
    """
    own = group.column("quality")
    if group.quality is not None:
        if any(value is not None for value in own):
            raise _invalid(
                "quality", "quality stands both in a column and in the rollouts; drop one of them"
            )
        if len(group.quality) != len(group.rollouts):
            raise _invalid(
                "quality",
                f"{len(group.quality)} values for {len(group.rollouts)} rollouts; give one each",
            )
        return np.asarray(group.quality, dtype=np.float64)
    if any(value is not None for value in own):
        _all_given("quality", own)
        return np.asarray(own, dtype=np.float64)
    if (correct := correctness_of(group, complete)) is not None:
        return qualities.from_correctness(correct.tolist())
    if required:
        raise _invalid(
            "quality",
            "the reward needs quality; give a column here, `quality` or `correct` in every "
            "rollout, or a `reference` with an `answer` in the rollouts (null where one has none); "
            "or set objective = 'diversity'",
        )
    return None


def correctness_of(group: Group, complete: bool = True) -> BoolArray | None:
    """Which rollouts are correct, shape (n,): a verdict in each, else answers that match.

    A rollout without an answer, beside others that have one or with null for one, is wrong. None
    where the group gives neither verdicts nor a reference with answers. `complete`: whether these
    are all of its rollouts; if not, the others may have answers.
    """
    correct = group.column("correct")
    if any(value is not None for value in correct):
        _all_given("correct", correct)
        return np.asarray(correct, dtype=np.bool_)
    answered = group.gives("answer") or not complete
    if group.reference is not None and answered:
        answers = [answer or "" for answer in group.column("answer")]
        return np.asarray([same_answer(answer, group.reference) for answer in answers])
    return None


def members_of(
    group: Group, quality: FloatArray | None, options: RewardOptions, complete: bool = True
) -> BoolArray:
    """The rollouts whose diversity counts (`among`), shape (n,)."""
    if options.among == "correct":
        return verdicts_of(group, quality, complete)
    if options.among == "quality":
        if quality is None or options.min_quality is None:
            raise _invalid("quality", "among = 'quality' needs quality; add it")
        enough: BoolArray = (quality >= options.min_quality) | same(quality, options.min_quality)
        return enough
    return np.ones(len(group.rollouts), dtype=np.bool_)


def refuse_negative(quality: FloatArray, in_column: bool, reason: str) -> None:
    """Raises `Invalid` for each quality below 0 by more than rounding, with the reason and cure."""
    raise_any(
        FieldError(
            ("quality", int(i)) if in_column else ("rollouts", int(i), "quality"),
            f"{quality[i]} is negative and {reason}",
        )
        for i in np.flatnonzero((quality < 0) & ~same(quality, 0.0))
    )


def logprobs_of(group: Group) -> FloatArray:
    """The rollouts' mean log-probabilities, shape (n,)."""
    logprobs = group.column("logprob")
    _all_given("logprob", logprobs)
    return np.asarray(logprobs, dtype=np.float64)


def verdicts_of(group: Group, quality: FloatArray | None, complete: bool = True) -> BoolArray:
    """Which rollouts are correct, shape (n,): as `correctness_of`, else quality of 0 and 1."""
    if (correct := correctness_of(group, complete)) is not None:
        return correct
    if quality is not None and (same(quality, 0.0) | same(quality, 1.0)).all():
        return same(quality, 1.0)
    raise _invalid(
        "rollouts",
        "the reward or advantage depends on correctness; give `correct` in every rollout, quality "
        "of 0 and 1, or a `reference` with an `answer` in the rollouts",
    )


def answers_of(group: Group, required: bool) -> list[str]:
    """The plain forms of the rollouts' final answers; "" where there is none.

    `required`: whether one of them at least must give the field; null says that there is none.
    """
    if required and not group.gives("answer"):
        raise _invalid(
            "rollouts",
            "the reward or advantage compares final answers; give `answer` in the rollouts that "
            "have one (null where none has), or set reward.outcome = 'class'",
        )
    return [plain_form(answer or "") for answer in group.column("answer")]


def solutions_of(group: Group) -> list[FloatArray]:
    """Each rollout's solutions by their scores, shapes (m, k), m may be 0."""
    solutions = group.column("solutions")
    _all_given("solutions", solutions)
    widths = [len(scores) for rollout in solutions for scores in rollout]
    wanted = widths[0] if widths else 1
    raise_any(
        FieldError(
            ("rollouts", i, "solutions", s),
            f"{len(scores)} scores, where the group's first solution has {wanted}; score every "
            "solution on the same counts, at least one",
        )
        for i, rollout in enumerate(solutions)
        for s, scores in enumerate(rollout)
        if len(scores) != wanted or not scores
    )
    return [np.asarray(rollout, dtype=np.float64).reshape(-1, wanted) for rollout in solutions]


def require_step(run: Run | None) -> tuple[str, int]:
    """(name, step) of the training run. Raises `Invalid` if the request does not say them."""
    if run is None or run.step is None:
        raise _invalid(
            "run",
            "exploration = 'visits' counts over the steps of a run; give run as "
            '{"name": ..., "step": ...}',
        )
    return run.name, run.step


def require_references(groups: Sequence[PromptGroup]) -> None:
    """Raises `Invalid` for each group without a reference, which a judge is to be shown."""
    raise_any(
        FieldError(
            ("groups", index, "reference"),
            "missing, and partition.show_reference shows it to the judge; give it, or drop that",
        )
        for index, group in enumerate(groups)
        if group.reference is None
    )


def require_tries(group: Group, k: int) -> None:
    """Raises `Invalid` if the group has fewer than k rollouts."""
    if k > len(group.rollouts):
        raise _invalid("rollouts", too_few(len(group.rollouts), k))


def of_one_rollout(problem: Invalid) -> Invalid:
    """The problem of a group, with its fields named as in a request of one rollout."""
    return Invalid([FieldError(_own_place(error.loc), error.msg) for error in problem.errors])


def _own_place(loc: Loc) -> Loc:
    """("groups", 0, "rollouts", 2, "quality") is ("quality",), the rollout itself ("text",)."""
    if loc[:2] != ("groups", 0):
        return loc
    if loc[2:3] != ("rollouts",):
        return loc[2:]
    return loc[4:] or ("text",)


def _all_given(name: str, values: Sequence[object]) -> None:
    raise_any(
        FieldError(("rollouts", i, name), "missing; give it in every rollout of the group")
        for i, value in enumerate(values)
        if value is None
    )


def _invalid(field: str, message: str) -> Invalid:
    return Invalid([FieldError((field,), message)])
