"""Fitting, cross-validating and describing the embedded classifier's head. Start at `command`."""
