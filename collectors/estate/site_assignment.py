"""Which site a device belongs to, by the estate's own rules. Pure.

The most specific subnet that holds its address decides; where none does, the sites'
patterns over sysLocation, and then over its name. A rule is worth something only where
it is sure: two sites that fit equally well are said, and none is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address

import msgspec

from collectors.estate.estate_model import Device, Site

Address = IPv4Address | IPv6Address


class Assigned(msgspec.Struct, frozen=True):
    """`site` is None where no rule fits, or several do; `why` says which."""

    site: str | None
    why: str


def assign(
    sites: Sequence[Site], address: Address, location: str = "", name: str = ""
) -> Assigned:
    """The site of a device at `address`; `location` is its sysLocation. Patterns see
    one blank for any run of white space: people type two, and tabs."""
    location = " ".join(location.split())
    holding = [
        (subnet.prefixlen, site.id, str(subnet))
        for site in sites
        for subnet in site.subnets
        if subnet.version == address.version and address in subnet
    ]
    if holding:
        longest = max(prefixlen for prefixlen, _, _ in holding)
        best = [(site, net) for prefixlen, site, net in holding if prefixlen == longest]
        return _only(best, f"subnet of {address}")
    for text, what in ((location, "sysLocation"), (name, "name")):
        fitting = [
            (site.id, pattern)
            for site in sites
            for pattern in (site.locations if what == "sysLocation" else site.names)
            if text and re.search(pattern, text, re.IGNORECASE)
        ]
        if fitting:
            return _only(fitting, f"{what} {text!r}")
    said = [f"{address} is in no site's subnets"]
    said += [f"sysLocation {location!r} fits no site's locations"] if location else []
    said += [f"name {name!r} fits no site's names"] if name else []
    return Assigned(None, ", ".join(said))


def doubts(sites: Sequence[Site], devices: Iterable[Device]) -> Iterator[str]:
    """Where the rules contradict each other, or what somebody wrote."""
    owners: dict[str, str] = {}
    for site in sites:
        for subnet in map(str, site.subnets):
            if owners.get(subnet, site.id) != site.id:
                yield (
                    f"site {site.id}: subnet {subnet} is also that of "
                    f"{owners[subnet]}: it assigns nothing to either"
                )
            owners[subnet] = site.id
    for device in devices:
        found = assign(sites, device.address, name=device.name or device.id)
        if found.site not in (None, device.site):
            yield (
                f"device {device.id} is of site {device.site}, but by its {found.why} "
                f"of {found.site}; what the device says counts"
            )


def _only(fitting: list[tuple[str, str]], what: str) -> Assigned:
    sites = sorted({site for site, _ in fitting})
    if len(sites) == 1:
        return Assigned(sites[0], f"{what} ({fitting[0][1]})")
    return Assigned(None, f"the {what} fits several sites: {', '.join(sites)}")
