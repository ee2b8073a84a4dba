"""How many cores and replicas do the work of a step in time, and how much memory they take."""

import math
from dataclasses import dataclass

from darling_service.sizing.cost import Memory
from darling_service.sizing.work import Groups


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known before sizing a fleet."""

    step_seconds: float
    """Seconds in which the groups of a step must be scored."""
    busy: float
    """Share of that time in which a core is to compute, above 0 and at most 1. The rest is for
    groups that come unevenly."""
    cores_per_replica: int
    spare: int
    """Replicas beyond those, which may be down."""
    cache_bytes: float


@dataclass(frozen=True, slots=True)
class Fleet:
    cores: int
    """Cores (or GPUs) that the work needs."""
    replicas: int
    """Replicas with so many cores, and the spare ones."""
    group_seconds: float
    """Seconds that a group takes on the cores of one replica, when nothing else is there."""
    replica_bytes: float | None
    """Memory of a replica when the step's groups are sent at once; None where it is unknown."""

    @property
    def total_bytes(self) -> float | None:
        return None if self.replica_bytes is None else self.replica_bytes * self.replicas


def fleet(groups: Groups, core_seconds: float, plan: Plan, memory: Memory | None) -> Fleet:
    """The smallest fleet for groups that take `core_seconds` on one core.

    Work is taken to spread evenly over cores, which it does in packs of texts. Raises `ValueError`
    for a plan that no fleet can meet.
    """
    if not (plan.step_seconds > 0 and 0 < plan.busy <= 1 and plan.cores_per_replica >= 1):
        raise ValueError(
            "step_seconds and cores_per_replica are above 0, and busy is above 0 and at most 1; "
            f"got {plan}"
        )
    cores = max(math.ceil(core_seconds / (plan.step_seconds * plan.busy) - 1e-9), 1)
    working = math.ceil(cores / plan.cores_per_replica)
    held = math.ceil(groups.count / working)
    replica_bytes = None
    if memory is not None:
        tokens = held * (groups.rollouts * groups.tokens + groups.prompt_tokens)
        replica_bytes = memory.of(held * (groups.rollouts + 1), tokens, plan.cache_bytes)
    return Fleet(
        cores=cores,
        replicas=working + plan.spare,
        group_seconds=core_seconds / max(groups.count, 1) / plan.cores_per_replica,
        replica_bytes=replica_bytes,
    )
