"""Terms: the pure functions that rewards are made of, and what each of them asks for.

A term's signature is its whole declaration:

- positional parameters are columns: what the term must know of the group, named as in `COLUMNS`;
- keyword-only parameters are options: what a request may choose beside it, named as the fields of
  `RewardOptions`; one without a default must be given.

From this the service knows what a request must send, what the classifier must compute, and which
options would mean nothing and are refused. `registry` names the terms.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from inspect import Parameter, signature

from darling_service.rewards.exact import FloatArray

COLUMNS: Mapping[str, str] = {
    "prompt": "The prompt as one text.",
    "texts": "The rollouts' texts, n strings.",
    "quality": "The rollouts' quality, shape (n,).",
    "correct": "Whether each rollout is correct, shape (n,).",
    "outcomes": "What each rollout came to: its final answer or its class, n strings; '' for none.",
    "correct_outcomes": "Likewise, but classes are those of the correct rollouts alone.",
    "logprobs": "Mean log-probability per token of each rollout, shape (n,).",
    "solutions": "The scores of each rollout's solutions, n arrays of shape (m, k).",
    "among": "Which rollouts' diversity counts, shape (n,).",
    "partition": "The class of each rollout of `among`, partitioned alone; -1 for others, (n,).",
    "equivalent": "The classifier's decisions, shape (n, n).",
    "probabilities": "The classifier's probabilities, shape (n, n).",
    "cosines": "Cosines of the rollouts' vectors, shape (n, n).",
    "visits": "How often each rollout's outcome came in earlier steps of the run, shape (n,).",
    "diversity": "The rollouts' diversity, shaped by the request's options, shape (n,).",
    "rewards": "The rollouts' rewards, shape (n,).",
}
"""What a term may ask for, by the name of its parameter."""

MEMBERSHIP = frozenset({"among", "min_quality"})
"""Options that choose the rollouts whose diversity counts."""
SHAPING = MEMBERSHIP | {"floor", "exponent"}
"""Options that shape the diversity before a reward is made of it."""


@dataclass(frozen=True)
class Term:
    function: Callable[..., FloatArray]
    """Columns and options to one number for each rollout, shape (n,)."""

    @cached_property
    def columns(self) -> frozenset[str]:
        """The columns that the function asks for."""
        names = [p.name for p in self.parameters if p.kind is not Parameter.KEYWORD_ONLY]
        return frozenset(names) & COLUMNS.keys()

    @cached_property
    def needs(self) -> frozenset[str]:
        """The columns that must be known for it, those from which its columns are made among them:
        visits are counted by outcome."""
        made = frozenset({"visits", "correct_outcomes"})
        return self.columns | (frozenset({"outcomes"}) if made & self.columns else frozenset())

    @cached_property
    def options(self) -> frozenset[str]:
        """The options of a request that mean something beside this term."""
        names = {p.name for p in self.parameters if p.kind is Parameter.KEYWORD_ONLY}
        return frozenset(names | ({"outcome"} if "outcomes" in self.needs else set()))

    @cached_property
    def required(self) -> frozenset[str]:
        """The options that a request must give."""
        return frozenset(
            p.name
            for p in self.parameters
            if p.kind is Parameter.KEYWORD_ONLY and p.default is Parameter.empty
        )

    def __call__(self, columns: Mapping[str, object], options: object) -> FloatArray:
        """The function's numbers, shape (n,). `options` has the option names as attributes; None
        leaves an option at the function's own default."""
        arguments = {name: columns[name] for name in self.columns}
        for p in self.parameters:
            if p.kind is Parameter.KEYWORD_ONLY:
                value = getattr(options, p.name)
                if value is not None:
                    arguments[p.name] = value
        return self.function(**arguments)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        return tuple(signature(self.function).parameters.values())


@dataclass(frozen=True)
class Diversity(Term):
    """A measure of how distinct each rollout is from its group."""

    factor: bool = True
    """Whether it lies in [0, 1], so that it can multiply quality and rank rollouts."""


@dataclass(frozen=True)
class Objective(Term):
    """A way to make rewards. A function that takes `diversity` gets it shaped."""

    own_diversity: Diversity | None = None
    """The measure that the objective brings along; None: the one that a request chooses."""
    multiplies: bool = False
    """Whether diversity is a factor of the reward."""

    @cached_property
    def options(self) -> frozenset[str]:
        if self.own_diversity is not None:
            return super().options
        shaping = SHAPING if "diversity" in self.columns else frozenset[str]()
        return super().options | shaping | {"diversity"}


@dataclass(frozen=True)
class Advantage(Term):
    """A way to make advantages, what the policy gradient multiplies."""

    positive: bool = True
    """Whether any rollout's advantage can be above 0."""
    signed: bool = True
    """Whether it can be made of rewards below 0."""
    objectives: frozenset[str] | None = None
    """The objectives whose rewards it is made for; None: all of them."""

    @cached_property
    def options(self) -> frozenset[str]:
        return super().options | (MEMBERSHIP if "partition" in self.columns else frozenset())


@dataclass(frozen=True)
class Exploration(Term):
    """A bonus that is added to advantages, times `exploration_weight`."""

    @cached_property
    def options(self) -> frozenset[str]:
        return super().options | {"exploration_weight"}
