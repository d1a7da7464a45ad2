"""Parses `system_profiler SPAirPortDataType` of macOS 10.13 to 15: JSON, XML or text.

Apple has moved the keys over the years, so a link is the part called "current network",
at any depth. In older versions its key is the network's name. Names and addresses of
networks (`<redacted>` or not) are dropped.
"""

from __future__ import annotations

import plistlib
import re
from collections.abc import Iterator
from xml.parsers.expat import ExpatError

from probes.platforms.system_facts import (
    WifiLink,
    band_of_channel,
    hash_bssid,
    plausible_dbm,
)
from probes.platforms.tool_output import decode, decode_json, number
from probes.wire.failure import Outcome

_MAX_NODES = 20_000
_MAX_DEPTH = 12
_CURRENT = "spairport_current_network_information"
_LEVELS = re.compile(r"(-?\d{1,4})\s*(?:dBm)?\s*/\s*(-?\d{1,4})")
_LEVEL = re.compile(r"(-\d{1,3})\s*dBm")
_BAND = re.compile(r"([256])(?:[.,]4)?\s*GHz", re.IGNORECASE)
_WIDTH = re.compile(r"(20|40|80|160|320)\s*MHz", re.IGNORECASE)
_STANDARD = re.compile(r"802\.11\s?([a-z]{1,2})\b", re.IGNORECASE)
_LABELS = {
    "phy mode": "phymode",
    "channel": "channel",
    "signal / noise": "signal_noise",
    "transmit rate": "rate",
    "bssid": "bssid",
}


def parse_system_profiler(
    output: bytes | str, key: bytes = b""
) -> list[WifiLink] | Outcome:
    """One link for each Wi-Fi interface. Returns `not_present` without Wi-Fi hardware,
    `bad_answer` if the output is from something else. Pure."""
    text = decode(output).lstrip()
    if text.startswith(("{", "[")):
        tree = decode_json(text)
    elif text.startswith(("<?xml", "<!DOCTYPE plist", "<plist")):
        tree = _plist(text)
    else:
        return _from_text(text, key)
    if tree is None or "AirPort" not in text[:100_000]:
        return Outcome.BAD_ANSWER
    links = [_link(name, current, off, key) for name, current, off in _interfaces(tree)]
    return links or Outcome.NOT_PRESENT


def _plist(text: str) -> object:
    try:
        return plistlib.loads(text.encode())
    except (
        ExpatError,
        plistlib.InvalidFileException,
        ValueError,
        TypeError,
        AttributeError,
        LookupError,
        OverflowError,
        RecursionError,
    ):
        return None


def _interfaces(
    tree: object,
) -> Iterator[tuple[str, dict[str, object] | None, bool]]:
    """(name, current network or None, is it off) for each interface."""
    nodes = list(_walk(tree))
    lists = [node.get("spairport_airport_interfaces") for node in nodes]
    listed = [node for nodes in lists if isinstance(nodes, list) for node in nodes]
    # Without such a list, every node with a current network is an interface.
    for interface in listed or [node for node in nodes if _CURRENT in node]:
        if not isinstance(interface, dict):
            continue
        name = interface.get("_name")
        # The AirDrop interfaces have networks too, but carry no other traffic.
        if isinstance(name, str) and name.startswith(("awdl", "llw", "ap")):
            continue
        inner = [value for value in interface.values() if isinstance(value, dict)]
        off = interface.get("spairport_status_information") == "spairport_status_off"
        current = _current([interface, *inner])
        yield name if isinstance(name, str) else "", current, off


def _current(nodes: list[dict[str, object]]) -> dict[str, object] | None:
    for node in nodes:
        for label, value in node.items():
            if "current_network" not in label:
                continue
            for network in _walk(value):
                if any(key.startswith("spairport_network") for key in network) or (
                    "spairport_signal_noise" in network
                ):
                    return network
    return None


def _walk(tree: object) -> Iterator[dict[str, object]]:
    """Every dictionary in `tree`, outermost first; bounded."""
    waiting: list[tuple[object, int]] = [(tree, 0)]
    for _ in range(_MAX_NODES):
        if not waiting:
            return
        node, depth = waiting.pop(0)
        if isinstance(node, dict):
            yield {str(key): value for key, value in node.items()}
            children: list[object] = list(node.values())
        else:
            children = node if isinstance(node, list) else []
        if depth < _MAX_DEPTH:
            waiting += [
                (child, depth + 1)
                for child in children
                if isinstance(child, dict | list)
            ]


