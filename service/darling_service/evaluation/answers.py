"""Which final answers are one: the same for correctness and for votes."""

from collections.abc import Sequence

from darling_models.final_answers.equality import same_answer


def same(a: str, b: str) -> bool:
    """Whether two answers are the same, as the service compares `answer` with `reference`."""
    return same_answer(a, b)


def votes(answers: Sequence[str | None]) -> list[int | None]:
    """The number of the candidate for which each answer votes; None for no answer.

    Answers that are the same vote for one candidate, whatever their order, and so do answers that
    are the same as a third.
    """
    distinct = sorted({answer for answer in answers if answer is not None})
    candidate = list(range(len(distinct)))
    for i, answer in enumerate(distinct):
        for j in range(i):
            if candidate[i] != candidate[j] and same(answer, distinct[j]):
                old, new = candidate[i], candidate[j]
                candidate = [new if number == old else number for number in candidate]
    of = dict(zip(distinct, candidate, strict=True))
    return [None if answer is None else of[answer] for answer in answers]
