"""A neighbour on a port, and readers of its ids that all protocols share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address

import msgspec

from collectors.snmp.session import oids
from collectors.snmp.session.octet_text import text
from collectors.snmp.session.session import Value

# Neighbours whose port must not go down unnoticed. A telephone is a bridge too, but
# only a desk is behind it.
_INFRASTRUCTURE = {"bridge", "access_point", "router"}
_MAC_TEXT = re.compile(
    r"[0-9a-f]{2}([:\-. ]?)([0-9a-f]{2}\1){4}[0-9a-f]{2}|[0-9a-f]{4}(\.[0-9a-f]{4}){2}",
    re.IGNORECASE,
)

Rows = dict[str, dict[str, Value]]


class Neighbour(msgspec.Struct, frozen=True):
    """`protocol`: lldp, cdp, fdp, edp, sonmp, mndp or ctron-cdp.

    `local_if_index`: None if no port of IF-MIB matches. `capabilities`: empty if it
    announces none. `remote_descr`: its description of itself. `remote_address`: its
    management address.
    """

    protocol: str
    local_port: str
    local_if_index: int | None
    remote_name: str | None
    remote_port: str | None
    remote_chassis: str | None
    remote_port_descr: str | None = None
    capabilities: frozenset[str] = frozenset()
    remote_address: str | None = None
    remote_descr: str | None = None

    @property
    def is_infrastructure(self) -> bool:
        if "telephone" in self.capabilities:
            return False
        return bool(_INFRASTRUCTURE & self.capabilities)


def collect_rows(
    cells: Mapping[str, Value], entry: str, columns: Mapping[int, str]
) -> Rows:
    """Return the rows of a table by index, with the cells named by `columns`."""
    rows: Rows = {}
    for oid, value in cells.items():
        if not oids.under(oid, entry):
            continue
        column, _, index = oids.tail(oid, entry).partition(".")
        name = columns.get(int(column)) if column.isdecimal() else None
        if name is not None and index:
            rows.setdefault(index, {})[name] = value
    return rows


def mac_text(value: Value | None) -> str | None:
    """Return a MAC address as `02:00:00:00:00:01`, from six octets or any usual
    form."""
    if isinstance(value, bytes) and len(value) == 6:
        return value.hex(":")
    written = text(value) or ""
    if not _MAC_TEXT.fullmatch(written):
        return None
    return bytes.fromhex(re.sub(r"[^0-9a-fA-F]", "", written)).hex(":")


def is_text(value: Value | None) -> bool:
    """Return True if the octets are printable ASCII."""
    return isinstance(value, bytes) and all(32 <= octet < 127 for octet in value)


def address_text(octets: Iterable[int]) -> str | None:
    """Return a unicast IPv4 or IPv6 address as text; None for anything else."""
    try:
        raw = bytes(octets)
    except ValueError:
        return None
    if len(raw) not in (4, 16):
        return None
    address: IPv4Address | IPv6Address = ip_address(raw)
    if address.is_unspecified or address.is_loopback or address.is_multicast:
        return None
    return str(address)
