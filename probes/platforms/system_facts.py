"""What the platforms are asked, and the shape of their answers.

Facts only: `vpn.py`, `wifi.py`, `place.py` and `laptop_load.py` judge them.
Nothing here names a network: the parsers drop SSID and BSSID where they meet them.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from typing import Literal

import msgspec


class Interface(msgspec.Struct, frozen=True):
    """One interface.

    `kind`: what the system calls it (wireguard, tun, tap, ppp, wlan, wwan, bridge,
    tunnel, …), empty where it does not say; `description`: the adapter's (Windows), or
    who provides the tunnel (macOS); `physical`: it stands for a piece of hardware;
    `routed`: some route leads through it, or the system chooses it for far addresses;
    `driver`: of the hardware; `networks`: its addresses with their prefix lengths;
    `index`: changes where the interface is made anew.
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
        """Its addresses without link-local and loopback ones."""
        return tuple(a for a in self.addresses if not _is_local(a))


class IpRoute(msgspec.Struct, frozen=True):
    """One route; `metric` as the system orders them."""

    interface: str
    destination: str
    prefix: int
    gateway: str
    metric: int


class WifiLink(msgspec.Struct, frozen=True):
    """One Wi-Fi interface as it is now; what its driver does not say is None.

    `signal_derived`: the level was worked out from a quality in per cent, ± 6 dB;
    `radio_off`: nothing is connected because the radio is switched off;
    `standard`: such as 802.11ax; `cell`: a keyed hash of the access point, to count
    roams by, empty where no key was given; `tx_packets`, `tx_retries`: counted since
    the association.
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
        # Wi-Fi 7 uses several links at once, and tools mix what they say of each: what
        # no one link can be is not known.
        width, channel = self.width_mhz, self.channel
        if width is not None and width > widest_mhz(self.band_ghz):
            msgspec.structs.force_setattr(self, "width_mhz", None)
        if channel is not None and not fits_band(channel, self.band_ghz):
            msgspec.structs.force_setattr(self, "channel", None)


class VpnConnection(msgspec.Struct, frozen=True):
    """One VPN the system itself manages; its name and server are not kept.

    `kind`: ikev2, sstp, l2tp, wireguard, a provider's name …; `split`: whether only
    some destinations go through it, None where that is not said.
    """

    kind: str
    state: Literal["up", "connecting", "down", "unknown"]
    split: bool | None = None


class ProxySetting(msgspec.Struct, frozen=True):
    """How the system says that the web is reached. `url` (http://host:port) and
    `script` (a PAC's address) stay on the laptop; only `kind` is ever reported."""

    kind: Literal["none", "environment", "manual", "pac", "wpad"]
    url: str = ""
    exceptions: tuple[str, ...] = ()
    script: str = ""


def hash_bssid(bssid: str, key: bytes) -> str:
    """A hash of an access point's address under `key`; empty without a key."""
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
    # Channel 2 of 6 GHz is the odd one out.
    return 2 if whole == 5935 else None


def band_of_channel(channel: int, standard: str = "") -> float | None:
    """The band a channel number means where nothing else is said. 6 GHz, which Wi-Fi 6E
    and 7 use, numbers its channels 1, 5, 9 … 233: for those `standard` (802.11ax and
    later) that leaves the band open."""
    if standard in {"802.11ax", "802.11be"} and channel % 4 == 1:
        return None
    if 1 <= channel <= 14:
        return 2.4
    return 5.0 if 32 <= channel <= 177 else None


def widest_mhz(band_ghz: float | None) -> int:
    """The widest channel that there is in a band, or in any (IEEE 802.11be)."""
    return {2.4: 40, 5.0: 160}.get(band_ghz or 0.0, 320)


def common_channel(
    frequencies: Sequence[float], width_mhz: int | None
) -> tuple[float | None, int | None]:
    """(band in GHz, channel) of links on these frequencies, one of which has a channel
    of `width_mhz`; None for what they have not in common."""
    able = {
        mhz
        for mhz in frequencies
        if (width_mhz or 0) <= widest_mhz(band_of_frequency(mhz))
    } or set(frequencies)
    bands = {band_of_frequency(mhz) for mhz in able}
    channels = {channel_of_frequency(mhz) for mhz in able}
    band = bands.pop() if len(bands) == 1 else None
    channel = channels.pop() if band is not None and len(channels) == 1 else None
    return band, channel


def fits_band(channel: int, band_ghz: float | None) -> bool:
    """Whether a channel of that number can be in that band. Pure."""
    if band_ghz == 2.4:
        return 1 <= channel <= 14
    if band_ghz == 5.0:
        return 32 <= channel <= 177
    return 1 <= channel <= 233


def plausible_dbm(value: float | None) -> int | None:
    """A level that a receiver can have; drivers write 0 or -256 for "none"."""
    return round(value) if value is not None and -120 <= value < 0 else None


def _is_local(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return True
    return parsed.is_link_local or parsed.is_loopback
