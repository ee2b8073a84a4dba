"""The API key, in every form in which a trainer can send one.

Authorization: Bearer KEY
Authorization: Basic base64(USER:KEY)    http://USER:KEY@host/... in a URL
?token=KEY                               for callers that can set nothing but a URL's query
"""

from base64 import b64decode
from collections.abc import Iterator

from starlette.requests import Request

from darling_service.errors import Unauthorized
from darling_service.keys import ApiKey, Keys

DOCS = "/docs"
"""Path of the page that documents the API."""
DOCS_ASSETS = "/docs/assets"
"""Folder of that page's script and styles, which the service serves itself."""
MAX_TOKENS = 2
"""Tokens of a URL that are looked at; thousands of them would take the event loop's time."""
CONSOLE = "/console"
"""Folder of the console's page, script and styles."""
OPEN = frozenset({"/health/live", "/health/ready", DOCS, "/openapi.json", CONSOLE})
"""Paths that need no key. Health probes cannot send one, and neither can a browser that opens the
documentation or the console, where its user enters the key. These files are the same for every
service of this version: they say nothing of the settings, the models or the runs of this one."""
OPEN_FOLDERS = (f"{DOCS_ASSETS}/", f"{CONSOLE}/")
"""Folders of static files that need no key either."""


def is_open(path: str) -> bool:
    """Whether the path needs no key, whatever the service has."""
    return path in OPEN or path.startswith(OPEN_FOLDERS)


def key_of(request: Request, keys: Keys) -> ApiKey:
    """The key that the request has sent. Raises `Unauthorized` if it has sent none of the keys."""
    key = keys.find(_tokens(request))
    if key is None:
        raise Unauthorized(
            "the API key is missing or wrong; send the service's DARLING_API_KEY as "
            "`Authorization: Bearer KEY`, as the password of `Authorization: Basic`, or as "
            "?token=KEY in the URL"
        )
    return key


def _tokens(request: Request) -> Iterator[bytes]:
    for token in request.query_params.getlist("token")[:MAX_TOKENS]:
        yield token.encode()
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        yield credentials.strip().encode("latin-1")  # the bytes that were sent
    elif scheme.lower() == "basic":
        try:
            yield b64decode(credentials, validate=True).partition(b":")[2]
        except ValueError:  # no base64, or not even ASCII
            return
