"""The API key, in every form in which a trainer can send one.

Authorization: Bearer KEY
Authorization: Basic base64(USER:KEY)    http://USER:KEY@host/... in a URL
?token=KEY                               for callers that can set nothing but a URL's query
"""

from base64 import b64decode
from collections.abc import Iterator
from hmac import compare_digest

from starlette.requests import Request

from darling_service.errors import Unauthorized

OPEN = frozenset({"/health/live", "/health/ready"})
"""Paths that need no key, because health probes cannot send one."""


def require_key(request: Request, key: str | None) -> None:
    """Raises `Unauthorized` unless the request has the key, the path is open, or no key is set."""
    if key is None or request.url.path in OPEN:
        return
    if not any(compare_digest(token, key.encode()) for token in _tokens(request)):
        raise Unauthorized(
            "the API key is missing or wrong; send the service's DARLING_API_KEY as "
            "`Authorization: Bearer KEY`, as the password of `Authorization: Basic`, or as "
            "?token=KEY in the URL"
        )


def _tokens(request: Request) -> Iterator[bytes]:
    for token in request.query_params.getlist("token"):
        yield token.encode()
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        yield credentials.strip().encode("latin-1")  # the bytes that were sent
    elif scheme.lower() == "basic":
        try:
            yield b64decode(credentials, validate=True).partition(b":")[2]
        except ValueError:  # no base64, or not even ASCII
            return
