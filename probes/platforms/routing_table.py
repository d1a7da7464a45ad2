"""Which of its own addresses the system would use: asked of the routing table itself,
the same on every system, without a packet."""

from __future__ import annotations

import socket

# Documentation addresses (RFC 5737, RFC 3849): nothing is ever sent there. Full
# tunnels often keep their routes in tables of their own, so the system is asked.
_FAR_AWAY = ("203.0.113.1", "2001:db8::1")


def local_address(remote: str) -> str:
    """Which of its own addresses the system would use towards `remote`; empty if none.

    A UDP socket is connected, which asks the routing table and sends nothing.
    """
    family = socket.AF_INET6 if ":" in remote else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect((remote, 9))
            return str(asking.getsockname()[0]).split("%")[0]
    except (OSError, ValueError):
        return ""


def default_route_addresses() -> set[str]:
    """The own addresses the system chooses for far away, in both families."""
    return {local_address(remote) for remote in _FAR_AWAY} - {""}
