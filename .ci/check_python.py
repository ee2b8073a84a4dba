"""Exits with 1 unless this interpreter is one that the project supports. Runs on any Python."""

import sys

if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.stderr.write("%s is Python %d.%d\n" % ((sys.executable,) + sys.version_info[:2]))  # noqa: UP031, RUF005
    sys.exit(1)
