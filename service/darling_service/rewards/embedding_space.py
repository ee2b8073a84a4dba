"""Credit for distance in a space of embeddings: DQO's volume, EVOL-RL's novelty, DRA-GRPO's graph
cut and SetPO's set diversity."""

import math
from collections.abc import Hashable, Sequence

import numpy as np

from darling_service.rewards.exact import BoolArray, FloatArray
from darling_service.rewards.rarity import majority
from darling_service.rewards.rounding import is_flat


def volume_marginals(similarity: FloatArray) -> FloatArray:
    """DQO: what each rollout adds to the group's log-volume (arXiv 2509.04784). Shape (n,).

    log det(L + I_n) - log det(L without i + I_(n-1)), L the (n, n) Gram matrix of the rollouts'
    unit embeddings. In [0, log 2] for a unit diagonal; `alpha` times it is added to the reward.
    """
    n = len(similarity)
    inverse = np.linalg.inv(similarity + np.eye(n))
    # The ratio of a determinant to that of a principal minor is 1 over the inverse's entry.
    return -np.log(np.diagonal(inverse))


def volume_diversity(cosines: FloatArray, among: BoolArray, texts: Sequence[str]) -> FloatArray:
    """`volume_marginals` among some rollouts, 0 for the others. Shape (n,).

    Inverses round by position, so they are taken in the order of the texts, and copies share one.
    """
    marginals = np.zeros(len(among))
    order = sorted(np.flatnonzero(among).tolist(), key=lambda i: texts[i])
    shared: dict[str, float] = {}
    for i, value in zip(order, volume_marginals(cosines[np.ix_(order, order)]), strict=True):
        marginals[i] = shared.setdefault(texts[i], float(value))
    return marginals


def evol_diversity(outcomes: Sequence[str], cosines: FloatArray) -> FloatArray:
    """EVOL-RL's own measure of diversity: `evol_novelty` within the majority and within all other
    rollouts that have an outcome; 0 for those without. Shape (n,)."""
    valid = _valid(outcomes)
    agree = majority(outcomes, valid)
    novelty = np.zeros(len(outcomes))
    novelty[valid] = evol_novelty(cosines[np.ix_(valid, valid)], agree[valid].tolist())
    return novelty


def evol(outcomes: Sequence[str], diversity: FloatArray) -> FloatArray:
    """EVOL-RL's rewards of a group, `evol_rewards`, by who agrees with its majority. Shape (n,)."""
    valid = _valid(outcomes)
    return evol_rewards(diversity, majority(outcomes, valid), valid)


def _valid(outcomes: Sequence[str]) -> BoolArray:
    return np.asarray([outcome != "" for outcome in outcomes], dtype=np.bool_)


def evol_novelty(similarity: FloatArray, labels: Sequence[Hashable]) -> FloatArray:
    """EVOL-RL: novelty u_i in [0, 1] within the rollouts of i's own label (arXiv 2509.15194).

    1 - (mean cosine to the others of the same label + greatest cosine to anyone) / 2, then min-max
    scaled among those of the label; 0.5 where they are equal, up to rounding, or i is alone. A
    negative cosine counts as 0, as in the published code, whose labels are two: majority and
    minority. Shape (n,).
    """
    n = len(labels)
    similarity = np.clip(similarity, 0.0, 1.0)
    raw = np.zeros(n)
    for i in range(n):
        others = [j for j in range(n) if j != i]
        peers = [float(similarity[i, j]) for j in others if labels[j] == labels[i]]
        nearest = max((float(similarity[i, j]) for j in others), default=0.0)
        mean = math.fsum(peers) / len(peers) if peers else 0.0
        raw[i] = 1.0 - 0.5 * mean - 0.5 * nearest
    novelty = np.full(n, 0.5)
    for label in set(labels):
        own = np.asarray([other == label for other in labels])
        if not is_flat(raw[own]):
            low, high = raw[own].min(), raw[own].max()
            novelty[own] = (raw[own] - low) / (high - low)
    return novelty


def evol_rewards(novelty: FloatArray, majority: BoolArray, valid: BoolArray) -> FloatArray:
    """EVOL-RL: 0.5 + 0.5 u for the majority's answer, -1 + 0.5 u for others, -1 where there is no
    answer; a lone member of either kind gets the end of its range, 1 or -0.5 (arXiv 2509.15194).

    `majority`: whether a rollout's answer is the one most of the valid rollouts give. Shape (n,).
    """
    agree, differ = majority & valid, ~majority & valid
    shares = np.where(agree & (agree.sum() == 1) | differ & (differ.sum() == 1), 1.0, novelty)
    return np.where(agree, 0.5 + 0.5 * shares, np.where(differ, -1.0 + 0.5 * shares, -1.0))


def graph_cut_diversity(cosines: FloatArray, among: BoolArray) -> FloatArray:
    """DRA-GRPO: d_i = 1 / sum over j of cos(i, j), with cos(i, i) = 1 (arXiv 2505.09655).

    Shape (n,), in (0, 1]; 0 for rollouts outside `among`, which are not in the sum either. The sum
    over the others is the graph cut between i and them. A negative cosine counts as 0: the
    published code lets it in, and then d can exceed 1 or be negative. Its 1e-6 beside the sum,
    which is never below 1, is left out.
    """
    diversity = np.zeros(len(among))
    index = np.flatnonzero(among)
    for i, row in zip(index, np.clip(cosines[np.ix_(index, index)], 0.0, 1.0), strict=True):
        diversity[i] = 1.0 / math.fsum(row)
    return diversity


def set_diversity_exploration(cosines: FloatArray) -> FloatArray:
    """SetPO: D(S) - D(S without i), what each rollout adds to the set's diversity. Shape (n,).

    D(S) = mean over i of g(mean over j of k(i, j)), both over all of S, i = j among them, with
    g(x) = -log(1 + x) and k the cosine, not below 0 (arXiv 2602.01062). Times `exploration_weight`,
    lambda of the paper, it is added to advantages, and not centred. 0 for a group of one.
    """
    n = len(cosines)
    kernel = np.clip(cosines, 0.0, 1.0)
    if n == 1:
        return np.zeros(1)
    sums = np.asarray([math.fsum(row) for row in kernel])
    whole = math.fsum(-np.log1p(sums / n)) / n
    # Without i, each other row loses its similarity to i.
    rest = -np.log1p((sums[:, None] - kernel) / (n - 1))
    np.fill_diagonal(rest, 0.0)
    return np.asarray([whole - math.fsum(rest[:, i]) / (n - 1) for i in range(n)])
