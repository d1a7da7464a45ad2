"""Which VPN client is there, and whether its tunnel is up. Pure judgements.

A tunnel counts as up only if its interface is up, has an address of its own and is
routed to: an adapter alone proves nothing. Where a filter driver carries a client's
traffic past the routing table (Zscaler, WARP, Netskope), that cannot be told: unknown.
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
    """A client and what became of it. `interface` is empty where it has none of its own
    (IPsec by policy); `quiet`: its routes are not to be believed."""

    product: str
    interface: str
    state: Literal["up", "down", "unknown"]
    mtu_byte: int | None = None
    quiet: bool = False
    index: int = 0
    addresses: tuple[str, ...] = ()


def vpn_product(interface: Interface) -> Product | None:
    """Which product an interface belongs to; None where it is no VPN's. Pure."""
    if interface.kind == "utun":
        # Several always exist, for the system's own ends; a client's has an address.
        told = by_description(interface.description) if interface.description else None
        if told is not None:
            return told
        return BY_KIND["utun"] if interface.global_addresses else None
    if interface.description:
        if NOT_VPN.fullmatch(interface.description):
            return None
        told = by_description(interface.description)
        if told is not None:
            return told
        native = interface.kind in _TUNNEL_KINDS and not interface.physical
        return NATIVE if native else None
    # A modem speaks PPP too; then it is the physical line and not a tunnel.
    if interface.physical or interface.kind in _PORTS:
        return None
    return by_name(interface.name) or BY_KIND.get(interface.kind)


def find_tunnels(
    among: Iterable[Interface], connections: Iterable[VpnConnection] = ()
) -> list[Tunnel]:
    """The VPN clients, those that are up first; `connections` are those the system
    manages: one that is up and has no interface of its own is up all the same. Pure."""
    found: list[Tunnel] = []
    for each in among:
        product = vpn_product(each)
        if product is None:
            continue
        up = each.up and bool(each.global_addresses) and each.routed
        state: Literal["up", "down", "unknown"] = "up" if up else "down"
        if product.quiet and not up:
            state = "unknown"
        found.append(
            Tunnel(
                product.name,
                each.name,
                state,
                each.mtu_byte,
                product.quiet,
                each.index,
                each.global_addresses,
            )
        )
    found += _without_interface(found, list(connections))
    return sorted(found, key=lambda each: ("up", "unknown", "down").index(each.state))


def _without_interface(
    found: Sequence[Tunnel], connections: Sequence[VpnConnection]
) -> list[Tunnel]:
    up = [each for each in connections if each.state == "up"]
    if up:
        seen = any(each.state == "up" for each in found)
        # One that looks up has an interface; two at once are too rare to be told apart.
        return [] if seen else [Tunnel(by_connection(up[0].kind).name, "", "up")]
    if connections and not found:
        return [Tunnel(by_connection(connections[0].kind).name, "", "down")]
    return []


def vpn_state(found: Sequence[Tunnel]) -> State:
    """The one word for `Whereabouts`. Pure."""
    return found[0].state if found else "absent"


def routes_hidden(found: Sequence[Tunnel]) -> bool:
    """True where traffic may go through a tunnel that routes do not show. Pure."""
    return any(
        (each.quiet and each.state != "down")
        or (each.state == "up" and not each.interface)
        for each in found
    )


def managed_connections() -> list[VpnConnection]:
    """The VPNs the system manages, if they may lack an interface of their own."""
    found = platforms.vpn_connections()
    return [] if isinstance(found, Outcome) else found


def physical_interface(among: Sequence[Interface]) -> Interface | None:
    """The interface that really carries the traffic, under any tunnel. Pure."""
    usable = [
        each
        for each in among
        if each.up and each.global_addresses and vpn_product(each) is None
    ]
    ranked = sorted(
        usable,
        key=lambda each: (
            each.default_metric is None,
            each.default_metric or 0,
            not each.physical,
            each.name,
        ),
    )
    return ranked[0] if ranked and (ranked[0].routed or ranked[0].physical) else None
