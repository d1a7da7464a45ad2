"""Wi-Fi as netsh, iw, the kernel, wlanapi and system_profiler tell it: any language,
many versions, nothing that names a network."""

import json
import plistlib
import struct
from pathlib import Path

import msgspec
import pytest
import services
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.platforms import linux, nl80211, wlanapi
from probes.platforms.iw import parse_iw_dev, parse_iw_link, parse_proc_wireless
from probes.platforms.netsh import parse_netsh_wlan
from probes.platforms.system_facts import WifiLink, channel_of_frequency
from probes.platforms.system_profiler import parse_system_profiler
from probes.wire.failure import Outcome

KEY = b"a key of this laptop"
# A network that is named to mislead.
NASTY = "5 GHz"


def sample(name: str) -> str:
    path = Path(__file__).parent / "data" / "platforms" / f"{name}.txt"
    return path.read_text(encoding="utf-8")


NETSH_11 = sample("netsh_windows_11_english")
NETSH_7 = sample("netsh_windows_7_english")
NETSH_FR = sample("netsh_french")
NETSH_RU = sample("netsh_russian")
NETSH_JA = sample("netsh_japanese")
NETSH_ES_TWO = sample("netsh_spanish_two_adapters")


def one(found: list[WifiLink] | Outcome) -> WifiLink:
    assert isinstance(found, list), found
    (link,) = [each for each in found if each.connected]
    return link


@pytest.mark.parametrize(
    ("text", "dbm", "derived", "rx", "tx", "ghz", "channel", "standard"),
    [
        (NETSH_11, -52, False, 2402, 1921.5, 6.0, 37, "802.11be"),
        (NETSH_7, -70, True, 300, 270, 5.0, 44, "802.11n"),
        (NETSH_FR, -76, True, 72.2, 65, 2.4, 11, "802.11n"),
        (NETSH_RU, -50, True, 1201, 866.7, 5.0, 36, "802.11ac"),
        (NETSH_JA, -54, True, 1201, 1080.6, 5.0, 100, "802.11ax"),
        (NETSH_ES_TWO, -64, True, 81, 54, 2.4, 5, "802.11n"),
    ],
)
@pytest.mark.parametrize("page", ["utf-8", "utf-16", "console"])
def test_netsh_is_read_in_any_language_and_code_page(
    text: str,
    dbm: int,
    derived: bool,
    rx: float,
    tx: float,
    ghz: float,
    channel: int,
    standard: str,
    page: str,
) -> None:
    consoles = {NETSH_RU: "cp866", NETSH_JA: "cp932"}
    given = consoles.get(text, "cp850") if page == "console" else page
    link = one(
        parse_netsh_wlan(text.replace("\n", "\r\n").encode(given, "replace"), KEY)
    )
    assert (link.signal_dbm, link.signal_derived) == (dbm, derived)
    assert (link.rx_bps, link.tx_bps) == (rx * 1e6, tx * 1e6)
    assert (link.band_ghz, link.channel, link.standard) == (ghz, channel, standard)
    # The same access point in every language and notation.
    assert link.cell == one(parse_netsh_wlan(NETSH_7, KEY)).cell != ""


def test_odd_spaces_signs_and_marks_do_no_harm() -> None:
    for odd in ("60\xa0%", "%60", "\u200f60%\u200f", "60 %"):
        link = one(parse_netsh_wlan(NETSH_7.replace("60%", odd)))
        assert (link.signal_dbm, link.channel) == (-70, 44)
    old = NETSH_FR.replace("48 %", "48\xa0%").replace("2,4 GHz", "2,4\xa0GHz")
    link = one(parse_netsh_wlan(old.encode("cp850", "replace")))
    assert (link.signal_dbm, link.band_ghz) == (-76, 2.4)


