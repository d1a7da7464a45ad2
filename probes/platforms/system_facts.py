"""The facts that every platform provides.

Facts only: `vpn.py`, `wifi.py`, `place.py` and `laptop_load.py` judge them. No fact
names a network: the parsers drop every SSID and BSSID.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from typing import Any, Literal

import msgspec


class Interface(msgspec.Struct, frozen=True):
    """One network interface.

    `kind` is the system's name for it (wireguard, tun, tap, ppp, wlan, wwan, bridge,
    tunnel, …), empty if it has none. `description` is that of the adapter (Windows) or
    the provider of the tunnel (macOS). `physical`: it is a piece of hardware. `routed`:
    a route uses it, or the system chooses it for far addresses. `driver` is that of the
    hardware. `networks` are its addresses with prefix lengths. `index` changes if the
    interface is created again.
    """

    name: str
    description: str = ""
    kind: str = ""
    driver: str = ""
    physical: bool = False
    up: bool = False
    addresses: tuple[str, ...] = ()
    routed: bool = False
    default_metric: int | None = None
    gateway: str = ""
    mtu_byte: int | None = None
    networks: tuple[str, ...] = ()
    resolvers: tuple[str, ...] = ()
    speed_bps: int | None = None
    index: int = 0

    @property
    def global_addresses(self) -> tuple[str, ...]:
        """The addresses, without link-local and loopback."""
        return tuple(address for address in self.addresses if not _is_local(address))


class IpRoute(msgspec.Struct, frozen=True):
    """One route. `metric` gives the order in which the system prefers routes."""

    interface: str
    destination: str
    prefix: int
    gateway: str
    metric: int


class WifiLink(msgspec.Struct, frozen=True):
    """One Wi-Fi interface as it is now; None for what its driver does not report.

    `signal_derived`: the level was calculated from a quality in per cent, ± 6 dB.
    `radio_off`: nothing is connected because the radio is switched off. `standard` is
    such as 802.11ax. `cell` is a keyed hash of the access point for counting roams,
    empty without a key. `tx_packets` and `tx_retries` count since the association.
    """

    connected: bool
    interface: str = ""
    signal_dbm: int | None = None
    signal_derived: bool = False
    quality_ratio: float | None = None
    noise_dbm: int | None = None
    rx_bps: float | None = None
    tx_bps: float | None = None
    band_ghz: float | None = None
    channel: int | None = None
    width_mhz: int | None = None
    standard: str = ""
    cell: str = ""
    tx_packets: int | None = None
    tx_retries: int | None = None
    radio_off: bool = False

    def __post_init__(self) -> None:
        # Wi-Fi 7 uses several links at once, and tools mix their values. A combination
        # that no single link can have is dropped.
        width, channel = self.width_mhz, self.channel
        if width is not None and width > widest_mhz(self.band_ghz):
            msgspec.structs.force_setattr(self, "width_mhz", None)
        if channel is not None and not fits_band(channel, self.band_ghz):
            msgspec.structs.force_setattr(self, "channel", None)


class VpnConnection(msgspec.Struct, frozen=True):
    """One VPN that the system itself manages; its name and server are not kept.

    `kind` is ikev2, sstp, l2tp, wireguard, the name of a provider, and so on. `split`:
    only some destinations go through it; None if not known.
    """

    kind: str
    state: Literal["up", "connecting", "down", "unknown"]
    split: bool | None = None


class ManagedSettings(msgspec.Struct, frozen=True):
    """The agent's settings that the system keeps, as a tree. `policy`: the council has
    set them for this laptop; otherwise the installer was given them. `where` names the
    place for people. `trouble`: why it cannot be read."""

    where: str
    values: dict[str, Any]
    policy: bool
    trouble: str = ""


class ProxySetting(msgspec.Struct, frozen=True):
    """The system's proxy setting. `url` (http://host:port) and `script` (the address of
    a PAC script) stay on the laptop; only `kind` is ever reported.

    `others`: what the setting names besides, in order, in case `url` does not answer;
    an empty one is the direct way. `besides`: what is set as well, in case the script
    cannot be run. `note`: what is wrong with a script or with proxies that are passed
    over, for people.
    """

    kind: Literal["none", "environment", "manual", "pac", "wpad"]
    url: str = ""
    exceptions: tuple[str, ...] = ()
    script: str = ""
    others: tuple[str, ...] = ()
    note: str = ""
    besides: ProxySetting | None = None

    @property
    def ways(self) -> tuple[str, ...]:
        """`url` and the `others`."""
        return (self.url, *self.others)


class ProcessorTimes(msgspec.Struct, frozen=True):
    """Seconds of all processors together since the start: busy, and total."""

    busy_s: float
    total_s: float


class BatteryState(msgspec.Struct, frozen=True):
    """`plugged`: whether mains power the laptop; None if not known."""

    percent: float
    plugged: bool | None


class LinkCounters(msgspec.Struct, frozen=True):
    """What one interface has carried since it exists; `bytes` both ways together."""

    bytes: int
    packets_out: int
    packets_in: int
    errors: int


class LinkStatus(msgspec.Struct, frozen=True):
    """`speed_bps`: None if not known."""

    speed_bps: int | None
    half_duplex: bool


class ProcessUse(msgspec.Struct, frozen=True):
    """What this process has used. `started_s`: Unix time."""

    cpu_s: float
    rss_bytes: int
    started_s: float


def hash_bssid(bssid: str, key: bytes) -> str:
    """A keyed hash of an access point's address; empty without a key."""
    if not key:
        return ""
    text = bssid.strip().lower().replace("-", ":")
    return hashlib.blake2b(text.encode(), key=key, digest_size=8).hexdigest()


