"""The objectives that are compared: the request to the service, and the text it is about."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Compared:
    asked: dict[str, Any]
    """The options of TRL's adapter: the fields of `POST /v1/rewards` other than `groups`, and
    `send` where the policy is to get the service's advantage."""
    normal_form: bool = True
    """Whether the service gets the normal form of the expression instead of the raw text."""


DARLING = {"objective": "darling"}


def _advantage(name: str, **options: Any) -> Compared:
    """Quality alone as the reward, and the service's advantage for the policy."""
    reward = {"objective": "quality", "advantage": name, **options}
    return Compared({"reward": reward, "model": "exact", "send": "advantage"})


OBJECTIVES = {
    "quality": Compared({"reward": {"objective": "quality"}, "model": "exact"}),
    "darling": Compared({"reward": DARLING, "model": "exact"}),
    "ngram": Compared({"reward": DARLING | {"diversity": "ngram"}, "model": "exact"}, False),
    "additive": Compared({"reward": {"objective": "additive"}, "model": "exact"}),
    "classifier": Compared({"reward": DARLING, "model": "embedded"}, False),
    "share": Compared({"reward": DARLING | {"diversity": "share"}, "model": "exact"}),
    "maxrl": _advantage("maxrl"),
    "f-grpo": _advantage("centered", focal=1.0),
    "poly-epo": _advantage("poly_epo", k=4),
    "dra-grpo": Compared(
        {"reward": DARLING | {"diversity": "graph_cut"}, "model": "embedded"}, False
    ),
    "mmr-grpo": Compared({"reward": {"objective": "mmr"}, "model": "embedded"}, False),
}
"""Those that need neither a state nor log-probabilities, which TRL hands to no reward function, nor
an advantage that does not sum to 0, which TRL would change."""
