"""The demo's council: its estate, written as a file.

The demo's files are ordinary ones: `towpath run -c <folder>/towpath.toml` reads them
too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from probes.wire.clock import wall_ms
from towpath.demo.live_stream import PATH as STREAM_PATH

LIBRARY_LINE = "library-wan"
CHAMBER_SWITCH = "hall-access-1"
CHAMBER_PORT = "GigabitEthernet1/0/2"
LIBRARY_LINE_PORT = "GigabitEthernet1/0/47"


@dataclass(frozen=True, slots=True)
class DemoPorts:
    """The local ports the demo listens on; `switches` by device id (UDP). `address` is
    where the beacon listens."""

    address: str
    switches: dict[str, int]
    https: int
    web: int
    stamp: int
    ndt7: int
    vpn_door: int
    beacon: int
    webhook: int
    broker: int
    stream: int


@dataclass(frozen=True, slots=True)
class Switch:
    """A simulated switch: its parent and its number of ports."""

    id: str
    name: str
    site: str
    role: str
    parent: str
    ports: int


SWITCHES = (
    Switch("core-1", "Town Hall core", "town-hall", "router", "", 48),
    Switch("hall-access-1", "Town Hall floor 1", "town-hall", "switch", "core-1", 24),
    Switch("hall-access-2", "Town Hall floor 2", "town-hall", "switch", "core-1", 24),
    Switch("library-1", "Library entrance", "library", "switch", "core-1", 24),
    Switch("library-2", "Library upstairs", "library", "switch", "library-1", 24),
    Switch("depot-1", "Depot office", "depot", "switch", "core-1", 24),
    Switch("leisure-1", "Leisure centre", "leisure", "switch", "core-1", 24),
)


# Always open, so that the report has calls even if the demo runs at night.
HOURS = """hours = { opens = "00:00", closes = "24:00", days = [0, 1, 2, 3, 4, 5, 6] }
"""


def estate_toml(ports: DemoPorts) -> str:
    """The estate: four sites, seven switches, five lines, a VPN gateway."""
    parts = [
        f"""# The estate of Wrenford, a council that does not exist.

[[sites]]
id = "town-hall"
name = "Town Hall"
latitude = 52.6386
longitude = -1.1317
subnets = ["10.20.0.0/16"]
criticality = "high"
{HOURS}
[[sites]]
id = "library"
name = "Central Library"
latitude = 52.6353
longitude = -1.1362
subnets = ["10.21.0.0/16"]
{HOURS}
[[sites]]
id = "depot"
name = "Highways Depot"
latitude = 52.6579
longitude = -1.0981
subnets = ["10.22.0.0/16"]
{HOURS}
[[sites]]
id = "leisure"
name = "Riverside Leisure Centre"
latitude = 52.6122
longitude = -1.1495
subnets = ["10.23.0.0/16"]
{HOURS}"""
    ]
    for switch in SWITCHES:
        parent = f'parent = "{switch.parent}"\n' if switch.parent else ""
        parts.append(
            f"""[[devices]]
id = "{switch.id}"
name = "{switch.name}"
site = "{switch.site}"
address = "127.0.0.1"
port = {ports.switches[switch.id]}
role = "{switch.role}"
{parent}credentials = "demo"
"""
        )
    for line, site, supplier, mbps, role, port, far_end, cost in (
        (
            "hall-wan-1",
            "town-hall",
            "Severn Telecom",
            1000,
            "primary",
            45,
            False,
            14400,
        ),
        ("hall-wan-2", "town-hall", "Teme Networks", 200, "backup", 46, False, 3600),
        (LIBRARY_LINE, "library", "Severn Telecom", 200, "primary", 47, True, 4800),
        ("depot-wan", "depot", "Teme Networks", 100, "primary", 43, True, 3000),
        ("leisure-wan", "leisure", "Teme Networks", 100, "primary", 44, True, 3000),
    ):
        parts.append(
            f"""[[lines]]
id = "{line}"
site = "{site}"
circuit_ref = "WB-{port:04d}"
supplier = "{supplier}"
supplier_phone = "01632 960{port:03d}"
support_hours = "24 hours"
down_mbps = {mbps}
up_mbps = {mbps}
role = "{role}"
cost_per_year = {cost}
contract_end = 2027-09-30
notice_days = 90
device = "core-1"
port = "GigabitEthernet1/0/{port}"
far_end = {str(far_end).lower()}
"""
        )
    parts.append(
        f"""[[rooms]]
id = "chamber"
name = "Council chamber"
site = "town-hall"
ports = ["{CHAMBER_SWITCH} {CHAMBER_PORT}"]
stream_url = "http://127.0.0.1:{ports.stream}{STREAM_PATH}"

[[vpn_gateways]]
id = "vpn-1"
name = "Staff VPN"
site = "town-hall"
host = "localhost"
port = {ports.vpn_door}

[places]
beacon_url = "https://{ports.address}:{ports.beacon}/"

[[reflectors]]
id = "reflector"
host = "127.0.0.1"
stamp_port = {ports.stamp}
ndt7_url = "https://localhost:{ports.ndt7}"
authenticated = true
site = "town-hall"
"""
    )
    return "\n".join(parts)


def events_ics(now_ms: int) -> str:
    """A calendar with a committee in the chamber, from an hour ago for four hours."""
    start = datetime.fromtimestamp(now_ms / 1000, UTC) - timedelta(hours=1)
    start = start.replace(minute=0, second=0)
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Towpath//demo//EN",
        "BEGIN:VEVENT",
        "UID:planning@wrenford.example",
        f"DTSTART:{start:%Y%m%dT%H%M%SZ}",
        f"DTEND:{start + timedelta(hours=4):%Y%m%dT%H%M%SZ}",
        "SUMMARY:Planning committee",
        "LOCATION:Council chamber, Town Hall",
        "END:VEVENT",
        "END:VCALENDAR",
    )
    return "\r\n".join(lines) + "\r\n"


def write_estate(folder: Path, ports: DemoPorts) -> Path:
    """Writes the estate, and the calendar of its events."""
    (folder / "events.ics").write_text(events_ics(wall_ms()), newline="")
    path = folder / "estate.toml"
    path.write_text(estate_toml(ports), encoding="utf-8")
    return path
