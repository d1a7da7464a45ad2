"""A Wi-Fi link never contradicts itself and never names a network."""

import json
import plistlib

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from platform_samples import (
    IW_6,
    IW_STATION,
    KEY,
    NASTY,
    NETSH_7,
    NETSH_11,
    NETSH_ES_TWO,
    NETSH_FR,
    NETSH_RU,
    airport_data,
    connection_attributes,
    damaged,
    interface_list,
)

from probes.platforms import nl80211, wlanapi
from probes.platforms.iw import parse_iw_dev, parse_iw_link, parse_proc_wireless
from probes.platforms.netsh import parse_netsh_wlan
from probes.platforms.system_facts import (
    WifiLink,
    channel_of_frequency,
)
from probes.platforms.system_profiler import parse_system_profiler
from probes.wire.failure import Outcome


def test_channels_and_bands_follow_from_frequencies() -> None:
    known = {2412: 1, 2472: 13, 2484: 14, 5180: 36, 5825: 165, 5955: 1, 7115: 233}
    for mhz, channel in known.items():
        assert channel_of_frequency(mhz) == channel
    assert channel_of_frequency(5935) == 2
    assert channel_of_frequency(3000) is None


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


SAMPLES = [
    *(text.encode() for text in (NETSH_11, NETSH_7, NETSH_FR, NETSH_RU, NETSH_ES_TWO)),
    IW_6.encode(),
    IW_STATION.encode(),
    json.dumps(airport_data()).encode(),
    plistlib.dumps(airport_data()),
]


def test_no_parsed_link_names_a_network() -> None:
    for sample_output in SAMPLES:
        for parsed in (
            parse_netsh_wlan(sample_output, KEY),
            parse_iw_link(sample_output, KEY),
            parse_system_profiler(sample_output, KEY),
        ):
            text = msgspec.json.encode(parsed).decode().lower()
            for secret in (
                "maison",
                "casa",
                "secret",
                NASTY.lower(),
                "00:00:aa",
                "aa:",
            ):
                assert secret not in text


@settings(max_examples=200, deadline=None)
@given(broken=damaged(SAMPLES))
def test_damaged_output_gives_plausible_links_or_an_outcome(broken: bytes) -> None:
    """Damaged output gives facts within bounds, or an outcome."""
    for parsed in (
        parse_netsh_wlan(broken, KEY),
        [link] if isinstance(link := parse_iw_link(broken, KEY), WifiLink) else link,
        parse_system_profiler(broken, KEY),
        parse_proc_wireless(broken),
    ):
        if isinstance(parsed, Outcome):
            continue
        for link in parsed:
            assert link.signal_dbm is None or -120 <= link.signal_dbm < 0
            assert link.channel is None or 1 <= link.channel <= 233
            assert link.band_ghz in {None, 2.4, 5.0, 6.0}
    parse_iw_dev(broken)


@settings(max_examples=150, deadline=None)
@given(octets=st.binary(max_size=900), cut=st.integers(0, 700))
def test_random_octets_never_break_the_parsers_of_structures(
    octets: bytes, cut: int
) -> None:
    for broken in (
        octets,
        connection_attributes()[:cut] + octets[:8],
        interface_list(1, 1)[:cut],
    ):
        nl80211.parse_messages(broken)
        attributes = nl80211.parse_attributes(broken)
        nl80211.parse_link(
            attributes, attributes, nl80211.channel_noise([attributes]), KEY
        )
        wlanapi.parse_interface_list(broken)
        wlanapi.parse_connection(broken, -1, 1, KEY)
        wlanapi.links(broken, lambda *_, broken=broken: broken, KEY)
