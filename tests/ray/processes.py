"""The processes that Ray has started, told from those of other clusters of this machine."""

from pathlib import Path


def descendants(ancestor: int, named: str) -> list[int]:
    """Process ids of the processes below `ancestor` whose command line contains `named`."""
    parents, names = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "status").read_text()
            names[int(folder.name)] = (folder / "cmdline").read_text()
        except OSError:  # it has ended meanwhile
            continue
        parents[int(folder.name)] = int(status.partition("PPid:")[2].split()[0])

    def is_below(pid: int) -> bool:
        while pid in parents and pid != ancestor:
            pid = parents[pid]
        return pid == ancestor

    return [pid for pid, name in names.items() if named in name and is_below(pid)]
