"""Parses `netsh wlan show interfaces` in any language.

Labels are translated and printed in the console's code page. So values are recognised
by their shape (a GUID, a hardware address, `802.11ax`, `5 GHz`, `83%`, `-64`) and by
the order that all versions share: channel, receive rate, transmit rate. `SSID` and
`Rssi` are the same word in every language. SSID, BSSID and profile are dropped.
"""

from __future__ import annotations

import re

import msgspec

from probes.platforms.system_facts import (
    WifiLink,
    band_of_channel,
    fits_band,
    hash_bssid,
    plausible_dbm,
)
from probes.platforms.tool_output import decode, number
from probes.wire.failure import Outcome

_LINE = re.compile(r"(\S[^:\uff1a]{0,120}?)\s*[:\uff1a]\s*(.*)")
_GUID = re.compile(r"\{?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?", re.IGNORECASE)
_MAC = re.compile(r"[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}", re.IGNORECASE)
_STANDARD = re.compile(r"802\.11 ?([a-z]{1,2})", re.IGNORECASE)
# Russian prints ГГц, perhaps as undecoded octets of its code pages.
_BAND = re.compile(
    r"([256])(?:[.,]4)?[\s\xff]*(?:GHz|ГГц|[^\x00-\x7f]{2,6})", re.IGNORECASE
)
# 0xFF is the no-break space of old console code pages. Turkish puts the sign before the
# number.
_PERCENT = re.compile(r"(?:\d{1,3}[\s\xff]*%|%[\s\xff]*\d{1,3})")
_BARE = re.compile(r"\d{1,5}(?:[.,]\d{1,3})?")
# The label of a rate ends with its unit: (Mbps), (MBit/s), (Mb/sn) …
_RATE_LABEL = re.compile(
    r"[(\uff08][^()]*(?:/|bps|p\W?s)[^()]*[)\uff09]\s*$", re.IGNORECASE
)
# Marks for right-to-left text.
_DIRECTION_MARKS = dict.fromkeys([0x200E, 0x200F, *range(0x202A, 0x202F)])
# `Radio status : Hardware On`, then `Software Off`; recognised in English only.
_OFF = re.compile(r"\b(?:Software|Hardware) Off\b")
_DENIED = re.compile(r"ms-settings:privacy|Wlan[A-Z]\w{1,40}\D{1,80}\b5\b")


