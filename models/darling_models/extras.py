"""Optional packages: which extra brings them, and what to type when one is missing.

Commands ask for theirs before any work. The distribution is on no package index, so the way to an
extra is the repository.
"""

from collections.abc import Iterable
from importlib.util import find_spec

from darling_models.errors import ModelError


def require(extra: str, modules: Iterable[str]) -> None:
    """Raises `ModelError` if one of the modules that an extra brings is not installed."""
    for module in modules:
        if not _is_installed(module):
            package = module.replace("_", "-").replace(".", "-")
            raise ModelError(f"the package {package} is not installed; {how_to_install(extra)}")


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # nor is the package that it belongs to
        return False
    except ValueError:  # it is loaded, and its loader has left no specification
        return True


def how_to_install(extra: str) -> str:
    return f"in the folder of the repository, type pip install '.[{extra}]'"
