"""The settings that the API keys come from, and the refusal to serve others without one."""

import os
import socket
from ipaddress import ip_address
from pathlib import Path

from pydantic import ValidationInfo, field_validator
from pydantic_settings import BaseSettings

from darling_service.keys import ApiKey, only_key, read_keys

KEY_SOURCES = ("api_key", "api_key_file", "api_keys", "api_keys_file")
"""Settings that say which keys open the service; one of them at most is set."""


def blank_keys() -> dict[str, str | None]:
    """The variables of keys that are set to nothing, as when a secret was not mounted.

    An empty variable is no setting, and a service whose key is missing would be open to everyone.
    """
    names = {f"darling_{name}" for name in KEY_SOURCES}
    return {
        name.lower(): value
        for name, value in os.environ.items()
        if name.lower() in names and not value
    }


class KeySources(BaseSettings):
    """How the settings of `KEY_SOURCES` are checked and read; `Settings` declares them."""

    @field_validator(*KEY_SOURCES, mode="before", check_fields=False)
    @classmethod
    def _not_blank(cls, value: object) -> object:
        if isinstance(value, str) and not value.strip():
            raise ValueError(
                "blank, as when a secret was not mounted; set it, or unset it for a service "
                "without a key"
            )
        return value

    @field_validator(*KEY_SOURCES, check_fields=False)
    @classmethod
    def _holds_keys(cls, value: str | Path | None, info: ValidationInfo) -> str | Path | None:
        if value is not None:
            assert info.field_name is not None
            for other in KEY_SOURCES[: KEY_SOURCES.index(info.field_name)]:
                if info.data.get(other) is not None:
                    raise ValueError(f"{other} is set too; set one of the two")
            _keys(info.field_name, value)
        return value

    def keys(self) -> list[ApiKey]:
        """The keys as files and settings hold them now; none if callers need none.

        Raises `ValueError` if a file cannot be read or holds no keys.
        """
        for name in KEY_SOURCES:
            if (value := getattr(self, name)) is not None:
                return _keys(name, value)
        return []

    @property
    def key_file(self) -> Path | None:
        """The file that the keys are in, which may change while the service runs."""
        files = (getattr(self, name) for name in KEY_SOURCES if name.endswith("_file"))
        return next((file for file in files if file is not None), None)


def _keys(setting: str, value: str | Path) -> list[ApiKey]:
    """The keys that one of `KEY_SOURCES` stands for. Raises `ValueError` if there are none."""
    text = _text_in(value) if isinstance(value, Path) else value.strip()
    return read_keys(text) if setting.startswith("api_keys") else only_key(text)


def _text_in(file: Path) -> str:
    """The file's text without white space around it. Raises `ValueError` if there is none."""
    try:
        text = file.read_text("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the file cannot be read: {error}") from None
    if not text:
        raise ValueError("the file is empty; write the key into it")
    return text


def refuse_strangers_without_key(host: str, keys: list[ApiKey], allow_no_key: bool) -> None:
    """Raises `ValueError` if other machines could use the service without a key, unasked."""
    if keys or allow_no_key or _is_loopback(host):
        return
    raise ValueError(
        f"--host (DARLING_HOST) is {host!r}, which other machines can reach, and no API key is "
        "set: set --api-key-file or --api-keys-file (DARLING_API_KEY_FILE, DARLING_API_KEYS_FILE), "
        "listen on 127.0.0.1, or let everyone in with --allow-no-key true (DARLING_ALLOW_NO_KEY)"
    )


def _is_loopback(host: str) -> bool:
    """Whether a server that listens on this address is reached from this machine alone.

    A name that nobody knows is none: no server can listen on it, which the server says itself.
    """
    if not host:  # all addresses
        return False
    try:
        known = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return True
    return all(ip_address(str(at[0]).partition("%")[0]).is_loopback for *_, at in known)
