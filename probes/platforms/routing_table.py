"""Looks up in the routing table which own address the system would use. Works the same
on every system and sends no packet."""

from __future__ import annotations

import socket

# Documentation addresses (RFC 5737, RFC 3849); nothing is ever sent there. Full tunnels
# often use routing tables of their own, so a look-up is needed.
_FAR_ADDRESSES = ("203.0.113.1", "2001:db8::1")


def local_address(remote: str) -> str:
    """The own address that the system would use towards `remote`; empty if none.

    Connecting a UDP socket looks up the route and sends nothing.
    """
    family = socket.AF_INET6 if ":" in remote else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as channel:
            channel.connect((remote, 9))
            return str(channel.getsockname()[0]).split("%")[0]
    except (OSError, ValueError):
        return ""


def default_route_addresses() -> set[str]:
    """The own addresses that the system uses for far destinations, in both families."""
    return {local_address(remote) for remote in _FAR_ADDRESSES} - {""}
