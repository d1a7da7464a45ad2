"""`iw dev WLAN link`, `iw dev WLAN station dump`, `iw dev` and `/proc/net/wireless`.

The output of iw is never translated. The SSID and the access point's address are
dropped.
"""

from __future__ import annotations

import re

from probes.platforms.system_facts import (
    WifiLink,
    common_channel,
    hash_bssid,
    plausible_dbm,
)
from probes.platforms.tool_output import decode, number
from probes.wire.failure import Outcome

_CONNECTED = re.compile(
    r"(?:Connected to|Joined IBSS|^Station) ([0-9a-f:]{17})(?: \(on (\S+)\))?",
    re.IGNORECASE,
)
_NOT_CONNECTED = re.compile(r"^\s*Not connected\.?", re.IGNORECASE)
# Wi-Fi 7 has several links at once, each under a heading of its own.
_LINK = re.compile(r"^\s*Link \d{1,2}(?: BSSID|:)", re.IGNORECASE)
_KEY = re.compile(r"^\s*([a-zA-Z][\w /-]{0,40}?)\s*:\s*(.*)$")
_WIDTH = re.compile(r"\b(20|40|80P80|80\+80|80|160|320) ?MHz")
_STANDARDS = (
    ("EHT-", "802.11be"),
    ("HE-", "802.11ax"),
    ("VHT-", "802.11ac"),
    ("MCS", "802.11n"),
)
_MISSING = re.compile(r"no such device|nl80211 not found|not supported", re.IGNORECASE)


def parse_iw_link(output: bytes | str, key: bytes = b"") -> WifiLink | Outcome:
    """Parses the link in `iw dev X link` of iw 3 to 6. Returns `not_present` if iw
    reports no such interface, `bad_answer` if the output is not from iw. Pure."""
    text = decode(output)
    if any(_NOT_CONNECTED.match(line) for line in text.splitlines()[:3]):
        return WifiLink(connected=False)
    values: dict[str, str] = {}
    sections = [values]
    bssid = interface = ""
    for line in text.splitlines()[:400]:
        if _LINK.match(line[:200]):
            sections.append({})
            continue
        joined = _CONNECTED.search(line[:200])
        if joined:
            bssid, interface = joined[1], joined[2] or ""
        match = _KEY.match(line[:400])
        if match and match[1].lower() != "ssid":
            sections[-1].setdefault(match[1].lower(), match[2].strip())
    values, frequencies = _pick_link(sections)
    signal = plausible_dbm(number(values.get("signal") or values.get("signal avg")))
    rates = values.get("rx bitrate", ""), values.get("tx bitrate", "")
    if not bssid and not frequencies and signal is None and not any(rates):
        missing = _MISSING.search(text) is not None
        return Outcome.NOT_PRESENT if missing else Outcome.BAD_ANSWER
    width = _width(*rates)
    band, channel = common_channel(frequencies, width)
    return WifiLink(
        connected=True,
        interface=interface[:40],
        signal_dbm=signal,
        rx_bps=_rate(rates[0]),
        tx_bps=_rate(rates[1]),
        band_ghz=band,
        channel=channel,
        width_mhz=width,
        standard=_standard(*rates),
        cell=hash_bssid(bssid, key) if bssid else "",
        tx_packets=_count(values.get("tx packets")),
        tx_retries=_count(values.get("tx retries")),
    )


def parse_iw_dev(output: bytes | str) -> list[str]:
    """The names of the managed interfaces in `iw dev`. Pure."""
    names: list[str] = []
    name = ""
    for line in decode(output).splitlines()[:2_000]:
        words = line.split()
        if len(words) == 2 and words[0] == "Interface":
            name = words[1][:40]
        elif words == ["type", "managed"] and name:
            names.append(name)
            name = ""
    return names


def parse_proc_wireless(text: bytes | str) -> list[WifiLink]:
    """The links in `/proc/net/wireless` (wireless extensions): signal and noise only.
    Levels above 0 use another scale and are left out. Pure."""
    links = []
    for line in decode(text).splitlines()[2:200]:
        name, colon, rest = line.partition(":")
        columns = rest.split()
        if not colon or len(columns) < 4:
            continue
        signal = plausible_dbm(number(columns[2]))
        links.append(
            WifiLink(
                connected=signal is not None,
                interface=name.strip()[:40],
                signal_dbm=signal,
                noise_dbm=plausible_dbm(number(columns[3])),
            )
        )
    return links


def _pick_link(sections: list[dict[str, str]]) -> tuple[dict[str, str], list[float]]:
    """The values of the connection, and the frequencies it may use. If links have rates
    of their own, the first such link counts; if only the whole connection has rates,
    they may belong to any link."""
    head, *links = sections
    for link in links:
        if not any("bitrate" in key for key in head) and "rx bitrate" in link:
            return {**head, **link}, _frequencies([link])
    return head, _frequencies(links) or _frequencies([head])


def _frequencies(sections: list[dict[str, str]]) -> list[float]:
    frequencies = (_frequency(section) for section in sections)
    return [mhz for mhz in frequencies if mhz is not None]


def _frequency(values: dict[str, str]) -> float | None:
    # `2437`, in newer versions `2437.0`.
    match = re.match(r"\d{4}(?:\.\d{1,6})?", values.get("freq", ""))
    return float(match[0]) if match and 2000 <= float(match[0]) <= 8000 else None


def _rate(text: str) -> float | None:
    """`866.7 MBit/s VHT-MCS 9 …`, `1.2 GBit/s`, `(unknown)`."""
    match = re.match(r"(\d{1,6}(?:\.\d{1,3})?) ([kMG])Bit/s", text)
    if not match:
        return None
    scale = {"k": 1e3, "M": 1e6, "G": 1e9}[match[2]]
    return float(match[1]) * scale or None


def _width(*rates: str) -> int | None:
    for rate in rates:
        match = _WIDTH.search(rate)
        if match:
            return 160 if len(match[1]) > 3 else int(match[1])
    # iw does not print the width of a 20 MHz channel.
    return 20 if any("MCS" in rate for rate in rates) else None


def _standard(*rates: str) -> str:
    for prefix, standard in _STANDARDS:
        if any(f" {prefix}" in rate for rate in rates):
            return standard
    return ""


def _count(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"\d{1,15}", text) else None