def _link(
    name: str, current: dict[str, object] | None, off: bool, key: bytes
) -> WifiLink:
    if current is None:
        return WifiLink(connected=False, interface=name[:40], radio_off=off)
    facts: dict[str, object] = {}
    for label, value in current.items():
        short = label.removeprefix("spairport_").removeprefix("network_")
        facts.setdefault(short, value)
    return _from_facts(name, facts, key)


def _from_facts(name: str, facts: dict[str, object], key: bytes) -> WifiLink:
    signal, noise = _levels(facts.get("signal_noise"))
    channel, band, width = _channel(facts.get("channel"))
    rate = number(facts.get("rate"))
    standard = _STANDARD.search(str(facts.get("phymode", ""))[:100])
    bssid = str(facts.get("bssid", ""))[:40]
    known = re.fullmatch(r"(?:[0-9a-fA-F]{1,2}:){5}[0-9a-fA-F]{1,2}", bssid)
    return WifiLink(
        connected=True,
        interface=name[:40],
        signal_dbm=signal,
        noise_dbm=noise,
        tx_bps=rate * 1e6 if rate is not None and 0 < rate < 1e6 else None,
        band_ghz=band,
        channel=channel,
        width_mhz=width,
        standard=f"802.11{standard[1].lower()}" if standard else "",
        cell=hash_bssid(bssid, key) if known else "",
    )


def _levels(value: object) -> tuple[int | None, int | None]:
    if isinstance(value, dict):
        # One version prints the two separately.
        levels = {str(key): number(level) for key, level in list(value.items())[:10]}
        signal = next((levels[key] for key in levels if "signal" in key), None)
        noise = next((levels[key] for key in levels if "noise" in key), None)
        return plausible_dbm(signal), plausible_dbm(noise)
    if isinstance(value, int | float):
        return plausible_dbm(number(value)), None
    text = str(value)[:100]
    both = _LEVELS.search(text)
    if both:
        return plausible_dbm(float(both[1])), plausible_dbm(float(both[2]))
    single = _LEVEL.search(text)
    return (plausible_dbm(float(single[1])) if single else None), None


def _channel(value: object) -> tuple[int | None, float | None, int | None]:
    """(channel, band, width) of `36 (5GHz, 80MHz)`, `36`, `"36,80"` or `"36,+1"`."""
    text = str(value)[:100]
    match = re.match(r"\s*(\d{1,3})", text)
    if match is None or not 1 <= int(match[1]) <= 233:
        return None, None, None
    channel = int(match[1])
    band, width = _BAND.search(text), _WIDTH.search(text)
    short = re.fullmatch(r"\s*\d{1,3}\s*,\s*([-+]1|1|20|40|80|160)\s*", text)
    width_mhz = int(width[1]) if width else None
    if width_mhz is None and short:
        width_mhz = 40 if short[1].lstrip("-+") == "1" else int(short[1])
    return (
        channel,
        {"2": 2.4, "5": 5.0, "6": 6.0}[band[1]] if band else band_of_channel(channel),
        width_mhz,
    )


def _from_text(text: str, key: bytes) -> list[WifiLink] | Outcome:
    """Parses the text form, whose labels are English under `LC_ALL=C`."""
    if not re.search(r"^\s*(Wi-Fi|AirPort):", text[:2_000], re.MULTILINE):
        return Outcome.BAD_ANSWER
    facts: dict[str, object] | None = None
    interface, inside, link = "", False, False
    for line in text.splitlines()[:5_000]:
        bare = line.strip()[:200]
        heading = re.fullmatch(r"(en\d{1,3}|wl\w{1,20}):", bare)
        if heading and not link:
            interface, inside = heading[1], False
        elif bare == "Current Network Information:":
            inside = True
            facts = {} if facts is None else facts
        elif bare.startswith("Other Local"):
            inside = False
        elif inside and facts is not None:
            label, colon, value = bare.partition(":")
            known = _LABELS.get(label.strip().lower())
            if colon and known and value.strip():
                facts.setdefault(known, value.strip())
                link = True
    if facts:
        return [_from_facts(interface, facts, key)]
    return (
        [WifiLink(connected=False, interface=interface)]
        if interface
        else (Outcome.NOT_PRESENT)
    )
