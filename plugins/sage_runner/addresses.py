"""Where nodes are, and which places are refused."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class Address:
    """Where a node takes calls. It answers to the membership protocol at the next port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def membership(self) -> str:
        """Where the node takes part in the cluster."""
        return f"{self.host}:{self.port + 1}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Reads `host:port`."""
        host, _, port = text.strip().rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65535:
            raise ValueError(f"{text.strip()!r} is no address: write host:port")
        return cls(host, int(port))

    def is_private(self) -> bool:
        """Whether all that the host stands for is this machine or a private network."""
        found = socket.getaddrinfo(self.host, self.port, proto=socket.IPPROTO_TCP)
        return all(_is_private(ipaddress.ip_address(entry[4][0])) for entry in found)


def _is_private(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    # Python counts 0.0.0.0 as private, but to bind to it is to listen on every network.
    return address.is_private and not address.is_unspecified


def parse_addresses(text: str, allow_public: bool) -> list[Address]:
    """Reads `host:port[,host:port...]`.

    It raises ValueError for an address that is not private, as anyone who can reach a node can make it run code.
    """
    addresses = [Address.parse(part) for part in text.split(",")]
    if len(set(addresses)) < len(addresses):
        raise ValueError(f"{text!r} names a node twice")
    for address in addresses:
        if not allow_public and not address.is_private():
            raise ValueError(
                f"{address} is not on a private network, and FlowNet has neither encryption nor passwords;"
                " set sage_allow_public=true if the network is protected otherwise"
            )
    return addresses
