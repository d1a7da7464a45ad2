"""Assigns devices to sites by the estate's rules. Pure.

The most specific subnet that contains the device's address decides. If none does, the
sites' patterns for sysLocation decide, then those for the device's name. If two sites
match equally well, no site is assigned and the reason names both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address

import msgspec

from collectors.estate.estate_model import Device, Site

Address = IPv4Address | IPv6Address


class SiteAssignment(msgspec.Struct, frozen=True):
    """`site` is None if no rule matches or several do; `why` has the reason."""

    site: str | None
    why: str


def assign(
    sites: Sequence[Site], address: Address, location: str = "", name: str = ""
) -> SiteAssignment:
    """Returns the site of a device at `address`; `location` is its sysLocation.

    In sysLocation any run of white space counts as one space.
    """
    location = " ".join(location.split())
    holding = [
        (subnet.prefixlen, site.id, str(subnet))
        for site in sites
        for subnet in site.subnets
        if address in subnet
    ]
    if holding:
        longest = max(prefixlen for prefixlen, _, _ in holding)
        best = [(site, net) for prefixlen, site, net in holding if prefixlen == longest]
        return _only(best, f"subnet of {address}")
    for text, what in ((location, "sysLocation"), (name, "name")):
        matching = [
            (site.id, pattern)
            for site in sites
            for pattern in (site.locations if what == "sysLocation" else site.names)
            if text and re.search(pattern, text, re.IGNORECASE)
        ]
        if matching:
            return _only(matching, f"{what} {text!r}")
    reasons = [f"{address} is in no site's subnets"]
    if location:
        reasons.append(f"sysLocation {location!r} matches no site's locations")
    if name:
        reasons.append(f"name {name!r} matches no site's names")
    return SiteAssignment(None, ", ".join(reasons))


def contradictions(sites: Sequence[Site], devices: Iterable[Device]) -> Iterator[str]:
    """Yields a sentence for each rule that contradicts another or a device's site."""
    owners: dict[str, str] = {}
    for site in sites:
        for subnet in map(str, site.subnets):
            if owners.get(subnet, site.id) != site.id:
                yield (
                    f"site {site.id}: subnet {subnet} also belongs to "
                    f"{owners[subnet]}, so it assigns no device to either"
                )
            owners[subnet] = site.id
    for device in devices:
        assigned = assign(sites, device.address, name=device.name or device.id)
        if assigned.site not in (None, device.site):
            yield (
                f"device {device.id} has site {device.site}, but its {assigned.why} "
                f"is of {assigned.site}; the device's own setting is used"
            )


def _only(matching: list[tuple[str, str]], what: str) -> SiteAssignment:
    sites = sorted({site for site, _ in matching})
    if len(sites) == 1:
        return SiteAssignment(sites[0], f"{what} ({matching[0][1]})")
    return SiteAssignment(None, f"the {what} matches several sites: {', '.join(sites)}")
