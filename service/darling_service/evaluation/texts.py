"""The texts of a record: its prompt and its rollouts, by the rule that the service applies too."""

from collections.abc import Sequence
from typing import Any

from darling_models.texts.rule import TextRule
from darling_service.errors import Invalid
from darling_service.schemas.parse import validate
from darling_service.schemas.requests import PromptGroup
from darling_service.scoring.texts import texts_of


def compared_texts(prompt: Any, rollouts: Sequence[Any], rule: TextRule) -> tuple[str, list[str]]:
    """(prompt, texts) of a record, which may hold chat messages as requests do.

    Raises `ValueError` that names what is neither a text nor messages.
    """
    if not all(isinstance(rollout, str | list | dict) for rollout in rollouts):
        raise ValueError(
            "has a rollout that is neither a text nor an object with a text or messages"
        )
    fields = [_words(rollout) for rollout in rollouts]
    try:
        group = validate({"prompt": prompt or "", "rollouts": fields}, PromptGroup)
    except Invalid as problem:
        raise ValueError(f"has a wrong prompt or rollout: {problem.detail}") from None
    texts = texts_of(group, rule)
    return texts.prompt, texts.texts


def _words(rollout: Any) -> Any:
    """A rollout without the columns that stand in it."""
    if not isinstance(rollout, dict):
        return rollout
    return {name: rollout[name] for name in ("text", "messages") if name in rollout}
