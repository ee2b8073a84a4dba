"""The sockets that the service listens on, bound before anything else is started."""

import errno
import socket

CURES = {
    errno.EADDRINUSE: "another process listens there; stop it, or choose another port with --port "
    "(DARLING_PORT)",
    errno.EACCES: "this user may not; choose a port above 1023 with --port (DARLING_PORT)",
    errno.EADDRNOTAVAIL: "no interface of this machine has that address; choose another with "
    "--host (DARLING_HOST), such as 127.0.0.1 or 0.0.0.0",
}
OTHER_ADDRESS = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
"""What keeps one address of a host from being used, such as ::1 of localhost without IPv6."""


def listen(host: str, port: int, backlog: int) -> list[socket.socket]:
    """A listening socket for each address of the host, at least one.

    Raises `OSError` that says why there is none, and what to do.
    """
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise OSError(
            f"there is no address of the host {host!r} ({error}); choose another with --host "
            "(DARLING_HOST), such as 127.0.0.1 or 0.0.0.0"
        ) from None
    sockets: list[socket.socket] = []
    reason: OSError | None = None
    for family, address in dict.fromkeys((family, address) for family, *_, address in infos):
        # A free port that was picked for one address is taken for the others too.
        number = sockets[0].getsockname()[1] if sockets else port
        full = (address[0], number, *address[2:])  # the rest is the interface of a local address
        try:
            sockets.append(socket.create_server(full, family=family, backlog=backlog))
        except OSError as error:
            if error.errno not in OTHER_ADDRESS:
                reason = error
                break
            reason = reason or error
    if reason is None or (sockets and reason.errno in OTHER_ADDRESS):
        return sockets
    for bound in sockets:
        bound.close()
    cure = CURES.get(reason.errno or 0, str(reason))
    raise OSError(f"cannot listen on port {port} of {host}: {cure}")
