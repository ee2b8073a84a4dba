"""Records answers to the stored requests, or compares two recordings bit for bit.

python -m tests.stored record               answers of entries that have none yet
python -m tests.stored record --out FILE    answers of all entries, into a file of your own
python -m tests.stored compare OLD NEW      fails, and says where, if any bit differs
"""

import argparse
import sys
from pathlib import Path

from tests.stored.comparing import differences
from tests.stored.entries import ANSWERS, read_answers, read_entries, write_answers
from tests.stored.sending import answers_of


def record(out: Path | None) -> int:
    """Every entry is sent, since some depend on those before them."""
    entries = read_entries()
    found = answers_of(entries)
    kept = read_answers() if out is None else {}
    write_answers({name: kept.get(name, answer) for name, answer in found.items()}, out or ANSWERS)
    new = [name for name in found if name not in kept]
    print("\n".join(new if out is None else []), f"{len(new)} of {len(found)} answers", sep="\n")
    return 0


def compare(old: Path, new: Path) -> int:
    before, after = read_answers(old), read_answers(new)
    told = [f"{name}: only in one of the two" for name in sorted(before.keys() ^ after.keys())]
    for name in before.keys() & after.keys():
        told += [f"{name}{what}" for what in differences(before[name], after[name], 0.0)]
    print("\n".join([*sorted(told), f"{len(before)} entries, {len(told)} differences"]))
    return int(bool(told) or not before)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.stored", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record")
    recording.add_argument("--out", type=Path, metavar="FILE")
    comparing = commands.add_parser("compare")
    comparing.add_argument("old", type=Path)
    comparing.add_argument("new", type=Path)
    given = parser.parse_args()
    return record(given.out) if given.command == "record" else compare(given.old, given.new)


if __name__ == "__main__":
    sys.exit(main())
