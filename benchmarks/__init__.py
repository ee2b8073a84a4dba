"""Benchmarks of speed and quality on real processes; run one with `python -m benchmarks.NAME`."""
