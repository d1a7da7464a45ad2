"""iw, wireless extensions and rfkill: Wi-Fi on Linux without netlink."""

from pathlib import Path

import pytest
import services
from platform_samples import (
    IW_6,
    IW_STATION,
    KEY,
)

from probes.platforms import linux
from probes.platforms.iw import parse_iw_dev, parse_iw_link, parse_proc_wireless
from probes.platforms.system_facts import (
    WifiLink,
)
from probes.wire.failure import Outcome


def test_iw_output_is_parsed_from_version_3_to_6() -> None:
    new = parse_iw_link(IW_6, KEY)
    assert isinstance(new, WifiLink)
    assert (new.signal_dbm, new.band_ghz, new.channel) == (-61, 6.0, 1)
    assert (new.rx_bps, new.tx_bps, new.width_mhz) == (1.2e9, 2882.4e6, 160)
    assert (new.standard, new.interface) == ("802.11be", "wlp2s0")
    station = parse_iw_link(IW_STATION, KEY)
    assert isinstance(station, WifiLink)
    assert (station.interface, station.cell) == ("wlan0", new.cell)
    assert (station.signal_dbm, station.tx_packets, station.tx_retries) == (
        -47,
        1000,
        50,
    )
    assert (station.standard, station.width_mhz) == ("802.11n", 20)
    assert parse_iw_link("Not connected.\n") == WifiLink(connected=False)
    for missing in (
        "command failed: No such device (-19)",
        "nl80211 not found.",
    ):
        assert parse_iw_link(missing) is Outcome.NOT_PRESENT
    assert parse_iw_link("bash: iw: command not found") is Outcome.BAD_ANSWER
    interface_list = "phy#0\n\tInterface wlan0\n\t\tifindex 3\n\t\ttype managed\n"
    interface_list += "\tInterface ap0\n\t\ttype AP\n"
    assert parse_iw_dev(interface_list) == ["wlan0"]


def test_wireless_extensions_are_parsed_without_levels_in_another_scale() -> None:
    head = (
        "Inter-| sta-|   Quality    |   Discarded packets\n face | tus | link level\n"
    )
    (good, odd) = parse_proc_wireless(
        head + " wlan0: 0000   58.  -52.  -95.        0      0      0      0     12\n"
        " wlan1: 0000   58.   52.   0        0      0      0      0     12\n short:\n"
    )
    assert (good.signal_dbm, good.noise_dbm) == (-52, -95)
    assert (odd.signal_dbm, odd.connected) == (None, False)


@pytest.mark.corpus
def test_every_recorded_iw_output_is_a_link_or_an_outcome() -> None:
    links = 0
    for path in sorted(services.corpus("endpoint").glob("iw_link_*.txt")):
        link = parse_iw_link(path.read_bytes(), KEY)
        if not path.read_text().strip():
            assert link is Outcome.BAD_ANSWER
            continue
        assert isinstance(link, WifiLink), path
        links += link.connected
        if link.connected:
            assert link.band_ghz in {2.4, 5.0}
            assert link.channel in {6, 36, 100}
            assert link.signal_dbm is None or -70 < link.signal_dbm < -20
    assert links >= 20


def test_rfkill_shows_which_radio_is_off(tmp_path: Path) -> None:
    for name, soft in (("wlan0", "1"), ("wlan1", "0")):
        radio = tmp_path / name / "phy80211" / "rfkill0"
        radio.mkdir(parents=True)
        (radio / "soft").write_text(f"{soft}\n")
        (radio / "hard").write_text("0\n")
    links = [WifiLink(connected=False, interface=f"wlan{n}") for n in range(3)]
    shown = linux.with_radio_state(links, tmp_path)
    assert [link.radio_off for link in shown] == [True, False, False]


MLO = """Connected to 02:11:22:33:44:50 (on wlp1s0)
	SSID: Example
	freq: 2412.0
	signal: -44 dBm
	rx bitrate: 1921.5 MBit/s 160MHz EHT-MCS 9 EHT-NSS 2 EHT-GI 0
	tx bitrate: 1200.9 MBit/s 80MHz EHT-MCS 11 EHT-NSS 2 EHT-GI 0

Link 0 BSSID 02:11:22:33:44:51
    freq: 2412.0
Link 1 BSSID 02:11:22:33:44:52
    freq: 5745.0
"""


def read_iw(text: str) -> tuple[object, ...]:
    link = parse_iw_link(text, KEY)
    assert isinstance(link, WifiLink)
    return link.band_ghz, link.channel, link.width_mhz, link.rx_bps


def test_links_of_wifi_7_never_contradict_each_other() -> None:
    # Only the link in 5 GHz can be 160 MHz wide.
    assert read_iw(MLO) == (5.0, 149, 160, 1921.5e6)
    three = MLO + "Link 2 BSSID 02:11:22:33:44:53\n    freq: 6135.0\n"
    assert read_iw(three) == (None, None, 160, 1921.5e6)
    wide = three.replace("160MHz", "320MHz")
    assert read_iw(wide) == (6.0, 37, 320, 1921.5e6)
    narrow = MLO.replace("160MHz", "40MHz").replace("80MHz", "40MHz")
    assert read_iw(narrow) == (None, None, 40, 1921.5e6)
    both = narrow.replace("2412.0", "5180.0")
    assert read_iw(both) == (5.0, None, 40, 1921.5e6)
    # A single link with an impossible width: the channel is the one to believe.
    alone = MLO.split("Link 0")[0]
    assert read_iw(alone) == (2.4, 1, None, 1921.5e6)


def test_the_first_link_with_its_own_rates_counts() -> None:
    own = (
        "Connected to 02:11:22:33:44:50 (on wlp1s0)\n\tSSID: Example\n"
        "Link 0 BSSID 02:11:22:33:44:51\n\tfreq: 2437.0\n\tsignal: -40 dBm\n"
        "\trx bitrate: 344.1 MBit/s 40MHz EHT-MCS 9\n"
        "Link 1 BSSID 02:11:22:33:44:52\n\tfreq: 5745.0\n\tsignal: -60 dBm\n"
        "\trx bitrate: 1921.5 MBit/s 160MHz EHT-MCS 9\n"
    )
    assert read_iw(own) == (2.4, 6, 40, 344.1e6)
    link = parse_iw_link(own, KEY)
    assert isinstance(link, WifiLink)
    assert (link.signal_dbm, link.standard) == (-40, "802.11be")


@pytest.mark.corpus
def test_the_recorded_link_of_wifi_7_does_not_contradict_itself() -> None:
    text = services.corpus("..", "cases", "wifi", "iw_mlo.txt").read_text()
    assert read_iw(text)[:3] == (5.0, 149, 160)
