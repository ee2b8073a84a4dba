"""The texts of a record: its prompt and its rollouts, by the rule that the service applies too."""

from collections.abc import Mapping, Sequence
from typing import Any

from darling_models.texts.rule import TextRule
from darling_service.errors import FieldError, Invalid
from darling_service.schemas.parse import validate
from darling_service.schemas.requests import PromptGroup
from darling_service.scoring.texts import GroupTexts, texts_of


def compared_texts(
    prompt: tuple[str, Any], rollouts: tuple[str, Sequence[Mapping[str, Any]]], rule: TextRule
) -> GroupTexts:
    """What of a record is compared. Each argument is (name in the file, value).

    `rollouts`: objects with a `text` or `messages`; their other fields are not read. Raises
    `ValueError` naming what is neither a text nor messages.
    """
    words = [
        {name: rollout[name] for name in ("text", "messages") if name in rollout}
        for rollout in rollouts[1]
    ]
    try:
        group = validate({"prompt": prompt[1], "rollouts": words}, PromptGroup)
    except Invalid as problem:
        field, *place = problem.errors[0].loc
        name = prompt[0] if field == "prompt" else rollouts[0]
        message = problem.errors[0].msg
        raise ValueError(Invalid([FieldError((name, *place), message)]).detail) from None
    return texts_of(group, rule)
