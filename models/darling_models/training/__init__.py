"""Training and measuring the embedded classifier's head. Start at `command`."""