class _AdapterBlock:
    """The lines of one adapter as (label, value), in order."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    @property
    def has_guid(self) -> bool:
        return any(_GUID.fullmatch(value) for _, value in self.lines)

    @property
    def is_complete(self) -> bool:
        """False for a stray line such as that of the hosted network."""
        return len(self.lines) >= 3 or self.has_guid


def parse_netsh_wlan(output: bytes | str, key: bytes = b"") -> list[WifiLink] | Outcome:
    """One link for each adapter, in the order printed. Returns `not_permitted` if
    Windows 11 24H2 refuses because location is not allowed, `not_present` without an
    adapter or a WLAN service. Pure."""
    text = decode(output).translate(_DIRECTION_MARKS)
    adapters = _adapters(text)
    # An error message has colons too, but never the GUID of an adapter.
    if not any(adapter.has_guid for adapter in adapters) and _DENIED.search(
        text[:20_000]
    ):
        return Outcome.NOT_PERMITTED
    if not adapters:
        return Outcome.NOT_PRESENT
    links = []
    for adapter in adapters:
        link = msgspec.structs.replace(
            _link(adapter.lines, key), interface=_name(adapter.lines)
        )
        off = not link.connected and _OFF.search(text[:20_000]) is not None
        links.append(msgspec.structs.replace(link, radio_off=off))
    return links


def _adapters(text: str) -> list[_AdapterBlock]:
    adapters, current, seen_guid = [], _AdapterBlock(), False
    for raw in text.splitlines()[:2_000]:
        match = _LINE.match(raw[:400].strip())
        if match is None:
            if not raw.strip() and current.lines:
                adapters.append(current)
                current, seen_guid = _AdapterBlock(), False
            continue
        line = match[1], match[2]
        if _GUID.fullmatch(line[1]):
            if seen_guid:
                # Two adapters without an empty line in between: the second starts at
                # the label that the first one started with.
                first = current.lines[0][0]
                labels = [label for label, _ in current.lines]
                at = len(labels) - 1 - labels[::-1].index(first)
                later = _AdapterBlock()
                later.lines = current.lines[at:] if at else []
                current.lines = current.lines[: at or None]
                adapters.append(current)
                current = later
            seen_guid = True
        current.lines.append(line)
    adapters.append(current)
    return [adapter for adapter in adapters if adapter.is_complete]


def _name(lines: list[tuple[str, str]]) -> str:
    """The adapter's name, from the first line; empty unless a GUID shows that the block
    is complete."""
    label, value = lines[0]
    complete = any(_GUID.fullmatch(other) for _, other in lines[1:])
    return value[:40] if complete and label.upper() != "SSID" else ""


def _link(lines: list[tuple[str, str]], key: bytes) -> WifiLink:
    network_names = {
        value for label, value in lines if label.upper() == "SSID" and value
    }
    facts: dict[str, str] = {}
    macs: list[tuple[int, str]] = []
    rates: list[str] = []
    bare: list[str] = []
    # Names come first and may look like a value ("5 GHz", "802.11n").
    first = 1 if lines and lines[0][0].upper() != "SSID" else 0
    ssid_at = next((n for n, line in enumerate(lines) if line[0].upper() == "SSID"), -1)
    for at, (label, value) in enumerate(lines):
        if at == ssid_at or at < first or "QOS" in label.upper():
            continue
        # The profile comes last and has the network's name, perhaps "5 GHz" or "44".
        if value in network_names and "quality" in facts:
            continue
        if _MAC.fullmatch(value):
            macs.append((at, value))
        elif label.upper() == "RSSI":
            facts.setdefault("rssi", value)
        elif _STANDARD.fullmatch(value):
            facts.setdefault("standard", value)
        elif _BAND.fullmatch(value):
            facts.setdefault("band", value)
        elif _PERCENT.fullmatch(value):
            facts.setdefault("quality", value)
        elif _BARE.fullmatch(value):
            (rates if _RATE_LABEL.search(label) else bare).append(value)
    return _facts(facts, macs, rates, bare, ssid_at, key)


def _facts(
    facts: dict[str, str],
    macs: list[tuple[int, str]],
    rates: list[str],
    bare: list[str],
    ssid_at: int,
    key: bytes,
) -> WifiLink:
    bssid = next((mac for at, mac in macs if at > ssid_at >= 0), "")
    if ssid_at < 0 and len(macs) > 1:
        bssid = macs[1][1]
    connected = "quality" in facts or bool(rates) or bool(bssid) or "rssi" in facts
    if not connected:
        return WifiLink(connected=False)
    match = _STANDARD.fullmatch(facts.get("standard", ""))
    standard = f"802.11{match[1].lower()}" if match else ""
    band = _BAND.fullmatch(facts.get("band", ""))
    band_ghz = {"2": 2.4, "5": 5.0, "6": 6.0}[band[1]] if band else None
    channel = None
    for at, text in enumerate(bare):
        # Other numbers may come before the channel; the band rules them out.
        value = number(text)
        if value is not None and value.is_integer() and fits_band(int(value), band_ghz):
            channel = int(value) or None
            bare = bare[at + 1 :]
            break
    rx, tx, *_ = [*(number(text) for text in [*rates, *bare]), None, None]
    quality = number(facts.get("quality"))
    quality = min(quality, 100.0) / 100 if quality is not None else None
    rssi = plausible_dbm(number(facts.get("rssi")))
    derived = rssi is None and quality is not None
    if band_ghz is None and channel is not None:
        band_ghz = band_of_channel(channel, standard)
    return WifiLink(
        connected=True,
        # Microsoft: quality 0 to 100 corresponds to -100 to -50 dBm, linearly.
        signal_dbm=round(quality * 50 - 100)
        if rssi is None and quality is not None
        else rssi,
        signal_derived=derived,
        quality_ratio=quality,
        rx_bps=None if not rx else rx * 1e6,
        tx_bps=None if not tx else tx * 1e6,
        band_ghz=band_ghz,
        channel=channel,
        standard=standard,
        cell=hash_bssid(bssid, key) if bssid else "",
    )
