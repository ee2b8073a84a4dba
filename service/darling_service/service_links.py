"""Environment variables that Kubernetes sets in every pod for each Service of its namespace.

A Service named `darling` gives `DARLING_PORT=tcp://10.0.0.1:8000`, `DARLING_SERVICE_HOST`,
`DARLING_PORT_8000_TCP_ADDR` and more, and one named `darling-api` gives `DARLING_API_PORT` and the
like. They have the form of this service's settings, and nobody has set them.
"""

import re
from collections.abc import Mapping

ALWAYS = re.compile(
    r"(_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$", re.I
)
"""Ends of names that only Kubernetes makes."""
ADDRESS = re.compile(r"(tcp|udp|sctp)://", re.I)
"""Start of the value by which a variable that ends in `_PORT` is told from a setting."""


def is_service_link(name: str, value: str) -> bool:
    """Whether Kubernetes has set this environment variable for a Service."""
    if ALWAYS.search(name):
        return True
    return name.upper().endswith("_PORT") and ADDRESS.match(value) is not None


def without_service_links(environment: Mapping[str, str | None]) -> dict[str, str | None]:
    """The variables that somebody has set."""
    return {
        name: value
        for name, value in environment.items()
        if value is None or not is_service_link(name, value)
    }
