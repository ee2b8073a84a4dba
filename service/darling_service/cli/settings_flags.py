"""A flag for each setting, for the commands that load a model."""

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darling_service.settings import Settings

PREFIX = "set_"
"""Start of the flags' names in the parsed arguments."""
SECRET = frozenset({"api_key", "api_keys", "judge_api_key"})
"""Settings whose values no message repeats, whatever they are."""
URLS = frozenset({"history_url", "cache_url"})
"""Settings that are a secret where they name a user or a password."""


def is_secret(name: str, value: object) -> bool:
    """Whether nobody else may see the value of this setting."""
    if name in URLS:
        return "@" in str(value) or "password" in str(value)  # both Redis and libpq read the latter
    return name in SECRET


def add_settings(parser: argparse.ArgumentParser, *, server: bool) -> None:
    """Adds the flags; those that only a server needs are left out unless `server`."""
    from darling_service.settings import SERVER_ONLY, Settings

    for name, field in Settings.model_fields.items():
        if server or name not in SERVER_ONLY:
            default = "" if field.default is None else f" Default: {field.default}."
            parser.add_argument(
                f"--{name.replace('_', '-')}",
                dest=f"{PREFIX}{name}",
                metavar="VALUE",
                help=f"{field.description}{default} [DARLING_{name.upper()}]".replace("%", "%%"),
            )


def read_settings(arguments: argparse.Namespace, *, tell: bool = True) -> "Settings":
    """The settings of flags and environment. Raises `ValueError` naming the one that is wrong.

    `tell`: whether variables that are misspelt are told on standard error.
    """
    from pydantic import ValidationError

    from darling_models.faults import message_of
    from darling_service.misspelt import misspelt
    from darling_service.settings import Settings

    if tell:
        for line in misspelt(os.environ, Settings.model_fields):
            print(f"darling-reward: {line}", file=sys.stderr)

    values: dict[str, Any] = {
        name.removeprefix(PREFIX): value
        for name, value in vars(arguments).items()
        if name.startswith(PREFIX) and value is not None
    }
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        message = message_of(first["type"], str(first["msg"]))
        value = "" if is_secret(name, first["input"]) else f" is {first['input']!r}"
        raise ValueError(
            f"--{name.replace('_', '-')} (DARLING_{name.upper()}){value}: {message}"
        ) from None
