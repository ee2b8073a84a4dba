"""What a classifier is trained on: a recipe of sources, each with what its labels are worth.

A recipe is a TOML file with a table `[[source]]` for each source. A source is a file of `groups`,
a file of `pairs`, or groups that are `made_up` from the sources before it.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from darling_models.faults import faults_of, path
from darling_models.labelled_data import read_groups, read_pairs
from darling_models.protocol import classify
from darling_models.registry import load
from darling_models.texts.rule import TextRule
from darling_models.training.augment.hand_written import hand_written
from darling_models.training.augment.languages import languages
from darling_models.training.augment.look_alikes import look_alikes
from darling_models.training.augment.padding import padded
from darling_models.training.augment.short_answers import short_answers
from darling_models.training.augment.tool_calls import tool_calls
from darling_models.training.augment.wrapping import wrapped
from darling_models.training.labelled_groups import (
    LabelledGroup,
    Noise,
    not_labelled_in,
    of_groups,
    of_pairs,
)

DEFAULT_RECIPE = Path(__file__).parent / "recipe.toml"
"""The recipe of the built-in classifier."""
MAX_CERTAINTY = 0.98
"""A model's probability as a target lies between 1 - this and this."""

Kind = Literal[
    "hand_written",
    "languages",
    "look_alikes",
    "padded",
    "short_answers",
    "tool_calls",
    "wrapped",
]


class Source(BaseModel):
    """One source of labelled pairs."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    groups: str | None = None
    """A file of partitioned groups or of behaviours."""
    pairs: str | None = None
    """A file of labelled pairs."""
    made_up: Kind | None = None
    """Groups that are made up, or written by hand and packaged; see `training/augment`."""
    share: float = Field(gt=0)
    """How often its pairs are drawn in training, relative to those of the other sources."""
    wrong_same: float = Field(0.05, ge=0, lt=0.5)
    """Share of the labels "same" that are wrong."""
    wrong_different: float = Field(0.05, ge=0, lt=0.5)
    """Share of the labels "different" that are wrong."""
    calibration: float = Field(0.0, ge=0)
    """Weight of its pairs, all together, in the calibration and in the thresholds."""
    max_pairs: int | None = Field(None, ge=1)
    """Pairs that are drawn from it at random; None: all of them."""
    labels_by: str | None = None
    """A model whose probabilities replace the labels; None: the labels stand."""

    @model_validator(mode="after")
    def _one_origin(self) -> "Source":
        if sum(origin is not None for origin in (self.groups, self.pairs, self.made_up)) != 1:
            raise ValueError("give exactly one of groups, pairs and made_up")
        softened = self.model_fields_set & {"wrong_same", "wrong_different"}
        if softened and (self.labels_by or self.made_up in ("padded", "wrapped")):
            raise ValueError(
                f"{min(softened)} softens labels of its own, and this source takes over those of "
                "others; leave it out"
            )
        if self.made_up is not None and (self.labels_by or self.calibration):
            raise ValueError(
                "what is made up has labels and measures nothing; leave out labels_by "
                "and calibration"
            )
        return self

    @property
    def name(self) -> str:
        """The file's name without its endings, or the kind of what is made up."""
        origin = self.groups or self.pairs or self.made_up or ""
        return Path(origin).name.partition(".")[0]

    def summary(self) -> dict[str, object]:
        """Its name and what was chosen for it, without the path of a file."""
        chosen = self.model_dump(exclude_defaults=True, exclude={"groups", "pairs", "made_up"})
        return {"name": self.name, **chosen}

    @property
    def noise(self) -> Noise:
        return Noise(self.wrong_same, self.wrong_different)


class _Recipe(BaseModel):
    model_config = ConfigDict(extra="forbid")

    source: list[Source] = Field(min_length=1)


