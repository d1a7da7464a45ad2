"""Reads recordings of devices: `.snmprec` files, or the output of `snmpwalk -On`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from collectors.snmp.drafting.mib_objects import FactsError
from collectors.snmp.session.session import Value

_RECORDED = re.compile(r"\.?(\d+(?:\.\d+)+)\|(\d+)(x?)(?::\w+)?\|(.*)", re.DOTALL)
_WALKED = re.compile(r"\.?(\d+(?:\.\d+)+) = (?:([A-Za-z0-9-]+): ?)?(.*)", re.DOTALL)
_NUMBERS = {"2", "65", "66", "67", "70"}
_NUMBER_TYPES = {"INTEGER", "Counter32", "Counter64", "Gauge32", "Unsigned32"}
_PLAIN_NUMBER = re.compile(r"-?\d+")
_IN_BRACKETS = re.compile(r"\((-?\d+)\)")


def read_recording(file: Path) -> dict[str, Value]:
    """Return the values by OID. Lines that are neither are left out."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise FactsError(f"{file}: {error.strerror}") from None
    values: dict[str, Value] = {}
    for line in lines:
        if recorded := _RECORDED.fullmatch(line):
            value = _recorded_value(*recorded.groups()[1:])
        elif walked := _WALKED.fullmatch(line):
            recorded = walked
            value = _walked_value(walked[2] or "", walked[3])
        else:
            continue
        if value is not None:
            values[recorded[1]] = value
    if not values:
        raise FactsError(f"{file}: neither a .snmprec nor the output of snmpwalk -On")
    return values


def _recorded_value(tag: str, is_hex: str, content: str) -> Value | None:
    if tag in _NUMBERS:
        return int(content) if _PLAIN_NUMBER.fullmatch(content) else None
    if is_hex:
        try:
            return bytes.fromhex(content)
        except ValueError:
            return None
    return content if tag == "6" else content.encode()


def _walked_value(type_: str, content: str) -> Value | None:
    if type_ in _NUMBER_TYPES or type_ == "Timeticks":
        number = _IN_BRACKETS.search(content) or _PLAIN_NUMBER.match(content)
        return None if number is None else int(number[0].strip("()"))
    if type_ == "Hex-STRING":
        try:
            return bytes.fromhex(content)
        except ValueError:
            return None
    if type_ == "OID":
        return content.lstrip(".")
    return content.strip('"').encode() if type_ or content.startswith('"') else None


def by_column(
    values: Mapping[str, Value], columns: Mapping[str, str]
) -> dict[str, dict[str, Value]]:
    """Return the values by column and index; `columns`: the column of each instance."""
    found: dict[str, dict[str, Value]] = {}
    for instance, column in columns.items():
        index = instance[len(column) + 1 :]
        found.setdefault(column, {})[index] = values[instance]
    return found
