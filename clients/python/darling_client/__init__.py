"""Client of the Darling Reward service, which rewards quality and diversity of rollouts."""

from darling_client._asynchronous import AsyncClient
from darling_client._errors import (
    BadRequest,
    BadResponse,
    DarlingError,
    Misconfigured,
    Overloaded,
    Refused,
    TimedOut,
    TooLarge,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from darling_client._grouping import Grouping, consecutive, regroup
from darling_client._synchronous import Client
from darling_client._types import (
    CohortRollout,
    Group,
    GroupPartition,
    GroupPreference,
    GroupRewards,
    Model,
    Prompt,
    Rollout,
    RolloutReward,
    Run,
)

__version__ = "0.1.0"

__all__ = [
    "AsyncClient",
    "BadRequest",
    "BadResponse",
    "Client",
    "CohortRollout",
    "DarlingError",
    "Group",
    "GroupPartition",
    "GroupPreference",
    "GroupRewards",
    "Grouping",
    "Misconfigured",
    "Model",
    "Overloaded",
    "Prompt",
    "Refused",
    "Rollout",
    "RolloutReward",
    "Run",
    "TimedOut",
    "TooLarge",
    "Unauthorized",
    "Unavailable",
    "Unreachable",
    "consecutive",
    "regroup",
]