def test_adapters_that_are_not_connected_or_not_there_are_two_things() -> None:
    off = parse_netsh_wlan(NETSH_ES_TWO)
    assert isinstance(off, list)
    told = [(each.interface, each.connected) for each in off]
    assert told == [("Wi-Fi", False), ("Wi-Fi 2", True)]
    for text in ("There is no wireless interface on the system.", "", "\0\0\0"):
        assert parse_netsh_wlan(text) is Outcome.NOT_PRESENT
    refused = (
        "Netzwerkshellbefehle ben\u00f6tigen die Standortberechtigung.\r\n"
        "ms-settings:privacy-location\r\n"
    )
    assert parse_netsh_wlan(refused.encode("cp850")) is Outcome.NOT_PERMITTED
    denied = 'Die Funktion "WlanQueryInterface" gibt den Fehler 5 zur\u00fcck:\n'
    assert parse_netsh_wlan(denied) is Outcome.NOT_PERMITTED


def test_numbers_before_the_channel_are_ruled_out_by_the_band() -> None:
    links = NETSH_11.replace("    Band  ", "    Links : 2\n    Link id : 0\n    Band  ")
    link = one(parse_netsh_wlan(links.replace("6 GHz", "5 GHz", 2)))
    assert (link.channel, link.band_ghz, link.tx_bps) == (37, 5.0, 1921.5e6)
    # Without a band, channel 37 of Wi-Fi 7 may be one of 6 GHz.
    bandless = "\n".join(x for x in NETSH_11.splitlines() if "Band" not in x)
    assert one(parse_netsh_wlan(bandless)).band_ghz is None


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "dbm", "mbps", "channel"),
    [
        ("de", -58, (866.7, 780.5), 36),
        ("en_ax200", -58, (865, 961), 161),
        ("en_rssi", -64, (1201, 1201), 36),
        ("en_wifi7nic", -48, (1200.5, 960), 36),
        ("zh", -62, (866, 780), 44),
    ],
)
def test_recorded_netsh_is_read(
    name: str, dbm: int, mbps: tuple[float, float], channel: int
) -> None:
    path = services.corpus("endpoint", f"netsh_wlan_{name}.txt")
    link = one(parse_netsh_wlan(path.read_bytes(), KEY))
    assert (link.signal_dbm, link.channel, link.band_ghz) == (dbm, channel, 5.0)
    assert (link.rx_bps, link.tx_bps) == (mbps[0] * 1e6, mbps[1] * 1e6)


@pytest.mark.corpus
def test_recorded_netsh_without_a_connection_is_read() -> None:
    path = services.corpus("endpoint", "netsh_wlan_de_disconnected.txt")
    assert parse_netsh_wlan(path.read_bytes()) == [WifiLink(connected=False)]


IW_6 = sample("iw_6_link")
IW_STATION = sample("iw_station_dump")


def test_iw_is_read_from_version_3_to_6() -> None:
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
    listed = "phy#0\n\tInterface wlan0\n\t\tifindex 3\n\t\ttype managed\n"
    listed += "\tInterface ap0\n\t\ttype AP\n"
    assert parse_iw_dev(listed) == ["wlan0"]


def test_wireless_extensions_are_read_and_odd_scales_left_out() -> None:
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
def test_every_recorded_iw_link_is_a_link_or_a_reason() -> None:
    links = 0
    for path in sorted(services.corpus("endpoint").glob("iw_link_*.txt")):
        found = parse_iw_link(path.read_bytes(), KEY)
        if not path.read_text().strip():
            assert found is Outcome.BAD_ANSWER
            continue
        assert isinstance(found, WifiLink), path
        links += found.connected
        if found.connected:
            assert found.band_ghz in {2.4, 5.0}
            assert found.channel in {6, 36, 100}
            assert found.signal_dbm is None or -70 < found.signal_dbm < -20
    assert links >= 20


def test_channels_and_bands_follow_from_frequencies() -> None:
    known = {2412: 1, 2472: 13, 2484: 14, 5180: 36, 5825: 165, 5955: 1, 7115: 233}
    for mhz, channel in known.items():
        assert channel_of_frequency(mhz) == channel
    assert channel_of_frequency(5935) == 2
    assert channel_of_frequency(3000) is None


# The kernel's own words, made by hand: linux/nl80211.h.


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


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


