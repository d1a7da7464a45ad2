"""Wi-Fi from the Linux kernel: nl80211 messages, built as in linux/nl80211.h."""

import struct

from platform_samples import (
    KEY,
    NETSH_7,
    attribute,
    only_link,
)

from probes.platforms import nl80211
from probes.platforms.netsh import parse_netsh_wlan
from probes.wire.failure import Outcome

INTERFACE = nl80211.parse_attributes(
    attribute(3, struct.pack("=I", 7))
    + attribute(4, b"wlan0\0")
    + attribute(52, b"Secret network")
    + attribute(38, struct.pack("=I", 5500))
    + attribute(159, struct.pack("=I", 3))
)


STATION = nl80211.parse_attributes(
    attribute(6, bytes.fromhex("0200000000aa"))
    + attribute(
        21 | 0x8000,
        attribute(7, struct.pack("=b", -63))
        + attribute(10, struct.pack("=I", 900))
        + attribute(11, struct.pack("=I", 45))
        + attribute(8, attribute(5, struct.pack("=I", 8667)) + attribute(6, b"\x09"))
        + attribute(14, attribute(1, struct.pack("=H", 6500))),
    )
)


SURVEY = nl80211.parse_attributes(
    attribute(84, attribute(2, struct.pack("=b", -92)) + attribute(3, b""))
)


def test_netlink_attributes_become_a_link() -> None:
    noise = nl80211.channel_noise([nl80211.parse_attributes(b""), SURVEY])
    link = nl80211.parse_link(INTERFACE, STATION, noise, KEY)
    assert (link.interface, link.signal_dbm, link.noise_dbm) == ("wlan0", -63, -92)
    assert (link.tx_bps, link.rx_bps) == (866.7e6, 650e6)
    assert (link.channel, link.band_ghz, link.width_mhz) == (100, 5.0, 80)
    assert (link.tx_packets, link.tx_retries, link.standard) == (900, 45, "802.11ac")
    assert link.cell == only_link(parse_netsh_wlan(NETSH_7, KEY)).cell
    assert not nl80211.parse_link(INTERFACE, None, None, KEY).connected


def test_this_kernel_returns_links_or_an_outcome() -> None:
    links = nl80211.wifi(KEY)
    assert isinstance(links, list | Outcome)


def mlo_interface(*frequencies: tuple[int, int]) -> nl80211.Attributes:
    """An interface with a link on each (frequency, nl80211 width)."""
    nested = b"".join(
        attribute(
            n + 1,
            attribute(313, bytes((n,)))
            + attribute(38, struct.pack("=I", mhz))
            + attribute(159, struct.pack("=I", width)),
        )
        for n, (mhz, width) in enumerate(frequencies)
    )
    return nl80211.parse_attributes(attribute(4, b"wlan0\0") + attribute(312, nested))


def test_only_values_that_all_links_of_wifi_7_share_are_kept() -> None:
    def read(*frequencies: tuple[int, int]) -> tuple[object, ...]:
        link = nl80211.parse_link(mlo_interface(*frequencies), STATION, None, KEY)
        return link.band_ghz, link.channel, link.width_mhz

    assert read((2412, 1), (5745, 5)) == (None, None, None)
    assert read((5745, 5)) == (5.0, 149, 160)
    assert read((5180, 3), (5745, 3)) == (5.0, None, 80)
    assert read((5955, 13), (6135, 13)) == (6.0, None, 320)
