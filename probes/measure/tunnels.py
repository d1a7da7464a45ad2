"""Which VPN clients are installed, and whether a tunnel is up. Mostly pure.

A tunnel counts as up only if its interface is up, has its own address and carries a
route: an adapter alone proves nothing. If a filter driver carries traffic past the
routing table (Zscaler, WARP, Netskope), the state is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from probes import platforms
from probes.platforms.system_facts import Interface, VpnConnection
from probes.wire.failure import Outcome
from probes.wire.vpn_products import (
    BY_KIND,
    NATIVE,
    NOT_VPN,
    Product,
    by_connection,
    by_description,
    by_name,
)

State = Literal["up", "down", "absent", "unknown"]
_PORTS = {"port", "wwan", "bridge", "vlan"}
_TUNNEL_KINDS = {"ppp", "tunnel"}


class Tunnel(msgspec.Struct, frozen=True):
    """A VPN client and its state. `interface` is empty if it has none (policy-based
    IPsec). `quiet`: its traffic may bypass the routing table."""

    product: str
    interface: str
    state: Literal["up", "down", "unknown"]
    mtu_byte: int | None = None
    quiet: bool = False
    index: int = 0
    addresses: tuple[str, ...] = ()


def vpn_product(interface: Interface) -> Product | None:
    """The VPN product that an interface belongs to; None if it is not a VPN. Pure."""
    if interface.kind == "utun":
        # The system itself always has several; that of a client has an address.
        product = (
            by_description(interface.description) if interface.description else None
        )
        if product is not None:
            return product
        return BY_KIND["utun"] if interface.global_addresses else None
    if interface.description:
        if NOT_VPN.fullmatch(interface.description):
            return None
        product = by_description(interface.description)
        if product is not None:
            return product
        native = interface.kind in _TUNNEL_KINDS and not interface.physical
        return NATIVE if native else None
    # A modem uses PPP too; then it is the physical line and not a tunnel.
    if interface.physical or interface.kind in _PORTS:
        return None
    return by_name(interface.name) or BY_KIND.get(interface.kind)


def find_tunnels(
    among: Iterable[Interface], connections: Iterable[VpnConnection] = ()
) -> list[Tunnel]:
    """The VPN clients, those that are up first. `connections` are managed by the
    system; one that is up counts even without an interface. Pure."""
    clients: list[Tunnel] = []
    for interface in among:
        product = vpn_product(interface)
        if product is None:
            continue
        up = interface.up and bool(interface.global_addresses) and interface.routed
        state: Literal["up", "down", "unknown"] = "up" if up else "down"
        if product.quiet and not up:
            state = "unknown"
        clients.append(
            Tunnel(
                product.name,
                interface.name,
                state,
                interface.mtu_byte,
                product.quiet,
                interface.index,
                interface.global_addresses,
            )
        )
    clients += _without_interface(clients, list(connections))
    return sorted(
        clients, key=lambda client: ("up", "unknown", "down").index(client.state)
    )


def _without_interface(
    clients: Sequence[Tunnel], connections: Sequence[VpnConnection]
) -> list[Tunnel]:
    up = [connection for connection in connections if connection.state == "up"]
    if up:
        listed = any(client.state == "up" for client in clients)
        # A client that is up by its interface is taken for this connection: two at once
        # are too rare to distinguish.
        return [] if listed else [Tunnel(by_connection(up[0].kind).name, "", "up")]
    if connections and not clients:
        return [Tunnel(by_connection(connections[0].kind).name, "", "down")]
    return []


def vpn_state(clients: Sequence[Tunnel]) -> State:
    """The state for `Whereabouts`. Pure."""
    return clients[0].state if clients else "absent"


def routes_hidden(clients: Sequence[Tunnel]) -> bool:
    """True if traffic may use a tunnel that the routing table does not show. Pure."""
    return any(
        (client.quiet and client.state != "down")
        or (client.state == "up" and not client.interface)
        for client in clients
    )


def managed_connections() -> list[VpnConnection]:
    """The VPNs that the system manages, if they may have no interface."""
    listed = platforms.vpn_connections()
    return [] if isinstance(listed, Outcome) else listed


def physical_interface(among: Sequence[Interface]) -> Interface | None:
    """The interface that carries the traffic underneath any tunnel. Pure."""
    usable = [
        interface
        for interface in among
        if interface.up and interface.global_addresses and not vpn_product(interface)
    ]
    ranked = sorted(
        usable,
        key=lambda interface: (
            interface.default_metric is None,
            interface.default_metric or 0,
            not interface.physical,
            interface.name,
        ),
    )
    return ranked[0] if ranked and (ranked[0].routed or ranked[0].physical) else None