def test_the_kernels_answers_become_a_link() -> None:
    noise = nl80211.channel_noise([nl80211.parse_attributes(b""), SURVEY])
    link = nl80211.parse_link(INTERFACE, STATION, noise, KEY)
    assert (link.interface, link.signal_dbm, link.noise_dbm) == ("wlan0", -63, -92)
    assert (link.tx_bps, link.rx_bps) == (866.7e6, 650e6)
    assert (link.channel, link.band_ghz, link.width_mhz) == (100, 5.0, 80)
    assert (link.tx_packets, link.tx_retries, link.standard) == (900, 45, "802.11ac")
    assert link.cell == one(parse_netsh_wlan(NETSH_7, KEY)).cell
    assert not nl80211.parse_link(INTERFACE, None, None, KEY).connected


def test_this_kernel_answers_or_says_that_it_has_no_wifi() -> None:
    found = nl80211.wifi(KEY)
    assert isinstance(found, list | Outcome)


GUID = bytes(range(16))


def connection(quality: int = 83, state: int = 1, phy: int = 8) -> bytes:
    ssid = struct.pack("<I", 6) + b"Secret".ljust(32, b"\0")
    head = struct.pack("<II", state, 1) + "Profile".encode("utf-16-le").ljust(
        512, b"\0"
    )
    numbers = struct.pack("<5I", phy, 0, quality, 866_700, 780_000)
    bssid = bytes.fromhex("0200000000aa") + b"\0\0"
    return head + ssid + struct.pack("<I", 1) + bssid + numbers + b"\0" * 16


def listed(*states: int) -> bytes:
    one = [GUID + "Adapter".encode("utf-16-le").ljust(512, b"\0") for _ in states]
    rows = b"".join(
        each + struct.pack("<I", state) for each, state in zip(one, states, strict=True)
    )
    return struct.pack("<II", len(states), 0) + rows


def test_wlanapis_octets_become_links() -> None:
    answers = {
        7: connection(),
        8: struct.pack("<I", 44),
        0x1000_0102: struct.pack("<i", -61),
    }
    found = wlanapi.links(listed(1, 4), lambda _, code: answers.get(code, 50), KEY)
    link = one(found)
    assert (link.signal_dbm, link.signal_derived, link.channel) == (-61, False, 44)
    assert (link.rx_bps, link.tx_bps, link.band_ghz) == (866.7e6, 780e6, 5.0)
    assert link.standard == "802.11ac"
    assert link.cell == one(parse_netsh_wlan(NETSH_7, KEY)).cell
    assert isinstance(found, list)
    assert [each.connected for each in found] == [True, False]
    # Without the level itself it is worked out, and marked so.
    only = wlanapi.links(
        listed(1), lambda _, code: connection() if code == 7 else 50, KEY
    )
    assert (one(only).signal_dbm, one(only).signal_derived) == (-58, True)


def test_a_refused_question_is_not_permitted_and_never_asked_without_consent() -> None:
    denied = wlanapi.links(listed(1), lambda *_: 5, KEY)
    assert denied is Outcome.NOT_PERMITTED
    assert wlanapi.links(listed(1), lambda *_: 5023, KEY) == [WifiLink(connected=False)]
    assert wlanapi.links(listed(), lambda *_: 5, KEY) is Outcome.NOT_PRESENT
    full = dict.fromkeys(("machine", "user", "desktop"), "Allow")
    assert wlanapi.has_consent(26_100, full)
    # Windows 10, and 11 before 24H2, ask for no consent.
    assert wlanapi.has_consent(22_631, {})
    for word in ("Deny", "Prompt", ""):
        for whose in full:
            assert not wlanapi.has_consent(26_100, {**full, whose: word})


def radios(*states: tuple[int, int]) -> bytes:
    """A WLAN_RADIO_STATE: of each radio what software and hardware say, 2 is off."""
    rows = b"".join(struct.pack("<3I", n, *state) for n, state in enumerate(states))
    return struct.pack("<I", len(states)) + rows


