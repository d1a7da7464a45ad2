"""Which ports the demo uses: free ones of this machine."""

from __future__ import annotations

import socket

from towpath.demo.demo_council import SWITCHES, DemoPorts
from towpath.demo.town import free_ports, own_address


def pick_ports(web: int) -> DemoPorts:
    """Free ports for everything; the status page gets `web` if it is free."""
    tcp = free_ports(socket.SOCK_STREAM, 8)
    udp = free_ports(socket.SOCK_DGRAM, len(SWITCHES) + 1)
    https, page, ndt7, vpn_door, beacon, webhook, broker, stream = tcp
    stamp, *switches = udp
    return DemoPorts(
        address=own_address(),
        switches={
            switch.id: port for switch, port in zip(SWITCHES, switches, strict=True)
        },
        https=https,
        web=web if _is_free(web) else page,
        stamp=stamp,
        ndt7=ndt7,
        vpn_door=vpn_door,
        beacon=beacon,
        webhook=webhook,
        broker=broker,
        stream=stream,
    )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
