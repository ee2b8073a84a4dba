"""Tuning the encoder's upper layers on labelled groups."""
