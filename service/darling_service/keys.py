"""API keys: what is kept of one, and which key a caller has sent.

A service has one key, or several with a name each. Of a named key only its SHA-256 is kept, in one
line with the limits of its callers:

    NAME sha256:HASH [max_per_second=N] [max_in_flight=N]

A fast hash is enough, since `new_key` makes keys that nobody can guess. Two lines of one name are
two keys of one caller, which has the same runs with either: so a key is replaced by another.
"""

import logging
import math
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import TypeVar

log = logging.getLogger(__name__)

KEY_BYTES = 32
"""Random bytes of a new key: 256 bits, as many as its hash has."""
MAX_NAME_CHARS = 64
"""Characters of a key's name, which is repeated in the log."""
NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME_CHARS - 1}}}")
HASH = re.compile(r"sha256:([0-9a-f]{64})")
FORM = "NAME sha256:HASH [max_per_second=N] [max_in_flight=N]"
Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the callers with one key; None limits nothing."""

    max_per_second: float | None = None
    """Requests a second, of which one second's worth may come at once."""
    max_in_flight: int | None = None
    """Requests that are being answered at one time."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    name: str
    """Whose key it is; empty for the only key of a service."""
    digest: str
    """SHA-256 of the key, in hexadecimal."""
    limits: Limits = Limits()

    def line(self) -> str:
        """The line of a key file that stands for this key."""
        limits = {name: getattr(self.limits, name) for name in Limits.__dataclass_fields__}
        words = [f"{name}={value}" for name, value in limits.items() if value is not None]
        return " ".join([self.name, f"sha256:{self.digest}", *words])


def new_key(name: str, limits: Limits) -> tuple[str, ApiKey]:
    """A key that nobody can guess, and what the service keeps of it.

    Raises `ValueError` if the name or a limit is none.
    """
    key = secrets.token_urlsafe(KEY_BYTES)
    kept = ApiKey(name, digest_of(key.encode()), limits)
    _key_in(kept.line())
    return key, kept


def digest_of(key: bytes) -> str:
    return sha256(key).hexdigest()


def only_key(key: str) -> list[ApiKey]:
    """The keys of a service that has one, for whoever knows it."""
    return [ApiKey("", digest_of(key.encode()))]


def read_keys(text: str) -> list[ApiKey]:
    """The named keys in the lines of a text; blank lines and those that start with # are comments.

    Raises `ValueError`, which names the line but repeats nothing of it: it may hold a key.
    """
    keys: list[ApiKey] = []
    limits: dict[str, Limits] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            key = _key_in(line)
            if limits.setdefault(key.name, key.limits) != key.limits:
                raise ValueError("its name has other limits above; give both lines the same")
            if any(key.digest == other.digest for other in keys):
                raise ValueError("its key stands above already; make another for each line")
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        keys.append(key)
    if not keys:
        raise ValueError(f"no key is in it; write one a line, as {FORM}")
    return keys


def _key_in(line: str) -> ApiKey:
    """Raises `ValueError` if the line is not of the form."""
    name, *words = line.split()
    if not NAME.fullmatch(name):
        raise ValueError(
            f"a name is up to {MAX_NAME_CHARS} letters, digits, dots, dashes and underscores of "
            "ASCII, and begins with a letter or digit; correct it"
        )
    digest = HASH.fullmatch(words[0]) if words else None
    if digest is None:
        raise ValueError(
            f"it is not written as {FORM}; `darling-reward make-key NAME` prints such a line"
        )
    values: dict[str, str] = {}
    for word in words[1:]:
        option, equals, value = word.partition("=")
        if not equals or option not in Limits.__dataclass_fields__ or option in values:
            raise ValueError(
                "what follows its hash is no limit; write max_per_second=N or max_in_flight=N, "
                "each once"
            )
        values[option] = value
    return ApiKey(
        name,
        digest[1],
        Limits(
            _above_0(float, "max_per_second", values.get("max_per_second")),
            _above_0(int, "max_in_flight", values.get("max_in_flight")),
        ),
    )


def _above_0(read: Callable[[str], Number], name: str, value: str | None) -> Number | None:
    if value is None:
        return None
    try:
        number = read(value)
        if 0 < number < math.inf:
            return number
    except ValueError:
        pass
    raise ValueError(f"{name} is no {'whole ' if read is int else ''}number above 0; correct it")


class Keys:
    """The keys of a running service, which can be read anew while it answers."""

    def __init__(self, read: Callable[[], list[ApiKey]]) -> None:
        """`read` returns the keys as they are now, and none if callers need no key.

        Raises what `read` raises.
        """
        self._read = read
        self._keys = read()

    @property
    def required(self) -> bool:
        """Whether callers need a key."""
        return bool(self._keys)

    def find(self, tokens: Iterable[bytes]) -> ApiKey | None:
        """The key that is among the tokens. The time taken tells nothing of the keys."""
        digests = [digest_of(token) for token in tokens]
        matching = [
            key for key in self._keys for sent in digests if compare_digest(sent, key.digest)
        ]
        return matching[0] if matching else None

    def reload(self) -> None:
        """Reads the keys anew; while they cannot be read, those of before remain.

        Requests that are being answered go on, whatever becomes of their keys.
        """
        try:
            self._keys = self._read()
        except ValueError as error:
            log.error("the API keys stay as they were: %s", error)
        else:
            log.info("the API keys have been read anew: %d", len(self._keys))
