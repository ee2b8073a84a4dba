"""Where a checkpoint is: in a local folder, or on the Hugging Face hub under an id.

A mistyped path looks like an id of the hub, and libraries then ask the hub again and again before
they say that it does not answer. Here the folder is looked for first, and the hub is asked once.
The hub's client is imported only then, because that takes half a second.
"""

from dataclasses import dataclass
from pathlib import Path

from darling_models.errors import ModelError

HUB_S = 5.0
"""Seconds that the hub has to answer at all. It takes a fraction of one; a network that drops
packets would otherwise hold the start for a minute."""
CONFIGS = ("config.json", "modules.json")
"""Files of which every checkpoint on the hub has one."""
READABLE = 0o644
"""Mode of the weights of a trained checkpoint: safetensors writes them for their owner alone, and
the service may run as another user, such as the one of a container."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    source: str
    """A folder or an id of the hub, as `from_pretrained` takes it."""
    cached_only: bool
    """Whether the hub does not answer, so that only its cache on this machine is read."""
    missing: str = ""
    """That no folder has this name, where the source is therefore an id of the hub."""

    def failure(self, what: str, error: Exception) -> ModelError:
        """The error that says why `what`, such as "a tokenizer", cannot be loaded from here."""
        reason = " ".join(str(error).split())
        if not self.missing:
            return ModelError(f"cannot load {what} from the folder {self.source!r}: {reason}")
        return ModelError(
            f"{self.missing}, and the Hugging Face hub gives no {what.partition(' ')[2]} of that "
            f"name: {reason}"
        )


def locate(name: str) -> Checkpoint:
    """The checkpoint at a path (`~` is the home folder) or under an id of the hub.

    Raises `ModelError` if there is no such folder and the name is no id, or if the hub does not
    answer and its cache on this machine has no such id.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return Checkpoint(str(folder), cached_only=False)
    missing = f"there is no folder {name!r} below {Path.cwd()}"
    if Path(name).is_absolute() or name.startswith("~"):
        missing = f"there is no folder {name!r}"
    if folder.exists():
        raise ModelError(f"{name!r} is a file; give the folder of the checkpoint")
    if not _may_be_id(name):
        raise ModelError(f"{missing}; check the path")
    silence = _hub_silence(name)
    from huggingface_hub import try_to_load_from_cache

    cached = any(isinstance(try_to_load_from_cache(name, file), str) for file in CONFIGS)
    if silence is not None and not cached:
        raise ModelError(
            f"{missing}, and {silence}, which may have a model of that name; check the path"
        )
    return Checkpoint(name, cached_only=silence is not None, missing=missing)


def let_others_read(folder: Path) -> None:
    """Lets every user read the weights that this process has written into the folder."""
    for file in folder.glob("*.safetensors"):
        file.chmod(READABLE)


def _may_be_id(name: str) -> bool:
    """Whether the hub could have a model of this name, such as `owner/model`."""
    if name.startswith((".", "/", "~")):
        return False
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def _hub_silence(name: str) -> str | None:
    """Why the Hugging Face hub does not answer; None if it does, whatever it says."""
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set, so nobody asks the Hugging Face hub"
    try:
        HfApi().model_info(name, timeout=HUB_S)
    except HfHubHTTPError:
        return None
    except Exception as error:  # which HTTP library the hub's client uses is its own affair
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        return f"nobody can reach the Hugging Face hub ({reason})"
    return None
