"""Who has sent the request that is being answered: the name of its API key.

Whatever is kept for a run is kept under this name too, so that one key's runs cannot be read,
replaced or added to with another key.
"""

from contextvars import ContextVar

CALLER: ContextVar[str] = ContextVar("caller", default="")
"""Name of the key with which the request came; empty where the service has one key or none."""
