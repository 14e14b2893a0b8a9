"""Addresses of machines, as `host:port`. An IPv6 address may be in brackets: `[::1]:port`."""

from __future__ import annotations

import ipaddress
import socket


def split_address(address: str) -> tuple[str, int]:
    """The host, without brackets, and the port. Raises ValueError if either is missing, or the port is not in `1..65536`."""
    name, _, port = address.strip().rpartition(":")
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    # Of a URL, the scheme would be taken for a part of the host.
    if not name or "/" in name or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{address.strip()!r} is no address: write host:port")
    return name, int(port)


def host(address: str) -> str:
    """The host of an address, with its brackets, whatever scheme comes before it."""
    return address.split("://")[-1].rsplit(":", 1)[0]


def bracketed(name: str) -> str:
    """A host as it stands before a port: an IPv6 address in brackets."""
    return f"[{name}]" if ":" in name else name


def is_private(address: str) -> bool:
    """Whether only machines of a private network reach it. Raises OSError if its host is unknown, and ValueError if it is no address."""
    found = socket.getaddrinfo(*split_address(address), proto=socket.IPPROTO_TCP)
    machines = [ipaddress.ip_address(entry[4][0]) for entry in found]
    # Python counts 0.0.0.0 as private, but to bind to it is to listen on every network.
    return all(machine.is_private and not machine.is_unspecified for machine in machines)


def listens(address: str, timeout: float) -> bool:
    """Whether something may listen there: only a refused connection means that nothing does. `timeout` in seconds."""
    try:
        socket.create_connection(split_address(address), timeout).close()
    except OSError as error:
        return not isinstance(error, ConnectionRefusedError)
    return True


def reach(address: str, timeout: float) -> str:
    """The address of this machine from which it reaches a program that listens there, without a port.

    Connects to it, within `timeout` seconds. Raises OSError if nothing listens, and ValueError if it is no address.
    """
    with socket.create_connection(split_address(address), timeout) as connection:
        return str(connection.getsockname()[0])


def own_address(peer: str) -> str:
    """The address of this machine from which it reaches a peer, without a port. Sends nothing. Raises OSError if there is none."""
    name, port = split_address(peer)
    family, _, _, _, place = socket.getaddrinfo(name, port, proto=socket.IPPROTO_UDP)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        # Connecting a datagram socket only asks the system for the route.
        probe.connect(place)
        return str(probe.getsockname()[0])


def free_address(peer: str) -> str:
    """An address of this machine at which a peer reaches it, with a port that is free now. Raises OSError if there is none."""
    own = own_address(peer)
    with socket.create_server((own, 0), family=socket.AF_INET6 if ":" in own else socket.AF_INET) as listener:
        return f"{own}:{listener.getsockname()[1]}"
