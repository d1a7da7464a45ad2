"""Finds out where a person was during a call. It keeps no addresses. Pure.

Homes use the same private networks as offices. So if the council's own addresses to
the internet are known (`calls.egress`), an end that Microsoft saw from another address
is not in an office, whatever its own address is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from collectors.calls.building_file import Building
from collectors.calls.call_record import CallPlace, EndAddresses
from collectors.estate import Site
from collectors.ip_networks import Network, NetworkTable, is_in, parse_address

VPN_UP, NO_VPN_SEEN = "up", "not seen"


class _Office(msgspec.Struct, frozen=True):
    """What a network is: an office's (`site` may be unknown), or a VPN's."""

    site: str = ""
    is_inside: bool = True
    is_vpn: bool = False


class CallLocator:
    """`locator(addresses)` returns the place of an end of a call.

    `egress`: the council's own addresses to the internet. `vpn`: networks of laptops
    in a VPN. `gateways`: VPN gateway → the addresses from which its laptops reach
    Microsoft. `provider_of`: the provider of an address.
    """

    def __init__(
        self,
        sites: Sequence[Site],
        buildings: Sequence[Building] = (),
        egress: Iterable[Network] = (),
        vpn: Iterable[Network] = (),
        gateways: Mapping[str, Iterable[Network]] = {},
        provider_of: Callable[[str], str] = lambda _address: "unknown",
    ) -> None:
        own = _own_offices(sites)
        by_building = [
            (building.network, office)
            for building, office in _building_offices(buildings, sites)
        ]
        through_vpn = [(network, _Office(is_vpn=True)) for network in vpn]
        self._offices = NetworkTable([*own, *by_building, *through_vpn])
        self._egress = tuple(egress)
        self._gateways = NetworkTable(
            (network, gateway)
            for gateway, networks in gateways.items()
            for network in networks
        )
        self._provider_of = provider_of

    def __call__(self, addresses: EndAddresses) -> CallPlace:
        """Returns the place; of an end without addresses only its connection."""
        address = parse_address(addresses.address or addresses.subnet)
        seen_from = parse_address(addresses.reflexive)
        office = None if address is None else self._offices.look_up(address)
        connection = addresses.connection
        if connection == "tunnel" or (office is not None and office.is_vpn):
            gateway = None if seen_from is None else self._gateways.look_up(seen_from)
            return CallPlace("outside", "", connection, VPN_UP, gateway=gateway or "")
        if (
            office is not None
            and office.is_inside
            and (
                not self._egress or seen_from is None or is_in(seen_from, self._egress)
            )
        ):
            return CallPlace("inside", office.site, connection, NO_VPN_SEEN)
        if address is None and seen_from is None:
            return CallPlace(connection=connection)
        provider = self._provider_of(addresses.reflexive or addresses.address)
        return CallPlace("outside", "", connection, NO_VPN_SEEN, provider)


def _own_offices(sites: Sequence[Site]) -> list[tuple[Network, _Office]]:
    return [(subnet, _Office(site.id)) for site in sites for subnet in site.subnets]


def _sites_by_name(sites: Sequence[Site]) -> dict[str, str]:
    return {name.casefold(): site.id for site in sites for name in (site.name, site.id)}


def _building_offices(
    buildings: Sequence[Building], sites: Sequence[Site]
) -> list[tuple[Building, _Office]]:
    """The buildings as offices. Their site is the one whose subnet their network is in,
    or else the one of the same name."""
    by_name, own = _sites_by_name(sites), NetworkTable(_own_offices(sites))
    offices = []
    for building in buildings:
        known = own.look_up(building.network.network_address)
        site = known.site if known else by_name.get(building.name.casefold(), "")
        office = _Office(site, building.is_inside, building.is_vpn)
        offices.append((building, office))
    return offices


def sites_by_building(
    buildings: Sequence[Building], sites: Sequence[Site]
) -> dict[str, str]:
    """Returns building (case-folded) → site, of all names by which sites are known."""
    of_file = {
        building.name.casefold(): office.site
        for building, office in _building_offices(buildings, sites)
        if building.is_inside and not building.is_vpn and office.site
    }
    return of_file | _sites_by_name(sites)


def buildings_without_site(
    buildings: Sequence[Building], sites: Sequence[Site]
) -> list[str]:
    """Returns the names of inside buildings that are at no site of the estate."""
    return sorted(
        {
            building.name or str(building.network)
            for building, office in _building_offices(buildings, sites)
            if building.is_inside and not building.is_vpn and not office.site
        }
    )
