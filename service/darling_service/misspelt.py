"""Environment variables that look like settings of this service and are none."""

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

from darling_service.service_links import is_service_link

PREFIX = "DARLING_"
OTHERS = frozenset({"DARLING_URL", "DARLING_DATA"})
"""Variables that the client and this repository's tests read."""


def misspelt(environment: Mapping[str, str], settings: Collection[str]) -> Iterator[str]:
    """A line for each variable that starts like a setting and that nothing reads, with the nearest
    name. `settings`: the names of all settings, such as max_rollouts."""
    known = [f"{PREFIX}{name.upper()}" for name in settings]
    for name, value in sorted(environment.items()):
        upper = name.upper()  # settings are read in any case
        if not upper.startswith(PREFIX) or upper in OTHERS or is_service_link(name, value):
            continue
        if upper not in known:
            near = get_close_matches(upper, known, n=1)
            cure = f"did you mean {near[0]}?" if near else "`darling-reward serve --help` lists all"
            yield f"the environment variable {name} is no setting and is not read; {cure}"
