"""Runs a notebook's cells as Jupyter does: in one namespace, while an event loop is running.

python -m tests.notebooks docs/in_process.ipynb   # writes what its cells print into it
"""

import asyncio
import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any


def read(path: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path.read_text())
    return notebook


def run(notebook: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The outputs of each code cell, in the form in which a notebook holds them."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return asyncio.run(_outputs(["".join(cell["source"]) for cell in cells]))


async def _outputs(codes: list[str]) -> list[list[dict[str, Any]]]:
    names: dict[str, Any] = {"__name__": "__main__"}
    outputs = []
    for code in codes:
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile(code, "cell", "exec"), names)
        lines = printed.getvalue().splitlines(keepends=True)
        stream = {"name": "stdout", "output_type": "stream", "text": lines}
        outputs.append([stream] if lines else [])
    return outputs


def main(path: Path) -> None:
    notebook = read(path)
    cells = (cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    for cell, outputs in zip(cells, run(notebook), strict=True):
        cell["outputs"] = outputs
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
