"""What `Get-VpnConnection` prints: as a list, and through `ConvertTo-Json`.

Property names are not translated. Windows PowerShell 5.1 writes enumerations as
numbers, PowerShell 7 mostly as text; a list of one is printed as that one. Names,
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
    """The entries of `Get-VpnConnection`, as a list or as JSON; an empty list where
    there is none. `bad_answer` where it is neither. Pure."""
    text = decode(output).strip()
    if not text or text in {"[]", "null"}:
        return []
    entries = _entries(text)
    found = [_vpn(each) for each in entries if "ConnectionStatus" in each]
    return found or Outcome.BAD_ANSWER


def _vpn(entry: dict[str, object]) -> VpnConnection:
    status = str(entry["ConnectionStatus"]).strip().lower()
    kind = _shown(entry.get("TunnelType"))
    plugin = _shown(entry.get("PlugInApplicationID"))
    return VpnConnection(
        kind=(plugin or kind).lower(),
        state=_STATES.get(status, "unknown"),
        split=_truth(entry.get("SplitTunneling")),
    )


def _entries(text: str) -> list[dict[str, object]]:
    if text.startswith(("{", "[")):
        return records(decode_json(text))
    return _tabled(text) or _listed(text)


def _tabled(text: str) -> list[dict[str, object]]:
    """The rows of `Format-Table`: columns begin where the dashes under their names do.
    Names are cut short with an ellipsis; nothing here needs them whole."""
    lines = text.splitlines()[:5_000]
    for at in range(1, len(lines)):
        if re.fullmatch(r"\s*-+(?:\s+-+)+\s*", lines[at]):
            begins = [match.start() for match in re.finditer(r"-+", lines[at])]
            names = _cells(lines[at - 1], begins)
            return [
                dict(zip(names, _cells(line, begins), strict=True))
                for line in lines[at + 1 :]
                if line.strip()
            ]
    return []


def _cells(line: str, begins: list[int]) -> list[str]:
    starts = []
    for start in begins:
        # What is set to the right may begin before its column's dashes do.
        while 0 < start <= len(line) and line[start - 1] != " ":
            start -= 1
        starts.append(start)
    ends = [*starts[1:], len(line)]
    return [line[start:end].strip() for start, end in zip(starts, ends, strict=True)]


def _listed(text: str) -> list[dict[str, object]]:
    """The blocks of `Format-List`. A key that comes again begins the next one, since
    some consoles put an empty line after every line; what is wrapped is left out."""
    found: list[dict[str, object]] = []
    now: dict[str, object] = {}
    for line in textwrap.dedent(text[:400_000]).splitlines()[:20_000]:
        match = _KEY.fullmatch(line.strip()[:2_000])
        # What is far indented goes on with the value above it.
        if match is None or line.startswith("        "):
            continue
        name = match[1].strip()
        if name in now:
            found.append(now)
            now = {}
        now[name] = match[2].strip()
    return [*found, now] if now else found


def _shown(value: object) -> str:
    return value.strip()[:200] if isinstance(value, str) else ""


def _truth(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return bool(value)
    return {"true": True, "false": False, "1": True, "0": False}.get(
        _shown(value).lower()
    )
