"""Labelling one's own rollouts with a judge, to train on. Start at `command`."""
