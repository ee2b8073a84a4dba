"""Partitions from probabilities: linkage, and which pairs single linkage still has to ask about."""