@pytest.mark.parametrize(
    ("answer", "off"),
    [
        (radios((2, 1)), True),
        (radios((1, 2)), True),
        (radios((1, 1)), False),
        (radios((2, 1), (1, 1)), False),
        (radios(), False),
        (radios((2, 1))[:7], False),
        (5, False),
        (b"", False),
    ],
)
def test_a_radio_that_is_off_is_told_from_one_without_a_connection(
    answer: bytes | int, off: bool
) -> None:
    found = wlanapi.links(listed(4), lambda *_: answer, KEY)
    assert found == [WifiLink(connected=False, radio_off=off)]


def test_windows_refusals_are_of_two_kinds() -> None:
    assert wlanapi.error_outcome(5) is Outcome.NOT_PERMITTED
    assert wlanapi.error_outcome(1062) is Outcome.NOT_SUPPORTED


REFUSED_24H2 = """
There is 1 interface on the system:
Network shell commands need location permission to access WLAN information.
Turn on Location services on the Location page in Privacy & security settings.
Here is the URI for the Location page in the Settings app:
ms-settings:privacy-location
To open the Location page in the Settings app, hold down the Ctrl key: click the link.
Function WlanQueryInterface returns error 5: Access is denied.
"""
SOFTWARE_OFF = """
There is 1 interface on the system:

    Name                   : Wi-Fi
    Description            : Council Wireless Adapter
    GUID                   : 01234567-89ab-cdef-0123-456789abcdef
    Physical address       : 02:00:00:00:00:01
    State                  : disconnected
    Radio status           : Hardware On
                             Software Off
"""


def test_netsh_tells_a_refusal_from_a_radio_that_is_off() -> None:
    assert parse_netsh_wlan(REFUSED_24H2) is Outcome.NOT_PERMITTED
    on = SOFTWARE_OFF.replace("Software Off", "Software On")
    for text, off in ((SOFTWARE_OFF, True), (on, False)):
        assert parse_netsh_wlan(text) == [
            WifiLink(connected=False, interface="Wi-Fi", radio_off=off)
        ]


def test_rfkill_tells_which_radio_is_off(tmp_path: Path) -> None:
    for name, soft in (("wlan0", "1"), ("wlan1", "0")):
        radio = tmp_path / name / "phy80211" / "rfkill0"
        radio.mkdir(parents=True)
        (radio / "soft").write_text(f"{soft}\n")
        (radio / "hard").write_text("0\n")
    links = [WifiLink(connected=False, interface=f"wlan{n}") for n in range(3)]
    found = linux.with_radio_state(links, tmp_path)
    assert [each.radio_off for each in found] == [True, False, False]


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


def test_several_links_at_once_never_contradict_each_other() -> None:
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
    # One link alone that says what cannot be: the channel is the driver's own.
    alone = MLO.split("Link 0")[0]
    assert read_iw(alone) == (2.4, 1, None, 1921.5e6)


def test_links_that_say_their_own_rates_are_told_apart() -> None:
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


def links_of(*frequencies: tuple[int, int]) -> nl80211.Attributes:
    """An interface with a link on each frequency, of that width (nl80211's number)."""
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


def test_the_kernels_links_of_wifi_7_are_read_for_what_they_share() -> None:
    def read(*frequencies: tuple[int, int]) -> tuple[object, ...]:
        link = nl80211.parse_link(links_of(*frequencies), STATION, None, KEY)
        return link.band_ghz, link.channel, link.width_mhz

    assert read((2412, 1), (5745, 5)) == (None, None, None)
    assert read((5745, 5)) == (5.0, 149, 160)
    assert read((5180, 3), (5745, 3)) == (5.0, None, 80)
    assert read((5955, 13), (6135, 13)) == (6.0, None, 320)


