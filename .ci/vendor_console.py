"""Fetches the console's libraries from npm at pinned versions, with their licences.

`make vendor-console` runs it; what it writes to `service/console/vendor` is committed.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

VENDOR = Path(__file__).parent.parent / "service/console/vendor"
PACKAGES = {
    "preact": "11.2.0",
    "htm": "3.1.1",
    "uplot": "1.6.32",
    "@fontsource-variable/inter": "5.3.0",
}
FILES = {
    "preact/dist/preact.mjs": "preact.js",
    "preact/hooks/dist/hooks.mjs": "preact-hooks.js",
    "htm/dist/htm.mjs": "htm.js",
    "uplot/dist/uPlot.esm.js": "uplot.js",
    "uplot/dist/uPlot.min.css": "uplot.css",
    "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2": "inter.woff2",
    **{f"{name}/LICENSE": f"licences/{name.rpartition('/')[2]}.txt" for name in PACKAGES},
}
"""Files of the packages, by their names here."""


def main() -> None:
    shutil.rmtree(VENDOR, ignore_errors=True)
    (VENDOR / "licences").mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        wanted = [f"{name}@{version}" for name, version in PACKAGES.items()]
        npm = ["npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run([*npm, *wanted], check=True)
        for source, target in FILES.items():
            shutil.copyfile(Path(folder) / "node_modules" / source, VENDOR / target)
    for script in VENDOR.glob("*.js"):
        text = script.read_text()
        # A browser knows no packages, and the maps are not there.
        text = text.replace('from"preact"', 'from"./preact.js"')
        lines = [line for line in text.splitlines() if not line.startswith("//# sourceMappingURL=")]
        script.write_text("\n".join(lines).strip() + "\n")


if __name__ == "__main__":
    main()
