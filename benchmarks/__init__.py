"""Speed and quality, measured on real processes: python -m benchmarks.NAME."""
