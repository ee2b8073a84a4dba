"""Which kernels all classifier replicas compute with: those of the first one.

Each replica would try kernels for itself, and two that choose differently give a text different
bits. A small actor of Ray remembers the first choice of each deployment; it outlives the replicas.
"""

from contextlib import suppress
from dataclasses import dataclass, replace

import ray

from darling_models.errors import ModelError
from darling_models.options import ModelOptions
from darling_models.protocol import EquivalenceClassifier
from darling_models.registry import load

ACTOR = "darling-reward-kernels"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What decides the bits of a loaded model."""

    kernels: str | None
    revision: str

    @classmethod
    def by(cls, classifier: EquivalenceClassifier) -> "Chosen":
        return cls(classifier.info.kernels, classifier.info.revision)


class FirstChoices:
    """The actor: what the first replica of each deployment has chosen."""

    def __init__(self) -> None:
        self._first: dict[str, Chosen] = {}

    def of(self, deployed: str, chosen: Chosen) -> Chosen:
        return self._first.setdefault(deployed, chosen)


async def load_like_the_first(
    name: str, options: ModelOptions, deployed: str
) -> EquivalenceClassifier:
    """The classifier of this name, with the kernels of the first replica of the same deployment.

    `deployed` names the deployment: files that have changed since an earlier one are no fault.
    Raises `ModelError` if it cannot be loaded, or gives other bits all the same.
    """
    classifier = load(name, options)
    actor = ray.remote(FirstChoices).options(
        name=ACTOR, namespace=ACTOR, lifetime="detached", get_if_exists=True, num_cpus=0
    )
    first: Chosen = await actor.remote().of.remote(deployed, Chosen.by(classifier))
    if first.revision != classifier.info.revision and first.kernels is not None:
        classifier = load(name, replace(options, kernels=first.kernels))
    if first.revision != classifier.info.revision:
        raise other_bits(first.revision, classifier.info.revision)
    return classifier


def forget() -> None:
    """Ends the actor, if there is one."""
    with suppress(ValueError):
        ray.kill(ray.get_actor(ACTOR, namespace=ACTOR))


def other_bits(wanted: str, own: str) -> ModelError:
    return ModelError(
        f"this classifier replica gives other bits ({own}) than the first one ({wanted}), since "
        "its files or its processor differ; give all of them the same files, and the setting "
        "kernels, or runtime float32"
    )
