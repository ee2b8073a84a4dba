"""The API key: a bearer token that the /v1 routes require when one is set."""

from hmac import compare_digest

from starlette.requests import Request

from service.errors import Unauthorized


def require_key(request: Request, key: str | None) -> None:
    """Raises `Unauthorized` unless no key is set or the request bears it."""
    if key is None:
        return
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not compare_digest(token.strip().encode(), key.encode()):
        raise Unauthorized("send the header `Authorization: Bearer <DARLING_API_KEY>`")
