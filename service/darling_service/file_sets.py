"""The files that IN of a command stands for, and the file of answers that each of them gets."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from darling_service import storage

SUFFIXES = (".jsonl", ".jsonl.gz")
"""Endings of the files that are read of a folder."""


@dataclass(frozen=True, slots=True)
class FileToScore:
    source: str
    target: str
    in_folder: bool = False
    """Whether the target is one of several files in a folder, which is made."""

    @property
    def names(self) -> tuple[str, str]:
        return self.source, self.target


def files_to_score(sources: Sequence[str], target: str) -> list[FileToScore]:
    """Each file of groups with its file of answers, in the order of the sources and their names.

    One source that is a file has `target` for its answers. For several sources, a folder or a
    pattern, `target` is a folder. In it the answers of a file have the name that the file has in
    its own folder, without .gz. Files in `target` are none of the input.

    Raises `OSError`, and `ValueError` if there is no file, or if two would share one of answers.
    """
    if len(sources) == 1 and (sources[0] == "-" or storage.found(sources[0], SUFFIXES) is None):
        return [FileToScore(sources[0], target)]
    if "-" in (*sources, target):
        raise ValueError("- stands for one file; give IN and OUT names where IN is several files")
    folder = storage.absolute(target)
    made: dict[str, str] = {}
    for source in sources:
        for file, name in _with_names(source):
            answers = f"{folder.rstrip('/')}/{name.removesuffix('.gz')}"
            if storage.within(file, folder):
                continue
            if made.setdefault(answers, file) != file:
                raise ValueError(
                    f"{file} and {made[answers]} would both be answered in {answers}; score them "
                    "into folders of their own"
                )
    if not made:
        raise ValueError(
            f"{', '.join(sources)}: no file to score; a folder gives what ends in "
            f"{' or '.join(SUFFIXES)} and is not in OUT"
        )
    return [FileToScore(file, answers, in_folder=True) for answers, file in made.items()]


def files_of(name: str) -> list[str]:
    """The files of a folder or a pattern, sorted, or the one file of that name.

    Raises `OSError`, and `ValueError` if there is none.
    """
    found = storage.found(name, SUFFIXES)
    files = [name] if found is None else list(found.files)
    if not files:
        raise ValueError(f"{name}: no file; a folder gives what ends in {' or '.join(SUFFIXES)}")
    return files


def _with_names(source: str) -> Iterator[tuple[str, str]]:
    """(path or URL, name in the folder that the source begins with) of each file."""
    found = storage.found(source, SUFFIXES)
    if found is None:
        file = storage.absolute(source)
        yield file, PurePosixPath(file).name
    else:
        for file in found.files:
            yield file, file[len(found.root) :].lstrip("/")
