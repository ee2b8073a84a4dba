"""Files by path or by URL: on this machine, and in object stores through fsspec.

A URL such as `s3://bucket/folder/file.jsonl` needs the package that fsspec names for its protocol.
"""

import io
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any, cast
from uuid import uuid4

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

PATTERN = "*?["
"""Characters that make a name a pattern, unless a file has that very name."""


def is_url(name: str) -> bool:
    return "://" in name


@dataclass(frozen=True, slots=True)
class Found:
    """The files that a name stands for."""

    root: str
    """The folder that the pattern or the folder's name begins with."""
    files: Sequence[str]
    """Their paths or URLs, sorted."""


def found(name: str, suffixes: tuple[str, ...]) -> Found | None:
    """The files of a folder that end in one of the suffixes, or those that a pattern matches.

    None for a name of one file, whether it exists or not. Raises `OSError`, and `ValueError` for a
    protocol that nothing here can read.
    """
    files, path = _at(name)
    if files.isdir(path):
        inside = [one for one in files.find(path) if one.endswith(suffixes)]
        return Found(_named(files, path), sorted(_named(files, one) for one in inside))
    if not any(sign in path for sign in PATTERN) or files.exists(path):
        return None
    matched = files.glob(path, detail=True)
    inside = [one for one, about in matched.items() if about["type"] != "directory"]
    steps = path.split("/")
    fixed = next(k for k, step in enumerate(steps) if any(sign in step for sign in PATTERN))
    root = "/".join(steps[:fixed])
    return Found(_named(files, root), sorted(_named(files, one) for one in inside))


def absolute(name: str) -> str:
    """The path or URL as every process reads it, wherever it runs."""
    files, path = _at(name)
    return _named(files, path)


def within(name: str, folder: str) -> bool:
    """Whether an absolute path or URL lies in a folder."""
    return name.startswith(folder.rstrip("/") + "/")


def open_read(name: str) -> io.BufferedReader:
    """The file, to be read as bytes. Raises `OSError`."""
    files, path = _at(name)
    if isinstance(files, LocalFileSystem):
        return open(path, "rb")
    return _Remote(cast(Any, files.open(path, "rb")), name)


class _Remote(io.BufferedReader):
    """A file of an object store, whose `name` errors quote as that of a file here."""

    name = ""

    def __init__(self, file: io.RawIOBase, name: str) -> None:
        super().__init__(file)
        self.name = name


def read(name: str) -> bytes | None:
    """What the file holds; None if there is none. Raises `OSError`."""
    files, path = _at(name)
    try:
        return cast(bytes, files.cat_file(path))
    except FileNotFoundError:
        return None


def write(name: str, content: bytes) -> None:
    """Writes a file, which nobody sees before it is whole. Raises `OSError`."""
    with Whole(name) as file:
        file.write(content)


def exists(name: str) -> bool:
    files, path = _at(name)
    return bool(files.exists(path))


def is_folder(name: str) -> bool:
    files, path = _at(name)
    return bool(files.isdir(path))


def remove(name: str) -> None:
    """Removes a file, or a folder with all that is in it; it need not be there. Raises
    `OSError`."""
    files, path = _at(name)
    files.invalidate_cache()  # other processes may have written there
    if files.exists(path):
        files.rm(path, recursive=True)


class Whole:
    """A file that is written under another name, and takes its own when it is complete.

    In an object store taking the name is a copy, which its readers see at once as a whole.
    """

    def __init__(self, name: str, meanwhile: str | None = None) -> None:
        """`meanwhile`: the other name, in the same store; None: one that nobody else takes."""
        self._files, self._path = _at(name)
        self._beside = f"{self._path}.{uuid4().hex}.tmp" if meanwhile is None else _at(meanwhile)[1]

    def __enter__(self) -> IO[bytes]:
        self._files.makedirs(self._files._parent(self._path), exist_ok=True)
        self._file = cast(IO[bytes], self._files.open(self._beside, "wb"))
        return self._file

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self._file.close()
        if error is None:
            self._files.mv(self._beside, self._path)
        else:
            self._files.rm(self._beside)


def join(parts: Sequence[str], name: str, meanwhile: str) -> None:
    """Writes a file of the parts, one after another, as `Whole` does. Raises `OSError`."""
    with Whole(name, meanwhile) as whole:
        for part in parts:
            with open_read(part) as file:
                shutil.copyfileobj(file, whole)


def _at(name: str) -> tuple[Any, str]:
    """The file system of a path or URL, and the path in it."""
    try:
        files, path = url_to_fs(name)
    except ImportError as error:  # fsspec says which package reads the protocol
        raise ValueError(f"{name} cannot be read: {error}") from None
    return files, cast(str, path)


def _named(files: Any, path: str) -> str:
    return path if isinstance(files, LocalFileSystem) else cast(str, files.unstrip_protocol(path))
