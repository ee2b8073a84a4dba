"""The Darling Reward HTTP service: prompts and rollout groups in, diversity-scaled rewards out."""

__version__ = "0.1.0"