@given(
    st.sampled_from([None, 2.4, 5.0, 6.0]),
    st.none() | st.integers(1, 233),
    st.sampled_from([None, 20, 40, 80, 160, 320]),
)
def test_no_link_contradicts_itself(
    band: float | None, channel: int | None, width: int | None
) -> None:
    link = WifiLink(True, band_ghz=band, channel=channel, width_mhz=width)
    assert (link.width_mhz or 20) <= {2.4: 40, 5.0: 160}.get(band or 0.0, 320)
    if link.channel is not None and band == 2.4:
        assert link.channel <= 14
    if link.channel is not None and band == 5.0:
        assert 32 <= link.channel <= 177


def profile(**current: object) -> dict[str, object]:
    """What macOS 10.15 to 15 print, about a network without a name."""
    own = {
        "_name": "<redacted>",
        "spairport_network_bssid": "<redacted>",
        "spairport_network_channel": "36 (5GHz, 80MHz)",
        "spairport_network_country_code": "GB",
        "spairport_network_mcs": 9,
        "spairport_network_phymode": "802.11ac",
        "spairport_network_rate": 866,
        "spairport_network_type": "spairport_network_type_station",
        "spairport_security_mode": "spairport_security_mode_wpa2_personal",
        "spairport_signal_noise": "-63 dBm / -89 dBm",
        **current,
    }
    other = {**own, "spairport_signal_noise": "-20 dBm / -80 dBm"}
    return {
        "SPAirPortDataType": [
            {
                "spairport_airport_interfaces": [
                    {
                        "_name": "awdl0",
                        "spairport_current_network_information": other,
                    },
                    {
                        "_name": "en0",
                        "spairport_airport_other_local_wireless_networks": [other],
                        "spairport_current_network_information": own,
                        "spairport_status_information": "spairport_status_connected",
                    },
                ],
                "spairport_software_information": {},
            }
        ]
    }


@pytest.mark.parametrize(
    ("current", "dbm", "noise", "channel", "ghz", "width", "mbps"),
    [
        ({}, -63, -89, 36, 5.0, 80, 866),
        ({"spairport_network_channel": 6}, -63, -89, 6, 2.4, None, 866),
        ({"spairport_network_channel": "6 (2GHz, 20MHz)"}, -63, -89, 6, 2.4, 20, 866),
        ({"spairport_network_channel": "5 (6GHz, 160MHz)"}, -63, -89, 5, 6.0, 160, 866),
        ({"spairport_network_channel": "44,+1"}, -63, -89, 44, 5.0, 40, 866),
        ({"spairport_network_channel": "44,80"}, -63, -89, 44, 5.0, 80, 866),
        ({"spairport_network_rate": "144"}, -63, -89, 36, 5.0, 80, 144),
        ({"spairport_signal_noise": "-70 dBm"}, -70, None, 36, 5.0, 80, 866),
        (
            {"spairport_signal_noise": {"spairport_signal": -61, "noise": -95}},
            -61, -95, 36, 5.0, 80, 866,
        ),
    ],
)  # fmt: skip
def test_system_profiler_is_read_across_versions_of_macos(
    current: dict[str, object],
    dbm: int,
    noise: int | None,
    channel: int,
    ghz: float,
    width: int | None,
    mbps: float,
) -> None:
    tree = profile(**current)
    as_list = [{"_items": tree["SPAirPortDataType"], "_dataType": "SPAirPortDataType"}]
    for printed in (json.dumps(tree).encode(), plistlib.dumps(as_list)):
        link = one(parse_system_profiler(printed, KEY))
        assert (link.signal_dbm, link.noise_dbm, link.interface) == (dbm, noise, "en0")
        assert (link.channel, link.band_ghz, link.width_mhz) == (channel, ghz, width)
        assert (link.tx_bps, link.standard, link.cell) == (mbps * 1e6, "802.11ac", "")


