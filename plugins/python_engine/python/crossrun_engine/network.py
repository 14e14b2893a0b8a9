"""Addresses of machines, as `host:port`."""

from __future__ import annotations

import socket


def split_address(address: str) -> tuple[str, int]:
    """The host and the port. Raises ValueError if either is missing, or the port is not in `1..65536`."""
    host, _, port = address.strip().rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{address.strip()!r} is no address: write host:port")
    return host, int(port)


def listens(address: str, timeout: float) -> bool:
    """Whether something may listen there: only a refused connection means that nothing does. `timeout` in seconds."""
    try:
        socket.create_connection(split_address(address), timeout).close()
    except OSError as error:
        return not isinstance(error, ConnectionRefusedError)
    return True


def own_address(peer: str) -> str:
    """The address of this machine from which it reaches a peer, without a port. Sends nothing. Raises OSError if there is none."""
    host, port = split_address(peer)
    family, _, _, _, place = socket.getaddrinfo(host, port, proto=socket.IPPROTO_UDP)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        # Connecting a datagram socket only asks the system for the route.
        probe.connect(place)
        return str(probe.getsockname()[0])
