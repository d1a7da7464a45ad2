"""One device heard on one port, and how its ids are read, whatever protocol said so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address

import msgspec

from collectors.snmp.session import oids
from collectors.snmp.session.octet_text import text
from collectors.snmp.session.session import Value

# What hangs behind a port that must not go down unseen. A telephone is a bridge too,
# but it is somebody's desk.
_INFRASTRUCTURE = {"bridge", "access_point", "router"}
_MAC_TEXT = re.compile(
    r"[0-9a-f]{2}([:\-. ]?)([0-9a-f]{2}\1){4}[0-9a-f]{2}|[0-9a-f]{4}(\.[0-9a-f]{4}){2}",
    re.IGNORECASE,
)

Rows = dict[str, dict[str, Value]]


class Neighbour(msgspec.Struct, frozen=True):
    """`protocol`: lldp, cdp, fdp, edp, sonmp, mndp, ctron-cdp. `local_if_index` is None
    where no port of IF-MIB could be told; `capabilities` is empty where it does not
    say. `remote_descr` is what it says it is; `remote_address` where it is managed."""

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
    def infrastructure(self) -> bool:
        if "telephone" in self.capabilities:
            return False
        return bool(_INFRASTRUCTURE & self.capabilities)


def collect_rows(
    found: Mapping[str, Value], entry: str, columns: Mapping[int, str]
) -> Rows:
    """The rows of a table by index: what `columns` names, by those names."""
    rows: Rows = {}
    for oid, value in found.items():
        if not oids.under(oid, entry):
            continue
        column, _, index = oids.tail(oid, entry).partition(".")
        name = columns.get(int(column)) if column.isdecimal() else None
        if name is not None and index:
            rows.setdefault(index, {})[name] = value
    return rows


def mac_text(value: Value | None) -> str | None:
    """A MAC address as `02:00:00:00:00:01`, from six octets or any usual spelling."""
    if isinstance(value, bytes) and len(value) == 6:
        return value.hex(":")
    said = text(value) or ""
    if not _MAC_TEXT.fullmatch(said):
        return None
    return bytes.fromhex(re.sub(r"[^0-9a-fA-F]", "", said)).hex(":")


def is_text(value: Value | None) -> bool:
    """True for octets that somebody wrote: printable ASCII."""
    return isinstance(value, bytes) and all(32 <= octet < 127 for octet in value)


def address_text(octets: Iterable[int]) -> str | None:
    """An IPv4 or IPv6 address that one could send to; None for what is none."""
    try:
        raw = bytes(octets)
    except ValueError:
        return None
    if len(raw) not in (4, 16):
        return None
    found: IPv4Address | IPv6Address = ip_address(raw)
    if found.is_unspecified or found.is_loopback or found.is_multicast:
        return None
    return str(found)
