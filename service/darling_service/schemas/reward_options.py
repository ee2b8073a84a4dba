"""How rewards and advantages are made from quality and diversity: the options of a request.

What a choice needs and which options mean something beside it is declared by its term
(`rewards.registry`); any other option that is set is refused by name.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from darling_service.rewards.pass_at_k import POSITIVE_WEIGHT
from darling_service.rewards.rarity import UNLIKELINESS
from darling_service.rewards.registry import (
    ADVANTAGES,
    DIVERSITIES,
    EXPLORATIONS,
    OBJECTIVES,
    OPTIONS,
    readers,
)
from darling_service.rewards.shaping import Negative
from darling_service.rewards.terms import MEMBERSHIP, Diversity, Term
from darling_service.schemas.fields import Number, Strict

if TYPE_CHECKING:
    ObjectiveName: TypeAlias = str
    DiversityName: TypeAlias = str
    RankingName: TypeAlias = str
    AdvantageName: TypeAlias = str
    ExplorationName: TypeAlias = str
else:
    # The registry's names, so that an unknown one is refused with those that exist.
    ObjectiveName = Literal[tuple(OBJECTIVES)]
    DiversityName = Literal[tuple(DIVERSITIES)]
    RankingName = Literal[tuple(name for name, measure in DIVERSITIES.items() if measure.factor)]
    AdvantageName = Literal[tuple(ADVANTAGES)]
    ExplorationName = Literal[("none", *EXPLORATIONS)]

MAX_OUTCOMES = 10**9
"""Largest number of valid outcomes: beside more of them, the share of one is rounding noise."""


class Weights(Strict):
    quality: Number = Field(1.0, ge=-1e6, le=1e6, description="Factor of the quality.")
    diversity: Number = Field(1.0, ge=-1e6, le=1e6, description="Factor of the diversity.")


class RewardOptions(Strict):
    objective: ObjectiveName = Field(
        "darling", description="How rewards are made; docs/objectives.md gives each formula."
    )
    diversity: DiversityName = Field(
        "partition", description="Measure of how distinct a rollout is from its group."
    )
    soft: bool = Field(
        False, description="Pairwise diversity from probabilities instead of decisions."
    )
    floor: float = Field(0.0, ge=0, le=1, description="Least value of the shaped diversity.")
    exponent: float = Field(
        1.0, gt=0, le=100, description="Power to which diversity is raised, before the floor."
    )
    weights: Weights = Field(Weights(), description="Weights of the additive objective.")
    normalize: Literal["none", "zscore"] = Field(
        "none",
        description="The additive objective standardises quality and diversity within the group "
        "before it adds them, if this is zscore.",
    )
    among: Literal["all", "correct", "quality"] = Field(
        "all",
        description="Rollouts among which diversity and uniqueness count: all, the correct ones, "
        "or those of at least `min_quality`. They are partitioned as if the others were not there; "
        "the others get diversity 0 and keep their quality.",
    )
    min_quality: Number | None = Field(
        None, description="Least quality that counts; required by among = quality."
    )
    negative: Literal[Negative, "refuse"] = Field(
        "sign_aware",
        description="Policy of the product (objective = darling) for negative quality.",
    )
    outcome: Literal["answer", "class"] = Field(
        "answer",
        description="What gapo, evol and exploration count as one outcome: equal `answer`s (all "
        "missing ones are one), or one class of the partition.",
    )
    support: int | None = Field(
        None,
        ge=1,
        le=MAX_OUTCOMES,
        description="Number of valid outcomes that the prompt has, for gapo.",
    )
    rank_weight: float = Field(
        UNLIKELINESS, ge=0, le=1, description="Weight of the rank by likelihood, for unlikeliness."
    )
    seed: int = Field(
        0,
        ge=0,
        lt=2**63,
        description="Seed of the vector objective's random weights, which also follow from the "
        "prompt. Send the number of the step to draw them anew in each.",
    )
    advantage: AdvantageName | None = Field(
        None,
        description="Estimator of advantages, to return beside the rewards. Estimators that look "
        "at correctness only (pass_at_k, psr, nsr, w_reinforce), and poly_epo, which looks at "
        "quality and classes, leave the rewards as they are.",
    )
    k: int | None = Field(
        None,
        ge=1,
        description="Number of tries, for pass_at_k and pkpo; size of a set in poly_epo.",
    )
    positive_weight: float = Field(
        POSITIVE_WEIGHT, ge=0, le=1e6, description="Advantage of a correct rollout in w_reinforce."
    )
    uniqueness: float | None = Field(
        None,
        ge=0,
        le=10,
        description="Power by which advantages shrink with class size: A * |C(i)| ** -uniqueness. "
        "With `among`, only the advantages of its rollouts do, by their classes among themselves.",
    )
    uniqueness_of: Literal["positive", "all"] = Field(
        "positive", description="Advantages that uniqueness scales; all is as published."
    )
    focal: float | None = Field(
        None,
        ge=0,
        le=100,
        description="Power by which the advantages of a group shrink with its share of correct "
        "rollouts: A * (1 - share) ** focal.",
    )
    exploration: ExplorationName = Field(
        "none", description="Bonus for what is rare or unlike the others, added to advantages."
    )
    exploration_weight: Number = Field(
        0.2, ge=0, le=1e6, description="Factor of the exploration bonus."
    )
    wrong_ratio: Number = Field(
        1.0, ge=0, le=1e6, description="Factor of smoothing's bonus for wrong rollouts."
    )
    exploration_baseline: Number | None = Field(
        None,
        ge=0,
        le=1,
        description="Constant taken off the bonus of exploration by visits. Default: 0.5.",
    )
    parity: Literal["darling"] | None = Field(
        None,
        description="The published reward code, exactly: its texts, threshold, partition and "
        "product. Only `advantage` and its `k` may stand beside it.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for check in (
            self._refuse_beside_parity,
            self._refuse_unread,
            self._require_given,
            self._refuse_contradictions,
        ):
            check()
        return self

    @property
    def terms(self) -> dict[str, Term]:
        """The terms that make this request's rewards and advantages, by the choosing option."""
        objective = OBJECTIVES[self.objective]
        terms: dict[str, Term] = {"objective": objective, "diversity": self.measure}
        if self.advantage is not None:
            terms["advantage"] = ADVANTAGES[self.advantage]
        if self.exploration != "none":
            terms["exploration"] = EXPLORATIONS[self.exploration]
        return terms

    @property
    def measure(self) -> Diversity:
        """The measure of diversity: the objective's own, or the chosen one."""
        return OBJECTIVES[self.objective].own_diversity or DIVERSITIES[self.diversity]

    @property
    def needs(self) -> frozenset[str]:
        """What must be known of a group (`rewards.terms.COLUMNS`)."""
        needs = frozenset().union(*(term.needs for term in self.terms.values()))
        return needs if self.focal is None else needs | {"correct"}

    @property
    def unsigned(self) -> bool:
        """Whether quality below 0 has no meaning for the advantage."""
        shifted = self.objective == "darling" and self.negative == "shift_min"
        chosen = self.advantage is not None and not ADVANTAGES[self.advantage].signed
        return chosen and not shifted and "quality" in OBJECTIVES[self.objective].needs

    def choice_that_needs(self, column: str) -> str:
        """The option whose choice needs a column that is among `needs`."""
        own = OBJECTIVES[self.objective].own_diversity
        terms = self.terms if own is None else {"objective": own, **self.terms}
        return next(choice for choice, term in terms.items() if column in term.needs)

    def resolved(self) -> "RewardOptions":
        """These options, with what `parity` stands for written out."""
        if self.parity is None:
            return self
        kept = {"parity": self.parity, "advantage": self.advantage, "k": self.k}
        return PUBLISHED.model_copy(update=kept)

    def within(self, tries: int) -> "RewardOptions":
        """These options for a group of `tries` rollouts: without an advantage over more of them."""
        if self.k is None or self.k <= tries:
            return self
        return self.model_copy(update={"advantage": None, "k": None})

    def _changed(self) -> Iterator[str]:
        for name, field in type(self).model_fields.items():
            if getattr(self, name) != field.default:
                yield name

    def _refuse_beside_parity(self) -> None:
        if self.parity is None:
            return
        own = self.model_fields_set - {"parity", "advantage", "k"}
        other = [name for name in sorted(own) if getattr(self, name) != getattr(PUBLISHED, name)]
        if other:
            raise ValueError(
                f"parity fixes every option but advantage and its k; drop {', '.join(other)}"
            )

    def _refuse_unread(self) -> None:
        """Refuses the options that mean nothing beside the chosen terms."""
        read = frozenset().union(*(term.options for term in self.terms.values()))
        if self.uniqueness is not None:
            read |= MEMBERSHIP
        for name in self._changed():
            if name in OPTIONS - read:
                places = [
                    f"{choice} = {' or '.join(map(repr, names))}" for choice, names in readers(name)
                ]
                if name in MEMBERSHIP:
                    places.append("uniqueness")
                raise ValueError(
                    f"{name} belongs to {' or '.join(places)}; set that or drop {name}"
                )

    def _require_given(self) -> None:
        for choice, term in self.terms.items():
            for name in sorted(term.required):
                if getattr(self, name) is None:
                    meaning = type(self).model_fields[name].description
                    raise ValueError(
                        f"{choice} = {getattr(self, choice)!r} needs {name}; add it ({meaning})"
                    )

    def _refuse_contradictions(self) -> None:
        if self.among == "quality" and self.min_quality is None:
            raise ValueError("among = 'quality' needs min_quality; add it")
        if self.among != "quality" and self.min_quality is not None:
            raise ValueError("min_quality needs among = 'quality'; add it or drop min_quality")
        if OBJECTIVES[self.objective].multiplies and not self.measure.factor:
            raise ValueError(
                f"{self.diversity} is a term to add, not a factor; set objective = 'additive', "
                "with its weight as weights.diversity"
            )
        if self.exploration == "visits" and self.outcome == "class":
            raise ValueError(
                "exploration = 'visits' counts over steps, and classes are numbered anew in each "
                "group; give every rollout an `answer` and drop outcome"
            )
        if self.advantage is None:
            for name, is_set in (
                ("uniqueness", self.uniqueness is not None),
                ("focal", self.focal is not None),
                ("exploration", self.exploration != "none"),
            ):
                if is_set:
                    raise ValueError(f"{name} changes advantages; set advantage or drop {name}")
        else:
            self._refuse_beside_advantage(self.advantage)
        if self.uniqueness_of == "all" and self.uniqueness is None:
            raise ValueError("uniqueness_of needs uniqueness; set it or drop uniqueness_of")

    def _refuse_beside_advantage(self, name: str) -> None:
        advantage = ADVANTAGES[name]
        if advantage.objectives is not None and self.objective not in advantage.objectives:
            places = " or ".join(map(repr, sorted(advantage.objectives)))
            raise ValueError(
                f"advantage = {name!r} belongs to objective = {places}; set that or choose another "
                "advantage"
            )
        scaled = self.uniqueness is not None and self.uniqueness_of == "positive"
        if scaled and not advantage.positive:
            raise ValueError(
                f"uniqueness scales advantages above 0, and advantage = {name!r} has none; set "
                "uniqueness_of = 'all' or drop uniqueness"
            )


PUBLISHED = RewardOptions(floor=0.1, negative="as_published")
"""What `parity: darling` stands for, with `requests.PUBLISHED_PARTITION`."""
