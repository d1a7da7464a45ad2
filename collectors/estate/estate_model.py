"""The estate: the council's sites, devices and lines as one checked, frozen model.

Polling, rules, dashboards and reports all read it. It holds no secrets: `credentials`
are names, and their values are in another file.
"""

from __future__ import annotations

import re
from datetime import date
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, field_validator, model_validator

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
        raise ValueError(f"is not a regular expression: {error}") from None
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]


# What sites are grouped by on pages, as people say it.
MAX_GROUP_NAME = 60
GroupName = Annotated[str, Field(max_length=MAX_GROUP_NAME)]
_Identified = TypeVar("_Identified", "Site", "Device", "Line")


class Site(StrictModel):
    """A building or place.

    Devices are assigned to it by `subnets`, `locations` (regular expressions for
    sysLocation) and `names` (for a device's name); see `site_assignment`. `latitude`
    and `longitude` (WGS 84, degrees) place it on maps. `district` (a part of the
    council's area) and `kind` (library, school …) group sites on pages. `poller` names
    the only poller that polls its devices (`[snmp] poller`).
    """

    id: Id
    name: str
    district: GroupName = ""
    kind: GroupName = ""
    subnets: tuple[IPv4Network | IPv6Network, ...] = ()
    locations: tuple[Pattern, ...] = ()
    names: tuple[Pattern, ...] = ()
    hours: OpeningHours = OpeningHours()
    criticality: Literal["low", "normal", "high"] = "normal"
    poller: Id | Literal[""] = ""
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None

    @model_validator(mode="after")
    def _has_both_coordinates(self) -> Site:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("expected both `latitude` and `longitude`, or neither")
        return self


class Device(StrictModel):
    """A device to poll. `parent` is the next device towards the core; `parents`, if it
    has several ways there: it depends on all of them together.

    `powered_by`: the UPS or PDU devices that it gets its power from; without any, every
    UPS at its site may be. If the file gives no `site`, it is assigned by the sites'
    rules when loading.
    """

    id: Id
    name: str = ""
    site: Id
    address: IPv4Address | IPv6Address
    port: Annotated[int, Field(ge=1, le=65535)] = 161
    role: Role = "switch"
    parent: Id | None = None
    parents: tuple[Id, ...] = ()
    uplink_ports: tuple[str, ...] = ()
    powered_by: tuple[Id, ...] = ()
    credentials: str = "default"
    poll: bool = True
    snmp: bool = True
    expect_up: Pattern = Field(
        default="", description="regular expression over port names and aliases"
    )

    @model_validator(mode="after")
    def _has_one_kind_of_parents(self) -> Device:
        if self.parent is not None and self.parents:
            raise ValueError("expected `parent` or `parents`, not both")
        return self

    @property
    def above(self) -> tuple[str, ...]:
        """The next devices towards the core."""
        return self.parents or ((self.parent,) if self.parent is not None else ())


