"""What a broken connection means and what mends it: the host, its name, its certificate, or the
proxy that the environment sends requests through."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from urllib.request import getproxies, proxy_bypass

import httpx

from darling_client._errors import DarlingError, Misconfigured, TimedOut, Unreachable

NO_NAME = re.compile(
    r"name or service not known|nodename nor servname|no address associated|getaddrinfo|"
    r"temporary failure in name resolution",
    re.IGNORECASE,
)
"""What resolvers say of a host name that they do not know."""
NO_TLS = re.compile(r"WRONG_VERSION_NUMBER|record layer failure|HTTP_REQUEST", re.IGNORECASE)
"""What TLS says of an answer that is plain HTTP."""


def failure(error: httpx.TransportError, url: str) -> tuple[DarlingError, bool]:
    """What a broken try means, and whether its host seems to be down.

    `Misconfigured` is one that no further try mends.
    """
    reason, proxy = str(error) or type(error).__name__, via_proxy(url)
    if isinstance(error, httpx.ProxyError):
        # A proxy tells of a service that is down by 502 to 504, and of itself by anything else.
        kind = Unreachable if reason.startswith("50") else Misconfigured
        return kind(f"the proxy did not connect to {url}: {reason}{proxy}"), True
    if isinstance(error, httpx.LocalProtocolError):
        return Misconfigured(f"the request to {url} cannot be sent: {reason}"), False
    if isinstance(error, httpx.UnsupportedProtocol):
        return Misconfigured(f"{url} has a scheme that is not http or https: {reason}"), True
    if isinstance(error, httpx.ConnectError):
        return _unconnected(error, reason, url, proxy), True
    if isinstance(error, httpx.ConnectTimeout):
        return Unreachable(
            f"no connection to {url}: {reason}; is the service running?{proxy}"
        ), True
    if isinstance(error, httpx.TimeoutException):
        return TimedOut(f"{url} did not answer in time ({reason}); raise timeout_s{proxy}"), True
    # An idle connection that the service has closed looks like this too, and the host is up.
    return (
        Unreachable(f"the connection to {url} broke: {reason}; see the service's log{proxy}"),
        False,
    )


def _unconnected(error: httpx.ConnectError, reason: str, url: str, proxy: str) -> DarlingError:
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes) or (
        "CERTIFICATE_VERIFY_FAILED" in reason
    ):
        return Misconfigured(
            f"the certificate of {url} is not trusted: {reason}; set SSL_CERT_FILE to the file of "
            f"the authority that signed it, and use the host name that it is for{proxy}"
        )
    if NO_TLS.search(reason):
        return Misconfigured(
            f"{url} does not speak HTTPS: {reason}; write http:// if the service has no "
            f"certificate{proxy}"
        )
    if NO_NAME.search(reason):
        return Unreachable(
            f"the host name in {url} is not known here: {reason}; check the URL, and that this "
            f"machine can resolve the name{proxy}"
        )
    return Unreachable(f"no connection to {url}: {reason}; is the service running?{proxy}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def via_proxy(url: str) -> str:
    """A clause that names the proxy of the environment which a request to `url` goes through; empty
    where there is none."""
    target = httpx.URL(url)
    proxies = getproxies()
    scheme = next((name for name in (target.scheme, "all") if proxies.get(name)), None)
    if scheme is None or proxy_bypass(target.host):
        return ""
    return (
        f"; the request went through the proxy {_without_password(proxies[scheme])}, which "
        f"{scheme.upper()}_PROXY names: add {target.host} to NO_PROXY to reach it directly"
    )


def wrong_proxy(error: Exception) -> Misconfigured:
    """The error for proxies of the environment that httpx cannot use."""
    named = [
        f"{scheme.upper()}_PROXY={_without_password(proxy)}"
        for scheme, proxy in sorted(getproxies().items())
        if scheme in ("http", "https", "all")
    ]
    return Misconfigured(
        f"the environment's proxy settings cannot be used ({', '.join(named) or 'none'}): {error}; "
        "correct or unset them"
    )


def answered_by_other(response: httpx.Response, url: str) -> str:
    """A clause for an answer that is a web page: the service never sends one. Else empty."""
    start = response.content[:200].lstrip().lower()
    is_page = "html" in response.headers.get("content-type", "").lower() or start.startswith(
        (b"<!doctype", b"<html")
    )
    proxy = via_proxy(url)
    if response.status_code == 407:
        return proxy or "; a proxy on the path wants credentials"
    if not is_page:
        return ""
    return (
        "; the answer is a web page, which the service never sends: a proxy, a gateway or another "
        f"server answered, so check the URL{proxy}"
    )


def _without_password(proxy: str) -> str:
    return re.sub(r"//[^/@]*@", "//", proxy)
