"""Wi-Fi from the Windows Native Wifi API (wlanapi.dll), with ctypes.

Structures are parsed from octets in the layout of wlanapi.h, which is the same for 32
and 64 bits. SSID and profile are not read. Since Windows 11 24H2 the API needs consent
to location, and a call without it may prompt the person. So consent is checked first,
and without it the API is not called.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from collections.abc import Callable, Mapping

from probes.platforms.system_facts import (
    WifiLink,
    band_of_channel,
    hash_bssid,
    plausible_dbm,
)
from probes.wire.failure import Outcome

# Windows 11 24H2, the first version that needs consent.
CONSENT_BUILD = 26_100
_RADIO_STATE, _CURRENT_CONNECTION, _CHANNEL, _RSSI = 4, 7, 8, 0x1000_0102
_INTERFACE_BYTES = 16 + 512 + 4
_CONNECTED, _OFF = 1, 2
_ACCESS_DENIED, _INVALID_STATE, _NOT_FOUND = 5, 5023, 1168
# DOT11_PHY_TYPE.
_STANDARDS = {
    4: "802.11a",
    5: "802.11b",
    6: "802.11g",
    7: "802.11n",
    8: "802.11ac",
    9: "802.11ad",
    10: "802.11ax",
    11: "802.11be",
}
QueryInterface = Callable[[bytes, int], bytes | int]


def has_consent(build: int, consent: Mapping[str, str]) -> bool:
    """True if reading the Wi-Fi prompts nobody. `consent` holds the values (`Allow`,
    `Deny`, `Prompt`) in the consent store for `machine`, `user` and `desktop` (programs
    that are not packaged apps). Pure."""
    if build < CONSENT_BUILD:
        return True
    # Without a choice Windows may prompt, so that counts as no consent.
    return all(
        consent.get(scope, "") == "Allow" for scope in ("machine", "user", "desktop")
    )


def parse_interface_list(octets: bytes) -> list[tuple[bytes, bool]]:
    """(GUID, is it connected) for each interface in a WLAN_INTERFACE_INFO_LIST.
    Pure."""
    if len(octets) < 8:
        return []
    (count,) = struct.unpack_from("<I", octets)
    interfaces = []
    for n in range(min(count, 32)):
        at = 8 + n * _INTERFACE_BYTES
        if at + _INTERFACE_BYTES > len(octets):
            break
        (state,) = struct.unpack_from("<I", octets, at + 528)
        interfaces.append((octets[at : at + 16], state == _CONNECTED))
    return interfaces


def parse_connection(
    octets: bytes, rssi_dbm: int | None, channel: int | None, key: bytes
) -> WifiLink | Outcome:
    """The link in a WLAN_CONNECTION_ATTRIBUTES; level and channel come from other
    queries. Pure."""
    if len(octets) < 588:
        return Outcome.BAD_ANSWER
    (state,) = struct.unpack_from("<I", octets, 0)
    if state != _CONNECTED:
        return WifiLink(connected=False)
    bssid = octets[560:566]
    phy, _, quality, rx_kbps, tx_kbps = struct.unpack_from("<5I", octets, 568)
    ratio = min(quality, 100) / 100
    signal = plausible_dbm(rssi_dbm)
    known = channel is not None and 1 <= channel <= 233
    standard = _STANDARDS.get(phy, "")
    return WifiLink(
        connected=True,
        signal_dbm=round(ratio * 50 - 100) if signal is None else signal,
        signal_derived=signal is None,
        quality_ratio=ratio,
        rx_bps=rx_kbps * 1e3 if 0 < rx_kbps < 10**9 else None,
        tx_bps=tx_kbps * 1e3 if 0 < tx_kbps < 10**9 else None,
        band_ghz=band_of_channel(channel, standard)
        if channel is not None and known
        else None,
        channel=channel if known else None,
        standard=standard,
        cell=hash_bssid(bssid.hex(":"), key),
    )


def links(
    interface_list: bytes, query: QueryInterface, key: bytes
) -> list[WifiLink] | Outcome:
    """The links of all interfaces in `interface_list`. `query(guid, opcode)` returns
    octets or a Windows error number. Pure except for `query`."""
    read: list[WifiLink] = []
    refused: Outcome | None = None
    for guid, connected in parse_interface_list(interface_list):
        if not connected:
            off = radio_is_off(query(guid, _RADIO_STATE))
            read.append(WifiLink(connected=False, radio_off=off))
            continue
        answer = query(guid, _CURRENT_CONNECTION)
        if isinstance(answer, int):
            if answer in {_INVALID_STATE, _NOT_FOUND}:
                read.append(WifiLink(connected=False))
            elif refused is not Outcome.NOT_PERMITTED:
                refused = error_outcome(answer)
            continue
        link = parse_connection(
            answer, _long(query(guid, _RSSI)), _long(query(guid, _CHANNEL)), key
        )
        if isinstance(link, Outcome):
            refused = refused or link
        else:
            read.append(link)
    if any(link.connected for link in read) or refused is None:
        return read or Outcome.NOT_PRESENT
    return refused


def error_outcome(error: int) -> Outcome:
    """The outcome for a Windows error number. Pure."""
    denied = error == _ACCESS_DENIED
    return Outcome.NOT_PERMITTED if denied else Outcome.NOT_SUPPORTED


def radio_is_off(answer: bytes | int) -> bool:
    """True if a WLAN_RADIO_STATE shows that all radios of an interface are off, by
    software or by hardware (DOT11_RADIO_STATE: 1 on, 2 off). Pure."""
    if isinstance(answer, int) or len(answer) < 4:
        return False
    (count,) = struct.unpack_from("<I", answer)
    states = [
        struct.unpack_from("<II", answer, at + 4)
        for at in range(4, min(len(answer), 4 + 12 * min(count, 64)) - 11, 12)
    ]
    return bool(states) and all(_OFF in state for state in states)


def _long(answer: bytes | int) -> int | None:
    if isinstance(answer, int) or len(answer) < 4:
        return None
    return int(struct.unpack_from("<i", answer)[0])


if sys.platform == "win32":
    from probes.platforms.system_library import system_library

    def wifi(key: bytes) -> list[WifiLink] | Outcome:
        """Reads the links from wlanapi.dll; `not_supported` without a WLAN service."""
        try:
            api = system_library("wlanapi.dll")
        except OSError:
            # Windows Server without the feature.
            return Outcome.NOT_SUPPORTED
        api.WlanFreeMemory.argtypes = [ctypes.c_void_p]
        api.WlanFreeMemory.restype = None
        api.WlanCloseHandle.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        handle, version = ctypes.c_void_p(), ctypes.c_uint32()
        error = api.WlanOpenHandle(2, None, ctypes.byref(version), ctypes.byref(handle))
        if error:
            return error_outcome(error)
        try:
            listed = ctypes.c_void_p()
            error = api.WlanEnumInterfaces(handle, None, ctypes.byref(listed))
            if error:
                return error_outcome(error)
            if not listed.value:
                return Outcome.NOT_PRESENT
            count = struct.unpack("<I", ctypes.string_at(listed.value, 4))[0]
            octets = ctypes.string_at(
                listed.value, 8 + min(count, 32) * _INTERFACE_BYTES
            )
            api.WlanFreeMemory(listed)

            def query(guid: bytes, opcode: int) -> bytes | int:
                size, data = ctypes.c_uint32(), ctypes.c_void_p()
                error = api.WlanQueryInterface(
                    handle,
                    ctypes.create_string_buffer(guid, 16),
                    opcode,
                    None,
                    ctypes.byref(size),
                    ctypes.byref(data),
                    None,
                )
                if error or not data.value:
                    return int(error) or _NOT_FOUND
                try:
                    return ctypes.string_at(data.value, min(size.value, 4_096))
                finally:
                    api.WlanFreeMemory(data)

            return links(octets, query, key)
        finally:
            api.WlanCloseHandle(handle, None)
