"""Parses `Get-VpnConnection`, as a list or from `ConvertTo-Json`.

Property names are not translated. Windows PowerShell 5.1 prints enumerations as
numbers, PowerShell 7 mostly as text; a list of one item is printed as the item. Names,
servers and addresses of connections are dropped.
"""

from __future__ import annotations

import re
import textwrap
from typing import Literal

from probes.platforms.system_facts import VpnConnection
from probes.platforms.tool_output import decode, decode_json, records
from probes.wire.failure import Outcome

_STATES: dict[str, Literal["up", "connecting", "down", "unknown"]] = {
    "connected": "up",
    "limited": "up",
    "connecting": "connecting",
    "dormant": "down",
    "notconnected": "down",
    "disconnected": "down",
    "disconnecting": "down",
}
_KEY = re.compile(r"([A-Za-z][A-Za-z0-9 ()]{0,60}?)\s*:\s?(.*)")


def parse_get_vpnconnection(output: bytes | str) -> list[VpnConnection] | Outcome:
    """The connections in `Get-VpnConnection`, as a list or as JSON. Returns
    `bad_answer` if the output is neither. Pure."""
    text = decode(output).strip()
    if not text or text in {"[]", "null"}:
        return []
    connections = [
        _vpn(entry) for entry in _entries(text) if "ConnectionStatus" in entry
    ]
    return connections or Outcome.BAD_ANSWER


def _vpn(entry: dict[str, object]) -> VpnConnection:
    status = str(entry["ConnectionStatus"]).strip().lower()
    kind = _text(entry.get("TunnelType"))
    plugin = _text(entry.get("PlugInApplicationID"))
    return VpnConnection(
        kind=(plugin or kind).lower(),
        state=_STATES.get(status, "unknown"),
        split=_boolean(entry.get("SplitTunneling")),
    )


def _entries(text: str) -> list[dict[str, object]]:
    if text.startswith(("{", "[")):
        return records(decode_json(text))
    return _parse_table(text) or _parse_list(text)


def _parse_table(text: str) -> list[dict[str, object]]:
    """The rows of `Format-Table`. A column starts at the dashes under its name. Long
    values end in an ellipsis, which does no harm here."""
    lines = text.splitlines()[:5_000]
    for at in range(1, len(lines)):
        if re.fullmatch(r"\s*-+(?:\s+-+)+\s*", lines[at]):
            columns = [match.start() for match in re.finditer(r"-+", lines[at])]
            names = _cells(lines[at - 1], columns)
            return [
                dict(zip(names, _cells(line, columns), strict=True))
                for line in lines[at + 1 :]
                if line.strip()
            ]
    return []


def _cells(line: str, columns: list[int]) -> list[str]:
    starts = []
    for start in columns:
        # A right-aligned value may start before the dashes of its column.
        while 0 < start <= len(line) and line[start - 1] != " ":
            start -= 1
        starts.append(start)
    ends = [*starts[1:], len(line)]
    return [line[start:end].strip() for start, end in zip(starts, ends, strict=True)]


def _parse_list(text: str) -> list[dict[str, object]]:
    """The blocks of `Format-List`. A repeated key starts the next block, because some
    consoles print an empty line after every line. Wrapped lines are skipped."""
    entries: list[dict[str, object]] = []
    entry: dict[str, object] = {}
    for line in textwrap.dedent(text[:400_000]).splitlines()[:20_000]:
        match = _KEY.fullmatch(line.strip()[:2_000])
        # A deeply indented line continues the value above it.
        if match is None or line.startswith("        "):
            continue
        name = match[1].strip()
        if name in entry:
            entries.append(entry)
            entry = {}
        entry[name] = match[2].strip()
    return [*entries, entry] if entry else entries


def _text(value: object) -> str:
    return value.strip()[:200] if isinstance(value, str) else ""


def _boolean(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return bool(value)
    return {"true": True, "false": False, "1": True, "0": False}.get(
        _text(value).lower()
    )
