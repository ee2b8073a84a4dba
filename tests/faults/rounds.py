"""How often a fault is tried: a few times in `make test-faults`, often in `make soak`."""

import os

import pytest

ROUNDS = [3, pytest.param(int(os.environ.get("FAULT_ROUNDS", "200")), marks=pytest.mark.soak)]
"""Values of a test's parameter `rounds`; FAULT_ROUNDS is the number of the long form."""
