"""Quality for rollouts whose callers cannot send it: the sources, by name."""