def test_system_profilers_oddities_are_links_or_reasons() -> None:
    bare = {"_name": "en0", "spairport_status_information": "spairport_status_off"}
    off = {"SPAirPortDataType": [{"spairport_airport_interfaces": [bare]}]}
    found = parse_system_profiler(json.dumps(off))
    assert found == [WifiLink(connected=False, interface="en0", radio_off=True)]
    assert parse_system_profiler('{"SPAirPortDataType": []}') is Outcome.NOT_PRESENT
    assert parse_system_profiler("[") is Outcome.BAD_ANSWER
    assert parse_system_profiler("<?xml version='1.0'?><plist>") is Outcome.BAD_ANSWER
    # Older ones key the current network by its name.
    named = profile()
    inner = named["SPAirPortDataType"][0]["spairport_airport_interfaces"][1]  # type: ignore[index]
    kept = inner.pop("spairport_current_network_information")
    inner["spairport_current_network_information"] = {"Home": kept}
    assert one(parse_system_profiler(json.dumps(named))).signal_dbm == -63
    text = (
        "Wi-Fi:\n\n      Software Versions:\n      Interfaces:\n        en0:\n"
        "          Card Type: Wi-Fi\n          Status: Connected\n"
        "          Current Network Information:\n            Home:\n"
        "              PHY Mode: 802.11ax\n              Channel: 149 (5GHz, 80MHz)\n"
        "              Signal / Noise: -55 dBm / -91 dBm\n"
        "              Transmit Rate: 1200\n"
        "          Other Local Wi-Fi Networks:\n            Next door:\n"
        "              Signal / Noise: -20 dBm / -80 dBm\n"
    )
    link = one(parse_system_profiler(text))
    assert (link.signal_dbm, link.channel, link.tx_bps) == (-55, 149, 1.2e9)


SAMPLES = [
    *(text.encode() for text in (NETSH_11, NETSH_7, NETSH_FR, NETSH_RU, NETSH_ES_TWO)),
    IW_6.encode(),
    IW_STATION.encode(),
    json.dumps(profile()).encode(),
    plistlib.dumps(profile()),
]


def test_nothing_names_a_network() -> None:
    for each in SAMPLES:
        for found in (
            parse_netsh_wlan(each, KEY),
            parse_iw_link(each, KEY),
            parse_system_profiler(each, KEY),
        ):
            said = msgspec.json.encode(found).decode().lower()
            for secret in (
                "maison",
                "casa",
                "secret",
                NASTY.lower(),
                "00:00:aa",
                "aa:",
            ):
                assert secret not in said


@settings(max_examples=200, deadline=None)
@given(data=st.data(), whole=st.sampled_from(SAMPLES))
def test_no_damage_breaks_the_parsers_of_text(
    data: st.DataObject, whole: bytes
) -> None:
    """Cut, doubled, overwritten: facts within bounds, or a reason."""
    octets = bytearray(whole)
    for _ in range(data.draw(st.integers(0, 8))):
        at = data.draw(st.integers(0, max(len(octets) - 1, 0)))
        piece = data.draw(st.binary(max_size=6))
        end = at + data.draw(st.integers(0, 40))
        octets[at:end] = piece * data.draw(st.integers(0, 3))
    broken = bytes(octets)
    for found in (
        parse_netsh_wlan(broken, KEY),
        [each] if isinstance(each := parse_iw_link(broken, KEY), WifiLink) else each,
        parse_system_profiler(broken, KEY),
        parse_proc_wireless(broken),
    ):
        if isinstance(found, Outcome):
            continue
        for link in found:
            assert link.signal_dbm is None or -120 <= link.signal_dbm < 0
            assert link.channel is None or 1 <= link.channel <= 233
            assert link.band_ghz in {None, 2.4, 5.0, 6.0}
    parse_iw_dev(broken)


@settings(max_examples=150, deadline=None)
@given(octets=st.binary(max_size=900), cut=st.integers(0, 700))
def test_no_octets_break_the_parsers_of_structures(octets: bytes, cut: int) -> None:
    for broken in (octets, connection()[:cut] + octets[:8], listed(1, 1)[:cut]):
        nl80211.parse_messages(broken)
        attributes = nl80211.parse_attributes(broken)
        nl80211.parse_link(
            attributes, attributes, nl80211.channel_noise([attributes]), KEY
        )
        wlanapi.parse_interface_list(broken)
        wlanapi.parse_connection(broken, -1, 1, KEY)
        wlanapi.links(broken, lambda *_, broken=broken: broken, KEY)
