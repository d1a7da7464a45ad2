"""SNMP agents that repeat a recording."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from towpath.demo import snmp_messages
from towpath.demo.simulated_switches import SimulatedSwitch


class Recorded(SimulatedSwitch):
    """Repeats a recording (`oid|tag|value` lines, as snmpsim writes them)."""

    def __init__(self, file: Path, **options: object) -> None:
        self._file = file
        super().__init__(file.stem, [], **options)  # type: ignore[arg-type]

    def rebuild(self) -> None:
        values: dict[snmp_messages.Oid, Callable[[], bytes]] = {}
        for line in self._file.read_text(encoding="utf-8").splitlines():
            oid, tag, value = line.split("|", 2)
            encoded = _recorded(tag, value)
            values[snmp_messages.oid_arcs(oid.lstrip("."))] = lambda e=encoded: e  # type: ignore[misc]
        self._rows = sorted(values)
        self._values = {
            snmp_messages.oid_content(row): values[row] for row in self._rows
        }


class RecordedRaw(Recorded):
    """Repeats a file of `oid|tag|value` lines whose tags are letters; after `R` comes
    the encoded value itself, in hex."""

    def rebuild(self) -> None:
        values: dict[snmp_messages.Oid, Callable[[], bytes]] = {}
        for line in self._file.read_text(encoding="utf-8").splitlines():
            if not line or line.startswith("#"):
                continue
            oid, tag, value = line.split("|", 2)
            encoded = _lettered(tag, value)
            values[snmp_messages.oid_arcs(oid)] = lambda e=encoded: e  # type: ignore[misc]
        self._rows = sorted(values)
        self._values = {
            snmp_messages.oid_content(row): values[row] for row in self._rows
        }


_LETTERS = {"i": 2, "c": 0x41, "g": 0x42, "t": 0x43, "C": 0x46}


def _lettered(tag: str, value: str) -> bytes:
    match tag:
        case "s":
            return snmp_messages.octets(value)
        case "x":
            return snmp_messages.octets(bytes.fromhex(value))
        case "o":
            return snmp_messages.oid(value.lstrip("."))
        case "a":
            return snmp_messages.tlv(
                snmp_messages.IP_ADDRESS, bytes(map(int, value.split(".")))
            )
        case "R":
            return bytes.fromhex(value)
        case "f":
            return snmp_messages.tlv(
                0x44, b"\x9fx\x04" + struct.pack(">f", float(value))
            )
        case "d":
            return snmp_messages.tlv(
                0x44, b"\x9fy\x08" + struct.pack(">d", float(value))
            )
    return snmp_messages.integer(int(value), _LETTERS[tag])


def _recorded(tag: str, value: str) -> bytes:
    in_hex = tag.endswith("x")
    number = int(tag.rstrip("x").split(":")[0])
    raw = bytes.fromhex(value) if in_hex else value.encode("utf-8", "surrogateescape")
    if number == snmp_messages.OID:
        return snmp_messages.oid(value.lstrip(".") or "0.0")
    if number == snmp_messages.IP_ADDRESS:
        octets = raw if in_hex else bytes(map(int, value.split(".")))
        return snmp_messages.tlv(snmp_messages.IP_ADDRESS, octets)
    if number in (2, 65, 66, 67, 70):
        return snmp_messages.integer(int(value or 0), number)
    return snmp_messages.tlv(number, raw)
