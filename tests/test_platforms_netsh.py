"""`netsh wlan show interfaces` is parsed in any language and code page."""

import pytest
import services
from platform_samples import (
    KEY,
    NETSH_7,
    NETSH_11,
    NETSH_ES_TWO,
    NETSH_FR,
    NETSH_JA,
    NETSH_RU,
    only_link,
)

from probes.platforms.netsh import parse_netsh_wlan
from probes.platforms.system_facts import (
    WifiLink,
)
from probes.wire.failure import Outcome


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
def test_netsh_is_parsed_in_any_language_and_code_page(
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
    encoding = consoles.get(text, "cp850") if page == "console" else page
    link = only_link(
        parse_netsh_wlan(text.replace("\n", "\r\n").encode(encoding, "replace"), KEY)
    )
    assert (link.signal_dbm, link.signal_derived) == (dbm, derived)
    assert (link.rx_bps, link.tx_bps) == (rx * 1e6, tx * 1e6)
    assert (link.band_ghz, link.channel, link.standard) == (ghz, channel, standard)
    # The access point is the same in every language and notation.
    assert link.cell == only_link(parse_netsh_wlan(NETSH_7, KEY)).cell != ""


def test_unusual_spaces_percent_signs_and_direction_marks_do_no_harm() -> None:
    for odd in ("60\xa0%", "%60", "\u200f60%\u200f", "60 %"):
        link = only_link(parse_netsh_wlan(NETSH_7.replace("60%", odd)))
        assert (link.signal_dbm, link.channel) == (-70, 44)
    old = NETSH_FR.replace("48 %", "48\xa0%").replace("2,4 GHz", "2,4\xa0GHz")
    link = only_link(parse_netsh_wlan(old.encode("cp850", "replace")))
    assert (link.signal_dbm, link.band_ghz) == (-76, 2.4)


def test_disconnected_missing_and_refused_are_three_results() -> None:
    links = parse_netsh_wlan(NETSH_ES_TWO)
    assert isinstance(links, list)
    states = [(link.interface, link.connected) for link in links]
    assert states == [("Wi-Fi", False), ("Wi-Fi 2", True)]
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
    link = only_link(parse_netsh_wlan(links.replace("6 GHz", "5 GHz", 2)))
    assert (link.channel, link.band_ghz, link.tx_bps) == (37, 5.0, 1921.5e6)
    # Without a band, channel 37 of Wi-Fi 7 may be in 6 GHz.
    bandless = "\n".join(x for x in NETSH_11.splitlines() if "Band" not in x)
    assert only_link(parse_netsh_wlan(bandless)).band_ghz is None


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
def test_recorded_netsh_output_is_parsed(
    name: str, dbm: int, mbps: tuple[float, float], channel: int
) -> None:
    path = services.corpus("endpoint", f"netsh_wlan_{name}.txt")
    link = only_link(parse_netsh_wlan(path.read_bytes(), KEY))
    assert (link.signal_dbm, link.channel, link.band_ghz) == (dbm, channel, 5.0)
    assert (link.rx_bps, link.tx_bps) == (mbps[0] * 1e6, mbps[1] * 1e6)


@pytest.mark.corpus
def test_recorded_netsh_output_without_a_connection_is_parsed() -> None:
    path = services.corpus("endpoint", "netsh_wlan_de_disconnected.txt")
    assert parse_netsh_wlan(path.read_bytes()) == [WifiLink(connected=False)]


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


def test_netsh_distinguishes_a_refusal_from_a_radio_that_is_off() -> None:
    assert parse_netsh_wlan(REFUSED_24H2) is Outcome.NOT_PERMITTED
    on = SOFTWARE_OFF.replace("Software Off", "Software On")
    for text, off in ((SOFTWARE_OFF, True), (on, False)):
        assert parse_netsh_wlan(text) == [
            WifiLink(connected=False, interface="Wi-Fi", radio_off=off)
        ]
