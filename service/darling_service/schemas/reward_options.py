"""How rewards and advantages are made from quality and diversity: the options of a request."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from darling_service.rewards.advantages import Estimator
from darling_service.rewards.diversity import Measure
from darling_service.rewards.objectives import Objective
from darling_service.rewards.pass_at_k import Attempts
from darling_service.rewards.rarity import UNLIKELINESS
from darling_service.rewards.shaping import Negative
from darling_service.schemas.fields import Number, Strict


class Weights(Strict):
    quality: Number = Field(1.0, ge=-1e6, le=1e6)
    diversity: Number = Field(1.0, ge=-1e6, le=1e6)


class RewardOptions(Strict):
    objective: Objective = "darling"
    diversity: Literal[Measure, "volume"] = Field(
        "partition", description="How distinctness is measured."
    )
    soft: bool = Field(False, description="Pairwise: use probabilities instead of decisions.")
    floor: float = Field(0.0, ge=0, le=1, description="Least diversity multiplier.")
    exponent: float = Field(1.0, gt=0, le=100, description="d ** exponent, before the floor.")
    weights: Weights = Field(Weights(), description="Of the additive objective.")
    normalize: Literal["none", "zscore"] = Field(
        "none", description="Additive: z-score quality and diversity in the group first."
    )
    among: Literal["all", "correct", "quality"] = Field(
        "all",
        description="Count diversity only among correct rollouts, or those of at least "
        "`min_quality`; the others get diversity 0 and keep their quality.",
    )
    min_quality: Number | None = Field(None, description="Required by among = quality.")
    negative: Negative | Literal["refuse"] = Field(
        "sign_aware", description="Policy for negative quality."
    )
    outcome: Literal["answer", "class"] = Field(
        "answer",
        description="What gapo, evol and exploration count as one outcome: equal `answer`s, or the "
        "classes of the partition.",
    )
    support: int | None = Field(
        None, ge=1, description="GAPO: how many valid outcomes the prompt has."
    )
    rank_weight: float = Field(UNLIKELINESS, ge=0, le=1, description="Of unlikeliness.")
    seed: int = Field(0, ge=0, lt=2**63, description="Of the vector objective's random weights.")
    advantage: Estimator | Attempts | None = Field(None, description="Also return advantages.")
    k: int | None = Field(None, ge=1, description="Tries, for pass_at_k and pkpo.")
    positive_weight: float = Field(
        0.1, ge=0, le=1e6, description="W-REINFORCE: advantage of a correct rollout."
    )
    uniqueness: float | None = Field(
        None, ge=0, le=10, description="Advantages times class size to minus this power."
    )
    uniqueness_of: Literal["positive", "all"] = Field(
        "positive", description="Advantages that uniqueness scales; all is as published."
    )
    exploration: Literal["none", "batch", "visits"] = Field(
        "none", description="Bonus for rare outcomes, added to advantages."
    )
    exploration_weight: Number = Field(0.2, ge=0, le=1e6, description="Of that bonus.")
    exploration_baseline: Number | None = Field(
        None, ge=0, le=1, description="Taken off the bonus by visits; default 0.5."
    )
    parity: Literal["darling"] | None = Field(
        None, description="Exactly the published reward code; no other option may stand beside it."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.among == "quality" and self.min_quality is None:
            raise ValueError("among = 'quality' needs min_quality; add it")
        if self.among != "quality" and self.min_quality is not None:
            raise ValueError("min_quality needs among = 'quality'; add it or drop min_quality")
        if self.normalize != "none" and self.objective != "additive":
            raise ValueError(
                "normalize belongs to the additive objective: a z-score makes half the group "
                "negative and a product meaningless; set objective = 'additive' or drop normalize"
            )
        if self.soft and self.diversity != "pairwise":
            raise ValueError("soft needs diversity = 'pairwise'; set it or drop soft")
        if self.diversity == "volume" and self.objective == "darling":
            raise ValueError(
                "volume is a term to add, not a factor; set objective = 'additive', with alpha as "
                "weights.diversity"
            )
        if self.objective == "gapo" and self.support is None:
            raise ValueError("objective = 'gapo' needs support, the number of valid outcomes")
        if self.advantage in ("pass_at_k", "pkpo") and self.k is None:
            raise ValueError(f"advantage = {self.advantage!r} needs k, the number of tries; add it")
        if self.exploration == "visits" and self.outcome == "class":
            raise ValueError(
                "exploration = 'visits' counts over steps, and classes are numbered anew in each "
                "group; give every rollout an `answer` and drop outcome"
            )
        for name, (chooser, choices) in BELONGS.items():
            changed = getattr(self, name) != type(self).model_fields[name].default
            if changed and getattr(self, chooser) not in choices:
                raise ValueError(
                    f"{name} belongs to {chooser} = {' or '.join(map(repr, choices))}; set that or "
                    f"drop {name}"
                )
        if self.outcome == "class" and not self.needs_outcomes:
            raise ValueError(
                "outcome belongs to objective = 'gapo' or 'evol', or to exploration; set one of "
                "them or drop outcome"
            )
        if self.uniqueness_of == "all" and self.uniqueness is None:
            raise ValueError("uniqueness_of needs uniqueness; set it or drop uniqueness_of")
        if self.advantage is None and (self.uniqueness is not None or self.exploration != "none"):
            name = "exploration" if self.uniqueness is None else "uniqueness"
            raise ValueError(f"{name} changes advantages; set advantage or drop {name}")
        extra = self.model_fields_set - {"parity", "advantage", "objective", "k"}
        if self.parity and (extra or self.objective != "darling"):
            raise ValueError(
                "parity fixes every option but advantage; drop "
                + ", ".join(sorted(extra) or ["objective"])
            )
        return self

    @property
    def needs_quality(self) -> bool:
        """Whether the reward is made of the rollouts' quality."""
        return self.objective in ("darling", "additive", "quality", "unlikeliness")

    @property
    def needs_outcomes(self) -> bool:
        return self.objective in ("gapo", "evol") or self.exploration != "none"

    @property
    def needs_correctness(self) -> bool:
        of_advantage = self.advantage in ("pass_at_k", "psr", "nsr", "w_reinforce")
        return of_advantage or self.objective == "gapo"

    @property
    def needs_vectors(self) -> bool:
        """Whether the classifier must give cosines of the texts beside probabilities."""
        return self.diversity == "volume" or self.objective == "evol"


SHAPED = ("darling", "additive", "diversity")
BELONGS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "floor": ("objective", SHAPED),
    "exponent": ("objective", SHAPED),
    "weights": ("objective", ("additive",)),
    "support": ("objective", ("gapo",)),
    "rank_weight": ("objective", ("unlikeliness",)),
    "seed": ("objective", ("vector",)),
    "k": ("advantage", ("pass_at_k", "pkpo")),
    "positive_weight": ("advantage", ("w_reinforce",)),
    "exploration_weight": ("exploration", ("batch", "visits")),
    "exploration_baseline": ("exploration", ("visits",)),
}
"""Options that mean something only beside a certain choice."""

PUBLISHED = RewardOptions(floor=0.1, negative="as_published")
"""What `parity: darling` stands for, with single linkage and the short-answer rule."""
