"""Finds Chromium for the console's tests, and installs Debian's where that can be done.

`make test-console` runs it first: a missing browser is said with its cure, and no test is skipped.
"""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome")
INSTALL = (
    ["apt-get", "update", "--quiet"],
    ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "chromium"],
)


def find() -> str | None:
    """The path of a browser: that of the variable CHROMIUM, or one on the path; None if none is."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def main() -> None:
    """Exits with a message where there is no browser and none can be installed."""
    if find() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in INSTALL:
            subprocess.run(command, check=True)
    if find() is None:
        sys.exit(
            "test-console: there is no Chromium; install one (on Debian as root: apt-get install "
            "chromium), or name it: CHROMIUM=/path/to/chrome make test-console"
        )


if __name__ == "__main__":
    main()
