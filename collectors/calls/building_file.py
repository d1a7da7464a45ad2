"""Reads the building file that the council has uploaded to Microsoft's Call Quality
Dashboard: its networks, and which of them are inside or a VPN."""

from __future__ import annotations

from pathlib import Path

import msgspec

from collectors.csv_sheet import CsvSheet, NotCsv, SheetRow, read_sheet
from collectors.ip_networks import Network, parse_network

# The columns in Microsoft's order: the file has no headings.
_ORDER = (
    "NetworkIP",
    "NetworkName",
    "NetworkRange",
    "BuildingName",
    "OwnershipType",
    "BuildingType",
    "BuildingOfficeType",
    "City",
    "ZipCode",
    "Country",
    "State",
    "Region",
    "InsideCorp",
    "ExpressRoute",
    "VPN",
)
_NAMES = {
    "networkip": "network",
    "network": "network",
    "networkrange": "bits",
    "buildingname": "building",
    "insidecorp": "inside",
    "vpn": "vpn",
}


_FLAGS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


class Building(msgspec.Struct, frozen=True):
    """A network of a building. `is_inside`: the council runs it."""

    network: Network
    name: str
    is_inside: bool
    is_vpn: bool


class BuildingsRefused(ValueError):
    """The file cannot be used. The text names the lines with errors."""


def read_buildings(path: Path) -> list[Building]:
    """Reads the file (tabs or commas). Raises `BuildingsRefused`."""
    try:
        sheet = read_sheet(path.read_bytes(), _NAMES, _ORDER)
    except OSError as error:
        raise BuildingsRefused(f"{path}: cannot be read: {error.strerror}") from None
    except NotCsv as error:
        raise BuildingsRefused(f"{path}:{error}") from None
    buildings, faults = _buildings(sheet)
    if faults:
        raise BuildingsRefused("; ".join(f"{path}:{fault}" for fault in faults[:20]))
    return buildings


def _buildings(sheet: CsvSheet) -> tuple[list[Building], list[str]]:
    buildings: list[Building] = []
    faults: list[str] = []
    for row in sheet.rows:
        network = _network(row)
        is_inside = _FLAGS.get(row.get("inside", "1").lower())
        is_vpn = _FLAGS.get(row.get("vpn", "0").lower())
        if network is None:
            faults.append(
                f"{row.line}: expected a network such as 10.1.0.0 and its range, such "
                "as 24, in the first and third column"
            )
        elif is_inside is None or is_vpn is None:
            faults.append(f"{row.line}: expected 1 or 0 as InsideCorp and as VPN")
        else:
            building = Building(network, row.get("building", ""), is_inside, is_vpn)
            buildings.append(building)
    return buildings, faults


def _network(row: SheetRow) -> Network | None:
    """Returns the network; None without a range, as one address is no office."""
    address, bits = row.get("network", ""), row.get("bits", "")
    text = f"{address}/{bits}" if bits else address
    return parse_network(text) if "/" in text else None
