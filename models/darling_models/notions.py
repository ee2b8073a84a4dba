"""Comparing by a notion: telling a classifier what makes two texts equivalent."""

from typing import Protocol, runtime_checkable

from darling_models.protocol import EquivalenceClassifier, Notion


@runtime_checkable
class Notional(Protocol):
    """A classifier that compares by whichever of `info.notions` it is told."""

    def by(self, notion: Notion) -> EquivalenceClassifier:
        """The same classifier, comparing by `notion`, one of `info.notions`.

        Either can `run` the units of both, which have the same keys only where their results are
        the same.
        """
        ...


def by_notion(classifier: EquivalenceClassifier, wanted: Notion | None) -> EquivalenceClassifier:
    """The classifier, comparing by `wanted`; None leaves it as it is.

    Raises `ValueError` if it does not have that notion.
    """
    classifier.info.require(wanted)
    if wanted is None or wanted == classifier.info.notion:
        return classifier
    assert isinstance(classifier, Notional), "a classifier with several notions can be told one"
    return classifier.by(wanted)