def read_recipe(file: Path) -> list[Source]:
    """The sources of a recipe.

    Raises `OSError`, and `ValueError` naming the file and what is wrong in it.
    """
    try:
        sources = _Recipe.model_validate(tomllib.loads(file.read_text("utf-8"))).source
    except ValidationError as error:
        place, message = faults_of(error)[0]
        raise ValueError(f"{file}: {path(place)}: {message}") from None
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    if not any(source.calibration for source in sources):
        raise ValueError(f"{file}: no source has calibration; give it to those of the best labels")
    return sources


def names(sources: Sequence[Source]) -> list[str]:
    """A name for each source, with a number where an earlier one has the same."""
    own = [source.name for source in sources]
    return [
        name if name not in own[:k] else f"{name} ({own[:k].count(name) + 1})"
        for k, name in enumerate(own)
    ]


def user_sources(pairs: Path, groups: Path | None) -> list[Source]:
    """A recipe for one file of people's pairs, which count, and one of a teacher's groups."""
    people = Source(pairs=str(pairs), share=0.5, calibration=1.0)
    padding = Source(made_up="padded", share=0.2)
    teacher = [] if groups is None else [Source(groups=str(groups), share=0.5)]
    return [people, *teacher, padding]


def gather(
    sources: Sequence[Source], folder: Path, rule: TextRule, seed: int
) -> list[LabelledGroup]:
    """The labelled groups of all sources, files being in `folder` unless their paths are absolute.

    Pairs that two sources label count for the first alone. Raises `OSError`, and `ValueError`
    naming the line of a file that is not what its source says.
    """
    gathered: list[LabelledGroup] = []
    for number, source in enumerate(sources):
        random = np.random.default_rng([seed, number])
        trusted = [group for group in gathered if sources[group.source].calibration]
        if source.groups is not None:
            labelled = list(
                of_groups(read_groups(folder / source.groups, rule), number, source.noise)
            )
        elif source.pairs is not None:
            labelled = list(of_pairs(read_pairs(folder / source.pairs, rule), number, source.noise))
        else:
            labelled = _made_up(source, trusted, number, random)
        labelled = not_labelled_in(gathered, labelled)
        if source.max_pairs is not None:
            labelled = _sample(labelled, source.max_pairs, random)
        if source.labels_by is not None:
            labelled = _labelled_by(source.labels_by, labelled)
        gathered += labelled
    return gathered


def _made_up(
    source: Source, trusted: Sequence[LabelledGroup], number: int, random: np.random.Generator
) -> list[LabelledGroup]:
    match source.made_up:
        case "padded":
            copies = padded(trusted, random)
        case "wrapped":
            copies = wrapped(trusted, random)
        case "hand_written":
            return list(of_groups(hand_written(), number, source.noise))
        case "languages":
            return list(of_groups(languages(random), number, source.noise))
        case "look_alikes":
            return list(of_groups(look_alikes(random), number, source.noise))
        case "tool_calls":
            return list(of_groups(tool_calls(random), number, source.noise))
        case _:
            return list(of_groups(short_answers(random), number, source.noise))
    return [replace(copy, source=number) for copy in copies]


def _sample(
    groups: Sequence[LabelledGroup], count: int, random: np.random.Generator
) -> list[LabelledGroup]:
    """At most `count` pairs at random, in their groups."""
    total = sum(len(group.pairs) for group in groups)
    if total <= count:
        return list(groups)
    kept = np.zeros(total, dtype=np.bool_)
    kept[random.permutation(total)[:count]] = True
    ends = np.cumsum([len(group.pairs) for group in groups])[:-1]
    return [
        replace(group, pairs=group.pairs[keep], target=group.target[keep], stored=None)
        for group, keep in zip(groups, np.split(kept, ends), strict=True)
        if keep.any()
    ]


def _labelled_by(model: str, groups: Sequence[LabelledGroup]) -> list[LabelledGroup]:
    """The groups with a model's probabilities for targets. Raises `ModelError`."""
    teacher = load(model)
    return [
        replace(
            group,
            target=np.clip(
                classify(teacher, group.prompt, group.texts, group.pairs),
                1 - MAX_CERTAINTY,
                MAX_CERTAINTY,
            ),
            stored=None,
        )
        for group in groups
    ]
