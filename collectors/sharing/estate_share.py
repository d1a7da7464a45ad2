"""Which devices of the estate this poller polls: all, those of its sites, or its share.
VPN gateways are shared like devices.

A site may name its poller (`poller = "depot"`): that one polls the site's devices, and
nothing else, also while it is cut off from all others. All other devices are those of
the one poller that there is, or of several that share them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from hashlib import blake2b
from typing import Protocol

from collectors.estate.estate_model import Device, Estate, Site, VpnGateway
from collectors.sharing.bounded_assignment import SharedDevice

# A device that is only pinged costs little, as does a gateway.
_PING_COST = 0.1


class EstateShare(Protocol):
    """What a poller asks about its devices."""

    # What the poller calls itself; empty if there is one only.
    name: str
    # Called after a change; returns when no poll runs of a device that is not held.
    on_change: Callable[[], Awaitable[None]] | None

    @property
    def changes(self) -> int:
        """Increases with each change of what is held."""

    def set_estate(self, estate: Estate) -> None:
        """The estate has changed."""

    def holds(self, device: Device) -> bool:
        """True if this poller, and no other, may poll the device now."""

    def holds_gateway(self, gateway: VpnGateway) -> bool:
        """True if this poller, and no other, may check the gateway now."""

    def speaks_for(self, site: Site) -> bool:
        """True if this poller writes the rows about the site itself: one does, but for
        a moment while pollers come or go."""

    async def wait(self, seconds: float) -> None:
        """Waits so long, or until there is something new to poll."""


class WholeEstate:
    """The share of a poller that does not share: all, except sites with a poller of
    their own; or, if that is this one, those."""

    def __init__(self, name: str = "") -> None:
        self.name, self.changes = name, 0
        self.on_change: Callable[[], Awaitable[None]] | None = None
        self._site_pollers: dict[str, str] = {}
        self._is_named = False

    def set_estate(self, estate: Estate) -> None:
        self._site_pollers = site_pollers(estate)
        self._is_named = self.name in self._site_pollers.values()

    def holds(self, device: Device) -> bool:
        return self._holds_site(device.site)

    def holds_gateway(self, gateway: VpnGateway) -> bool:
        return self._holds_site(gateway.site or "")

    def speaks_for(self, site: Site) -> bool:
        return self._holds_site(site.id)

    def _holds_site(self, site: str) -> bool:
        named = self._site_pollers.get(site)
        return named == self.name if self._is_named else named is None

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def site_pollers(estate: Estate) -> dict[str, str]:
    """Site → its own poller, for those that have one."""
    return {site.id: site.poller for site in estate.sites if site.poller}


def shared_devices(estate: Estate) -> list[SharedDevice]:
    """The devices and VPN gateways that pollers share: those whose site has no poller
    of its own."""
    own = site_pollers(estate)
    shared = [
        SharedDevice(device.id, device.site, 1.0 if device.snmp else _PING_COST)
        for device in estate.devices
        if device.poll
    ]
    shared += [
        SharedDevice(gateway_key(gateway), gateway.site or "", _PING_COST)
        for gateway in estate.vpn_gateways
    ]
    return [device for device in shared if device.site not in own]


def gateway_key(gateway: VpnGateway) -> str:
    """What a gateway is called among devices, one of which may have its id."""
    return f"vpn:{gateway.id}"


def digest(devices: Iterable[SharedDevice]) -> str:
    """The same for all machines with the same devices to share, in whatever order."""
    lines = sorted(f"{device.id}\0{device.site}\0{device.cost}" for device in devices)
    return blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()
