"""What PowerShell's network cmdlets print: as lists, and through `ConvertTo-Json`.

Property names are not translated. Windows PowerShell 5.1 writes enumerations as
numbers, PowerShell 7 mostly as text; a list of one is printed as that one. Names,
servers and addresses of connections are dropped.
"""

from __future__ import annotations

import re
import textwrap
from typing import Literal

import msgspec

from probes.failure import Outcome
from probes.platforms.facts import Interface, VpnConnection
from probes.platforms.text import decode, decode_json, number, records, whole

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
# ifType (IANA): the kinds that matter here.
_KINDS = {
    6: "",
    23: "ppp",
    71: "wlan",
    131: "tunnel",
    237: "wwan",
    243: "wwan",
    244: "wwan",
    24: "loopback",
}
_WLAN_MEDIUM, _WWAN_MEDIUM = 9, 8


class Reached(msgspec.Struct, frozen=True):
    """What `Test-NetConnection` or `Find-NetRoute` said of one far end."""

    interface: str = ""
    source: str = ""
    next_hop: str = ""
    interface_index: int | None = None
    ping_ok: bool | None = None
    rtt_ms: float | None = None
    tcp_ok: bool | None = None
    port: int | None = None


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


def parse_get_netadapter(output: bytes | str) -> list[Interface] | Outcome:
    """The adapters of `Get-NetAdapter | ConvertTo-Json`. `bad_answer` where it is no
    such output. Pure."""
    text = decode(output).strip()
    if not text:
        return []
    adapters = [
        _adapter(each)
        for each in _entries(text)
        if "InterfaceDescription" in each or "ifDesc" in each
    ]
    return adapters or Outcome.BAD_ANSWER


def _adapter(entry: dict[str, object]) -> Interface:
    kind = _KINDS.get(whole(entry.get("InterfaceType")) or 6, "")
    medium = entry.get("NdisPhysicalMedium", entry.get("PhysicalMediaType"))
    named = _shown(medium).lower() + _shown(entry.get("MediaType")).lower()
    if whole(medium) == _WLAN_MEDIUM or "802.11" in named:
        kind = "wlan"
    elif whole(medium) == _WWAN_MEDIUM or "wireless wan" in named:
        kind = "wwan"
    hardware = _truth(entry.get("HardwareInterface"))
    virtual = _truth(entry.get("Virtual"))
    return Interface(
        name=_shown(entry.get("Name") or entry.get("InterfaceAlias")),
        description=_shown(entry.get("InterfaceDescription") or entry.get("ifDesc")),
        kind=kind,
        driver=_shown(entry.get("DriverName") or entry.get("DriverFileName")),
        physical=hardware is True or (hardware is None and virtual is False),
        up=_is_up(entry),
        mtu_byte=_mtu(whole(entry.get("MtuSize"))),
        speed_bps=_speed(entry),
        index=whole(entry.get("ifIndex", entry.get("InterfaceIndex"))) or 0,
    )


def _is_up(entry: dict[str, object]) -> bool:
    # ifOperStatus (RFC 2863): 1 up.
    for name in ("ifOperStatus", "InterfaceOperationalStatus", "Status"):
        value = entry.get(name)
        if value is None:
            continue
        code = whole(value)
        return code == 1 if code is not None else _shown(value).lower() == "up"
    return False


def _mtu(given: int | None) -> int | None:
    return given if given is not None and 0 < given <= 65_535 else None


def _speed(entry: dict[str, object]) -> int | None:
    """bit/s from `Speed` (a number), or `LinkSpeed` (`866.7 Mbps`, or a number)."""
    for name, scale in (("LinkSpeed(Mbps)", 1e6), ("LinkSpeed(Gbps)", 1e9)):
        shown = number(entry.get(name))
        if shown is not None and 0 < shown * scale < 10**13:
            return round(shown * scale)
    for name in ("Speed", "TransmitLinkSpeed", "ReceiveLinkSpeed", "LinkSpeed"):
        value = entry.get(name)
        given = whole(value)
        if given is None and isinstance(value, str):
            unit = re.search(r"([kMGT]?)b(?:ps|it/s)", value, re.IGNORECASE)
            figure = number(value)
            if unit and figure is not None:
                units = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
                given = round(figure * units[unit[1].upper()])
        # 2^63 and above is NDIS for "not known".
        if given is not None and 0 < given < 10**13:
            return given
    return None


def parse_test_netconnection(output: bytes | str) -> Reached | Outcome:
    """`Test-NetConnection`, as a list or as JSON. Pure."""
    text = decode(output).strip()
    entries = [each for each in _entries(text) if _REACHED & set(each)]
    if not entries:
        return Outcome.BAD_ANSWER
    entry = {name: value for each in reversed(entries) for name, value in each.items()}
    ping = entry.get("PingReplyDetails (RTT)")
    if isinstance(entry.get("PingReplyDetails"), dict):
        ping = records(entry["PingReplyDetails"])[0].get("RoundtripTime")
    port = whole(entry.get("RemotePort"))
    return Reached(
        interface=_shown(entry.get("InterfaceAlias")),
        source=_address(entry.get("SourceAddress", entry.get("SelectedSourceAddress"))),
        next_hop=_address(entry.get("NetRoute (NextHop)"))
        or _address(_named(entry.get("NetRoute"), "NextHop"))
        or _next_hop(_shown(entry.get("SelectedNetRoute")))
        or _address(entry.get("NextHop")),
        interface_index=whole(entry.get("OutgoingInterfaceIndex")),
        ping_ok=_truth(entry.get("PingSucceeded")),
        rtt_ms=number(ping),
        tcp_ok=_truth(entry.get("TcpTestSucceeded")),
        port=port if port else None,
    )


_REACHED = {
    "PingSucceeded",
    "TcpTestSucceeded",
    "InterfaceAlias",
    "SelectedSourceAddress",
    "RemoteAddress",
}


def parse_find_netroute(output: bytes | str) -> Reached | Outcome:
    """`Find-NetRoute -RemoteIPAddress …`: an address object and a route object, each
    as a list or in JSON. Pure."""
    entries = _entries(decode(output).strip())
    alias = source = next_hop = ""
    index: int | None = None
    for entry in entries:
        alias = alias or _shown(entry.get("InterfaceAlias"))
        source = source or _address(entry.get("IPAddress") or entry.get("IPv4Address"))
        next_hop = next_hop or _address(entry.get("NextHop"))
        given = whole(entry.get("InterfaceIndex", entry.get("ifIndex")))
        index = index if index is not None else given
    if not alias and index is None:
        return Outcome.BAD_ANSWER
    return Reached(
        interface=alias, source=source, next_hop=next_hop, interface_index=index
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


def _named(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _next_hop(text: str) -> str:
    found = re.search(r"NextHop: (\S{2,45})", text)
    return _address(found[1]) if found else ""


def _address(value: object) -> str:
    if isinstance(value, dict):
        value = value.get("IPAddress") or value.get("IPAddressToString")
    text = _shown(value)
    return text if re.fullmatch(r"[0-9A-Fa-f:.%]{2,60}", text) else ""


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
