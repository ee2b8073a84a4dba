"""What a request tells a judge beside the texts: when two are the same, and the right answer."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from darling_models.protocol import EquivalenceClassifier


@dataclass(frozen=True, slots=True)
class Instructions:
    criterion: str | None = None
    """When two texts are the same, in place of what the notion says."""
    reference: str | None = None
    """The right answer to the prompt, to be read beside the texts."""


NO_INSTRUCTIONS = Instructions()


@runtime_checkable
class Instructable(Protocol):
    """A classifier that can be told so, as `info.instructable` says."""

    def instructed(self, instructions: Instructions) -> EquivalenceClassifier:
        """The same classifier, comparing by the instructions.

        Either can `run` the units of both, which have the same keys only where their results are
        the same.
        """
        ...


def instructed(
    classifier: EquivalenceClassifier, instructions: Instructions
) -> EquivalenceClassifier:
    """The classifier, comparing by the instructions; without any it is left as it is.

    Raises `ValueError` if it cannot be instructed.
    """
    if instructions == NO_INSTRUCTIONS:
        return classifier
    info = classifier.info
    if not info.instructable:
        what = "a criterion" if instructions.criterion is not None else "a reference"
        raise ValueError(
            f"{info.id} cannot be told {what}, as no LLM reads the texts; leave it out, or serve "
            "judge:MODEL@BASE_URL"
        )
    assert isinstance(classifier, Instructable), "a classifier that says so can be instructed"
    return classifier.instructed(instructions)
