"""Quality for rollouts whose callers cannot send it; `sources` lists where it comes from."""
