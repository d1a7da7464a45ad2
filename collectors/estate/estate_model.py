"""The estate: what the council has, as one checked, frozen model.

It is data (TOML, CSV), used by polling, rules, dashboards and reports alike. Secrets
are never in it: `credentials` are names, whose values come from elsewhere.
"""

from __future__ import annotations

import re
from datetime import date
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field

from collectors.estate.opening_hours import OpeningHours
from collectors.strict_model import StrictModel

Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Role = Literal[
    "switch",
    "router",
    "firewall",
    "access_point",
    "controller",
    "ups",
    "environment",
    "probe",
    "other",
]


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]


_Identified = TypeVar("_Identified", "Site", "Device", "Line")


class Site(StrictModel):
    """`subnets`, `locations` (regular expressions over sysLocation) and `names` (over
    a device's name) say which devices are its; see `site_assignment`."""

    id: Id
    name: str
    subnets: tuple[IPv4Network | IPv6Network, ...] = ()
    locations: tuple[Pattern, ...] = ()
    names: tuple[Pattern, ...] = ()
    hours: OpeningHours = OpeningHours()
    criticality: Literal["low", "normal", "high"] = "normal"


class Device(StrictModel):
    """A thing that is polled. `parent` is the device it hangs on, towards the core.
    Where a file gives no `site`, loading assigns it by the sites' rules."""

    id: Id
    name: str = ""
    site: Id
    address: IPv4Address | IPv6Address
    port: Annotated[int, Field(ge=1, le=65535)] = 161
    role: Role = "switch"
    parent: Id | None = None
    uplink_ports: tuple[str, ...] = ()
    credentials: str = "default"
    poll: bool = True
    snmp: bool = True
    expect_up: Pattern = Field(
        default="", description="regular expression over port names and aliases"
    )


class Line(StrictModel):
    """A WAN line as contracted, and the port it ends on.

    Seen from that port: what it receives comes down the line to the site when the
    device stands in the site (`far_end = false`).
    """

    id: Id
    site: Id
    circuit_ref: str = ""
    supplier: str = ""
    supplier_phone: str = ""
    support_hours: str = ""
    down_mbps: Annotated[float, Field(gt=0)]
    up_mbps: Annotated[float, Field(gt=0)]
    role: Literal["primary", "backup"] = "primary"
    cost_per_year: Annotated[float, Field(ge=0)] | None = None
    contract_end: date | None = None
    notice_days: Annotated[int, Field(ge=0)] | None = None
    device: Id
    port: str
    far_end: bool = False


class VpnGateway(StrictModel):
    id: Id
    name: str = ""
    site: Id | None = None
    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 443
    device: Id | None = None


class Reflector(StrictModel):
    """The far end of agents' tests. `authenticated`: agents send it STAMP in its
    authenticated mode, with a key that is derived from the reflectors' secret."""

    id: Id
    host: str
    stamp_port: Annotated[int, Field(ge=1, le=65535)] = 862
    ndt7_url: str = ""
    authenticated: bool = False
    site: Id | None = None


class EstatePlaces(StrictModel):
    """How an agent tells an office from home: a beacon that answers only inside."""

    beacon_url: str = ""


class Estate(StrictModel):
    """Everything above. Build it with `estate_loader`, which also checks
    that every reference is met and nothing is there twice."""

    sites: tuple[Site, ...] = ()
    devices: tuple[Device, ...] = ()
    lines: tuple[Line, ...] = ()
    vpn_gateways: tuple[VpnGateway, ...] = ()
    reflectors: tuple[Reflector, ...] = ()
    places: EstatePlaces = EstatePlaces()

    def site(self, id: str) -> Site:
        return _by_id(self.sites, id)

    def device(self, id: str) -> Device:
        return _by_id(self.devices, id)

    def line(self, id: str) -> Line:
        return _by_id(self.lines, id)

    def line_at(self, device: str, port: str) -> Line | None:
        """The line that ends on that port, if one does."""
        for line in self.lines:
            if line.device == device and line.port == port:
                return line
        return None

    def ancestors(self, device: str) -> list[Device]:
        """The devices `device` hangs on, nearest first."""
        found: list[Device] = []
        parent = self.device(device).parent
        while parent is not None and all(parent != each.id for each in found):
            found.append(self.device(parent))
            parent = found[-1].parent
        return found


def expects_up(device: Device, port: str, alias: str) -> bool:
    """True where the estate's own pattern says that port should be up."""
    pattern = device.expect_up
    return bool(pattern) and any(re.search(pattern, text) for text in (port, alias))


def _by_id(entries: tuple[_Identified, ...], id: str) -> _Identified:
    for entry in entries:
        if entry.id == id:
            return entry
    raise KeyError(id)
