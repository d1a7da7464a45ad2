"""system_profiler is parsed across versions of macOS, as JSON, XML and text."""

import json
import plistlib

import pytest
from platform_samples import (
    KEY,
    airport_data,
    only_link,
)

from probes.platforms.system_facts import (
    WifiLink,
)
from probes.platforms.system_profiler import parse_system_profiler
from probes.wire.failure import Outcome


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
def test_system_profiler_is_parsed_across_versions_of_macos(
    current: dict[str, object],
    dbm: int,
    noise: int | None,
    channel: int,
    ghz: float,
    width: int | None,
    mbps: float,
) -> None:
    tree = airport_data(**current)
    as_list = [{"_items": tree["SPAirPortDataType"], "_dataType": "SPAirPortDataType"}]
    for printed in (json.dumps(tree).encode(), plistlib.dumps(as_list)):
        link = only_link(parse_system_profiler(printed, KEY))
        assert (link.signal_dbm, link.noise_dbm, link.interface) == (dbm, noise, "en0")
        assert (link.channel, link.band_ghz, link.width_mhz) == (channel, ghz, width)
        assert (link.tx_bps, link.standard, link.cell) == (mbps * 1e6, "802.11ac", "")


def test_unusual_system_profiler_output_is_a_link_or_an_outcome() -> None:
    bare = {"_name": "en0", "spairport_status_information": "spairport_status_off"}
    off = {"SPAirPortDataType": [{"spairport_airport_interfaces": [bare]}]}
    links = parse_system_profiler(json.dumps(off))
    assert links == [WifiLink(connected=False, interface="en0", radio_off=True)]
    assert parse_system_profiler('{"SPAirPortDataType": []}') is Outcome.NOT_PRESENT
    assert parse_system_profiler("[") is Outcome.BAD_ANSWER
    assert parse_system_profiler("<?xml version='1.0'?><plist>") is Outcome.BAD_ANSWER
    # In older versions the key of the current network is its name.
    named = airport_data()
    inner = named["SPAirPortDataType"][0]["spairport_airport_interfaces"][1]  # type: ignore[index]
    kept = inner.pop("spairport_current_network_information")
    inner["spairport_current_network_information"] = {"Home": kept}
    assert only_link(parse_system_profiler(json.dumps(named))).signal_dbm == -63
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
    link = only_link(parse_system_profiler(text))
    assert (link.signal_dbm, link.channel, link.tx_bps) == (-55, 149, 1.2e9)
