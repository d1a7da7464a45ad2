"""`netsh wlan show interfaces`, in any language.

Labels are translated and printed in the console's code page, so values are known by
their shapes: a GUID, a hardware address, `802.11ax`, `5 GHz`, `83%`, `-64`, and by the
order that all versions share: channel, receive rate, transmit rate. `SSID` and `Rssi`
are the same word in every language. SSID, BSSID and profile are dropped.
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
# ГГц is how Russian writes it; the octets are its code pages' where undecoded.
_BAND = re.compile(
    r"([256])(?:[.,]4)?[\s\xff]*(?:GHz|ГГц|[^\x00-\x7f]{2,6})", re.IGNORECASE
)
# 0xFF is a space that does not break, in the consoles' old code pages; Turkish puts the
# sign before the number.
_PERCENT = re.compile(r"(?:\d{1,3}[\s\xff]*%|%[\s\xff]*\d{1,3})")
_BARE = re.compile(r"\d{1,5}(?:[.,]\d{1,3})?")
# A rate's label ends with its unit: (Mbps), (MBit/s), (Mb/sn) …
_RATE_LABEL = re.compile(
    r"[(\uff08][^()]*(?:/|bps|p\W?s)[^()]*[)\uff09]\s*$", re.IGNORECASE
)
# Where text runs from right to left, marks say so.
_MARKS = dict.fromkeys([0x200E, 0x200F, *range(0x202A, 0x202F)])
# `Radio status : Hardware On` and below it `Software Off`; known in English alone.
_OFF = re.compile(r"\b(?:Software|Hardware) Off\b")
_DENIED = re.compile(r"ms-settings:privacy|Wlan[A-Z]\w{1,40}\D{1,80}\b5\b")


class _Adapter:
    """The lines of one adapter as (label, value), in their order."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    @property
    def has_guid(self) -> bool:
        return any(_GUID.fullmatch(value) for _, value in self.lines)

    @property
    def whole(self) -> bool:
        """False for the hosted network's one line and the like."""
        return len(self.lines) >= 3 or self.has_guid


def parse_netsh_wlan(output: bytes | str, key: bytes = b"") -> list[WifiLink] | Outcome:
    """One link an adapter, in the order printed. `not_permitted` where Windows 11
    24H2 refuses for want of consent to location, `not_present` where there is no
    adapter (or no WLAN service). Pure."""
    text = decode(output).translate(_MARKS)
    adapters = _adapters(text)
    # What is said instead has colons too, but never an adapter's GUID.
    if not any(each.has_guid for each in adapters) and _DENIED.search(text[:20_000]):
        return Outcome.NOT_PERMITTED
    if not adapters:
        return Outcome.NOT_PRESENT
    links = []
    for each in adapters:
        link = msgspec.structs.replace(
            _link(each.lines, key), interface=_name(each.lines)
        )
        off = not link.connected and _OFF.search(text[:20_000]) is not None
        links.append(msgspec.structs.replace(link, radio_off=off))
    return links


def _adapters(text: str) -> list[_Adapter]:
    adapters, now, seen_guid = [], _Adapter(), False
    for raw in text.splitlines()[:2_000]:
        found = _LINE.match(raw[:400].strip())
        if found is None:
            if not raw.strip() and now.lines:
                adapters.append(now)
                now, seen_guid = _Adapter(), False
            continue
        line = found[1], found[2]
        if _GUID.fullmatch(line[1]):
            if seen_guid:
                # Two adapters without an empty line between them: the next one began
                # where the label that the first one began with came again.
                first = now.lines[0][0]
                labels = [label for label, _ in now.lines]
                at = len(labels) - 1 - labels[::-1].index(first)
                later = _Adapter()
                later.lines = now.lines[at:] if at else []
                now.lines = now.lines[: at or None]
                adapters.append(now)
                now = later
            seen_guid = True
        now.lines.append(line)
    adapters.append(now)
    return [each for each in adapters if each.whole]


def _name(lines: list[tuple[str, str]]) -> str:
    """The adapter's name, which is said first; only where an adapter's GUID shows that
    this is one whole."""
    label, value = lines[0]
    whole = any(_GUID.fullmatch(other) for _, other in lines[1:])
    return value[:40] if whole and label.upper() != "SSID" else ""


def _link(lines: list[tuple[str, str]], key: bytes) -> WifiLink:
    secret = {value for label, value in lines if label.upper() == "SSID" and value}
    facts: dict[str, str] = {}
    macs: list[tuple[int, str]] = []
    rates: list[str] = []
    bare: list[str] = []
    # Names come first and may look like anything ("5 GHz", "802.11n").
    begins = 1 if lines and lines[0][0].upper() != "SSID" else 0
    ssid_at = next((n for n, line in enumerate(lines) if line[0].upper() == "SSID"), -1)
    for at, (label, value) in enumerate(lines):
        if at == ssid_at or at < begins or "QOS" in label.upper():
            continue
        # The profile, last of all, is named like the network: "5 GHz", "44" …
        if value in secret and "quality" in facts:
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
    found = _STANDARD.fullmatch(facts.get("standard", ""))
    standard = f"802.11{found[1].lower()}" if found else ""
    band = _BAND.fullmatch(facts.get("band", ""))
    band_ghz = {"2": 2.4, "5": 5.0, "6": 6.0}[band[1]] if band else None
    channel = None
    for at, text in enumerate(bare):
        # Numbers of links and the like may stand before it; the band rules them out.
        first = number(text)
        if first is not None and first.is_integer() and fits_band(int(first), band_ghz):
            channel = int(first) or None
            bare = bare[at + 1 :]
            break
    rx, tx, *_ = [*(number(each) for each in [*rates, *bare]), None, None]
    quality = number(facts.get("quality"))
    quality = min(quality, 100.0) / 100 if quality is not None else None
    rssi = plausible_dbm(number(facts.get("rssi")))
    derived = rssi is None and quality is not None
    if band_ghz is None and channel is not None:
        band_ghz = band_of_channel(channel, standard)
    return WifiLink(
        connected=True,
        # MSDN: quality 0 to 100 is linear in -100 to -50 dBm.
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
