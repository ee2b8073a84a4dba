"""The names under which a request chooses how rewards are made.

A new objective, diversity or advantage is a function in a module of this package, a line here and a
row in `docs/objectives.md`; what it needs and which options it reads follow from its signature
(`terms`). `CONTRIBUTING.md` shows one being added.
"""

from collections.abc import Iterator, Mapping
from itertools import chain

from darling_service.rewards.advantages import centered, grpo, maxrl, rloo
from darling_service.rewards.diversity import (
    class_share,
    ngram_diversity,
    pairwise,
    partition_diversity,
    unlikelihood_diversity,
)
from darling_service.rewards.embedding_space import (
    evol,
    evol_diversity,
    graph_cut_diversity,
    set_diversity_exploration,
    volume_diversity,
)
from darling_service.rewards.objectives import additive, darling, diversity_alone, quality_alone
from darling_service.rewards.pass_at_k import (
    nsr,
    pass_at_k_advantages,
    pkpo_advantages,
    psr,
    w_reinforce,
)
from darling_service.rewards.rarity import (
    batch_exploration,
    gapo_rewards,
    smoothing_exploration,
    unlikeliness_rewards,
    visit_exploration,
)
from darling_service.rewards.relevance import mmr
from darling_service.rewards.set_advantage import poly_epo
from darling_service.rewards.terms import Advantage, Diversity, Exploration, Objective, Term
from darling_service.rewards.vector_policy import vector_advantages, vector_rewards

OBJECTIVES: Mapping[str, Objective] = {
    "darling": Objective(darling, multiplies=True),
    "additive": Objective(additive),
    "quality": Objective(quality_alone),
    "diversity": Objective(diversity_alone),
    "unlikeliness": Objective(unlikeliness_rewards),
    "gapo": Objective(gapo_rewards),
    "evol": Objective(evol, own_diversity=Diversity(evol_diversity)),
    "mmr": Objective(mmr),
    "vector": Objective(vector_rewards),
}

DIVERSITIES: Mapping[str, Diversity] = {
    "partition": Diversity(partition_diversity),
    "share": Diversity(class_share),
    "pairwise": Diversity(pairwise),
    "ngram": Diversity(ngram_diversity),
    "unlikelihood": Diversity(unlikelihood_diversity),
    "graph_cut": Diversity(graph_cut_diversity),
    "volume": Diversity(volume_diversity, factor=False),
}

UNSIGNED = frozenset({"darling", "quality", "diversity", "unlikeliness"})
"""The objectives whose rewards are at least 0 where quality is."""

ADVANTAGES: Mapping[str, Advantage] = {
    "centered": Advantage(centered),
    "grpo": Advantage(grpo),
    "rloo": Advantage(rloo),
    "maxrl": Advantage(maxrl, signed=False, objectives=UNSIGNED),
    "pass_at_k": Advantage(pass_at_k_advantages),
    "pkpo": Advantage(pkpo_advantages),
    "poly_epo": Advantage(poly_epo),
    "psr": Advantage(psr),
    "nsr": Advantage(nsr, positive=False),
    "w_reinforce": Advantage(w_reinforce),
    "vpo": Advantage(vector_advantages, objectives=frozenset({"vector"})),
}

EXPLORATIONS: Mapping[str, Exploration] = {
    "batch": Exploration(batch_exploration),
    "visits": Exploration(visit_exploration),
    "smoothing": Exploration(smoothing_exploration),
    "set_diversity": Exploration(set_diversity_exploration),
}

CHOICES: Mapping[str, Mapping[str, Term]] = {
    "objective": OBJECTIVES,
    "diversity": DIVERSITIES,
    "advantage": ADVANTAGES,
    "exploration": EXPLORATIONS,
}
"""The terms, by the option that chooses one of them and by name."""

OPTIONS = frozenset(
    chain.from_iterable(term.options for terms in CHOICES.values() for term in terms.values())
)
"""Every option that means something beside some terms only."""


def readers(option: str) -> Iterator[tuple[str, list[str]]]:
    """(choosing option, names) of the terms beside which an option means something."""
    for choice, terms in CHOICES.items():
        names = [name for name, term in terms.items() if option in term.options]
        if names:
            yield choice, names
