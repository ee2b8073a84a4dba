"""Ends each named file with exactly one newline; exits with 1 if it changed any.

python .ci/final_newline.py FILE...
"""

import sys
from pathlib import Path


def mend(path: Path) -> bool:
    """Whether the file had to be changed; an empty one stays empty."""
    content = path.read_bytes()
    ending = b"\r\n" if content.endswith(b"\r\n") else b"\n"
    wanted = content.rstrip(b"\r\n") + ending if content.strip() else b""
    if wanted == content:
        return False
    path.write_bytes(wanted)
    print(f"{path}: ended with one newline")
    return True


if __name__ == "__main__":
    changed = [mend(Path(name)) for name in sys.argv[1:]]
    sys.exit(any(changed))
