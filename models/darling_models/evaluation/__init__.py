"""Measuring any classifier against baselines on labelled data. Start at `command`."""
