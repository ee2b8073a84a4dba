"""Scoring one group: texts to a partition, the partition to rewards, rewards to advantages."""