class Line(StrictModel):
    """A WAN line as contracted, and the port it ends on.

    If the device is at the site (`far_end = false`), traffic that the port receives is
    the site's download.
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


_ROOM_PORT = re.compile(r"[a-z0-9][a-z0-9._-]{0,62} +\S.*")


def _names_a_port(text: str) -> str:
    if not _ROOM_PORT.fullmatch(text):
        raise ValueError(
            "expected a device's id, a space and its port, such as 'sw-2 Gi1/0/12'"
        )
    return text


def _is_of_the_web(text: str) -> str:
    if text and not text.startswith(("https://", "http://")):
        raise ValueError("expected an address that begins with https:// or http://")
    return text


class Room(StrictModel):
    """A room in which events must not fail, and what they need there.

    `ports`: each the id of a switch and, after a space, its port. `devices`: those that
    stand in the room and are polled, such as an encoder or an access point. `names`:
    how calendars write the room. `stream_url`: the HLS or DASH manifest of its stream.
    `accounts`: the sign-in names or object ids of its Teams Rooms.
    """

    id: Id
    name: str = ""
    site: Id
    ports: tuple[Annotated[str, AfterValidator(_names_a_port)], ...] = ()
    devices: tuple[Id, ...] = ()
    names: tuple[str, ...] = ()
    stream_url: Annotated[str, AfterValidator(_is_of_the_web)] = ""
    accounts: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _hangs_on_something(self) -> Room:
        if not (self.ports or self.devices):
            raise ValueError("expected `ports` or `devices`, which the room needs")
        return self

    @property
    def places(self) -> tuple[tuple[str, str], ...]:
        """(device, port) of each of its ports."""
        split = (text.partition(" ") for text in self.ports)
        return tuple((device, port.strip()) for device, _, port in split)

    @property
    def switches(self) -> tuple[str, ...]:
        """The devices that have its ports."""
        return tuple(dict.fromkeys(device for device, _ in self.places))

    @property
    def all_devices(self) -> tuple[str, ...]:
        """The devices of its ports, and its own."""
        return tuple(dict.fromkeys([*self.switches, *self.devices]))


class VpnGateway(StrictModel):
    id: Id
    name: str = ""
    site: Id | None = None
    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 443
    device: Id | None = None


class Reflector(StrictModel):
    """The far end of agents' tests.

    If `authenticated`, agents use STAMP's authenticated mode with a key derived from
    the reflectors' secret.
    """

    id: Id
    host: str
    stamp_port: Annotated[int, Field(ge=1, le=65535)] = 862
    ndt7_url: str = ""
    authenticated: bool = False
    site: Id | None = None


# The group of all teams of too few laptops; no team can have this id, for its space.
SMALL_TEAMS = "small teams"
# The same of home sites.
SMALL_SITES = "small sites"


class MediaEdge(StrictModel):
    """Where the vendor of a team's telephony takes its calls. `over`: how it is asked:
    STUN requests over UDP, TCP connections, or these with a TLS handshake."""

    id: Id
    host: Annotated[str, Field(min_length=1, max_length=253)]
    port: Annotated[int, Field(ge=1, le=65535)]
    over: Literal["stun", "tcp", "tls"]


class Team(StrictModel):
    """Staff whose laptops are judged together, such as a contact centre. Laptops join
    it when they enrol; nobody is named. `site`: whose opening hours count.
    `media_edges`: what its laptops measure for it."""

    id: Id
    name: str = ""
    site: Id | None = None
    media_edges: Annotated[tuple[MediaEdge, ...], Field(max_length=8)] = ()

    @field_validator("media_edges")
    @classmethod
    def _has_own_names(cls, edges: tuple[MediaEdge, ...]) -> tuple[MediaEdge, ...]:
        if len({edge.id for edge in edges}) < len(edges):
            raise ValueError("two have the same id")
        return edges


class EstatePlaces(StrictModel):
    """How an agent recognises an office: a beacon that answers only from inside."""

    beacon_url: str = ""


class Estate(StrictModel):
    """The whole estate. `estate_loader` builds it and also checks that every reference
    exists and no id is used twice."""

    sites: tuple[Site, ...] = ()
    devices: tuple[Device, ...] = ()
    lines: tuple[Line, ...] = ()
    rooms: tuple[Room, ...] = ()
    vpn_gateways: tuple[VpnGateway, ...] = ()
    reflectors: tuple[Reflector, ...] = ()
    teams: tuple[Team, ...] = ()
    places: EstatePlaces = EstatePlaces()

    def site(self, id: str) -> Site:
        return _by_id(self.sites, id)

    def device(self, id: str) -> Device:
        return _by_id(self.devices, id)

    def line(self, id: str) -> Line:
        return _by_id(self.lines, id)

    def line_at(self, device: str, port: str) -> Line | None:
        """Returns the line that ends on that port, or None."""
        for line in self.lines:
            if line.device == device and line.port == port:
                return line
        return None

    def ancestors(self, device: str) -> list[Device]:
        """Returns the devices between `device` and the core on any way, nearest
        first."""
        ids = list(self.device(device).above)
        for id in ids:
            ids += [above for above in self.device(id).above if above not in ids]
        return [self.device(id) for id in ids]


def expects_up(device: Device, port: str, alias: str) -> bool:
    """Returns True if the estate's pattern for the device matches that port."""
    pattern = device.expect_up
    return bool(pattern) and any(re.search(pattern, text) for text in (port, alias))


def _by_id(entries: tuple[_Identified, ...], id: str) -> _Identified:
    for entry in entries:
        if entry.id == id:
            return entry
    raise KeyError(id)
