"""Prints what got slower and what got faster between two runs of the benchmarks.

    python -m benchmarks.compare OLD.json NEW.json [--tolerance 0.1]

A figure has changed when its median moved by more than the tolerance and its range no longer holds
the old median. The exit status is 1 when anything got worse.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.figures import Figure, read


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--tolerance", type=float, default=0.1)
    given = parser.parse_args()
    (old_machine, old), (new_machine, new) = read(given.old), read(given.new)
    if old_machine != new_machine:
        print(f"the machines differ: {old_machine} and {new_machine}; compare ratios only")
    worse = 0
    for name in sorted(old.keys() & new.keys()):
        change = changed(old[name], new[name], given.tolerance)
        if change:
            worse += change < 0
            word = "worse " if change < 0 else "better"
            print(f"{word}  {name}: {old[name]} -> {new[name]}")
    for name in sorted(old.keys() - new.keys()):
        print(f"gone    {name}: {old[name]}")
    print(f"{worse} worse of {len(old.keys() & new.keys())}")
    return 1 if worse else 0


def changed(old: Figure, new: Figure, tolerance: float) -> int:
    """Returns -1 if the figure got worse, 1 if it got better, and 0 otherwise."""
    moved = abs(new.value - old.value) > tolerance * abs(old.value)
    if not moved or new.low <= old.value <= new.high:
        return 0
    return 1 if (new.value < old.value) == (new.better == "lower") else -1


if __name__ == "__main__":
    sys.exit(main())