def band_of_frequency(mhz: float) -> float | None:
    """2.4, 5 or 6 (GHz) for a channel's centre frequency (IEEE 802.11, annex E)."""
    for low, high, band in ((2400, 2500, 2.4), (5150, 5925, 5.0), (5925, 7125, 6.0)):
        if low <= mhz <= high:
            return band
    return None


def channel_of_frequency(mhz: float) -> int | None:
    """The channel number of a primary channel's frequency (IEEE 802.11, annex E)."""
    whole = round(mhz)
    if whole == 2484:
        return 14
    for first, last, base in (
        (2412, 2472, 2407),
        (5955, 7115, 5950),
        (5160, 5885, 5000),
    ):
        if first <= whole <= last and (whole - base) % 5 == 0:
            return (whole - base) // 5
    # Channel 2 of 6 GHz is the exception.
    return 2 if whole == 5935 else None


def band_of_channel(channel: int, standard: str = "") -> float | None:
    """The band of a channel number, if nothing else is known. Wi-Fi 6E and 7 number the
    channels of 6 GHz 1, 5, 9 … 233, so with 802.11ax and later the band of those
    numbers stays open."""
    if standard in {"802.11ax", "802.11be"} and channel % 4 == 1:
        return None
    if 1 <= channel <= 14:
        return 2.4
    return 5.0 if 32 <= channel <= 177 else None


def widest_mhz(band_ghz: float | None) -> int:
    """The widest channel in a band, or in any band (IEEE 802.11be)."""
    return {2.4: 40, 5.0: 160}.get(band_ghz or 0.0, 320)


def common_channel(
    frequencies: Sequence[float], width_mhz: int | None
) -> tuple[float | None, int | None]:
    """(band in GHz, channel) of links on these frequencies, one of which has a channel
    of `width_mhz`; None for a value that differs between them."""
    possible = {
        mhz
        for mhz in frequencies
        if (width_mhz or 0) <= widest_mhz(band_of_frequency(mhz))
    } or set(frequencies)
    bands = {band_of_frequency(mhz) for mhz in possible}
    channels = {channel_of_frequency(mhz) for mhz in possible}
    band = bands.pop() if len(bands) == 1 else None
    channel = channels.pop() if band is not None and len(channels) == 1 else None
    return band, channel


def fits_band(channel: int, band_ghz: float | None) -> bool:
    """True if the band has a channel with this number. Pure."""
    if band_ghz == 2.4:
        return 1 <= channel <= 14
    if band_ghz == 5.0:
        return 32 <= channel <= 177
    return 1 <= channel <= 233


def plausible_dbm(value: float | None) -> int | None:
    """The level if a receiver can have it; drivers report 0 or -256 for "none"."""
    return round(value) if value is not None and -120 <= value < 0 else None


def _is_local(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return True
    return parsed.is_link_local or parsed.is_loopback
