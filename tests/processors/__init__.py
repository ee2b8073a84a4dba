"""Tests as on other processors: `python -m tests.processors`, or `make test-processors`."""
