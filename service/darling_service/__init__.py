"""The Darling Reward HTTP service: prompts and rollout groups in, diversity-scaled rewards out."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darling_service.in_process import Scorer, score_groups

__all__ = ["Scorer", "__version__", "score_groups"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`Scorer` and `score_groups`, which bring the whole pipeline, only when they are used."""
    if name in ("Scorer", "score_groups"):
        from darling_service import in_process

        return getattr(in_process, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
