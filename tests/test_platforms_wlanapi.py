"""Wi-Fi from wlanapi.dll: structures, refusals, consent to location, radio state."""

import struct

import pytest
from platform_samples import (
    KEY,
    NETSH_7,
    connection_attributes,
    interface_list,
    only_link,
)

from probes.platforms import wlanapi
from probes.platforms.netsh import parse_netsh_wlan
from probes.platforms.system_facts import (
    WifiLink,
)
from probes.wire.failure import Outcome


def test_wlanapi_structures_become_links() -> None:
    answers = {
        7: connection_attributes(),
        8: struct.pack("<I", 44),
        0x1000_0102: struct.pack("<i", -61),
    }
    links = wlanapi.links(
        interface_list(1, 4), lambda _, code: answers.get(code, 50), KEY
    )
    link = only_link(links)
    assert (link.signal_dbm, link.signal_derived, link.channel) == (-61, False, 44)
    assert (link.rx_bps, link.tx_bps, link.band_ghz) == (866.7e6, 780e6, 5.0)
    assert link.standard == "802.11ac"
    assert link.cell == only_link(parse_netsh_wlan(NETSH_7, KEY)).cell
    assert isinstance(links, list)
    assert [link.connected for link in links] == [True, False]
    # Without a level it is calculated from the quality, and marked as derived.
    only = wlanapi.links(
        interface_list(1),
        lambda _, code: connection_attributes() if code == 7 else 50,
        KEY,
    )
    assert (only_link(only).signal_dbm, only_link(only).signal_derived) == (-58, True)


def test_a_refusal_is_not_permitted_and_consent_is_needed_from_24h2() -> None:
    denied = wlanapi.links(interface_list(1), lambda *_: 5, KEY)
    assert denied is Outcome.NOT_PERMITTED
    assert wlanapi.links(interface_list(1), lambda *_: 5023, KEY) == [
        WifiLink(connected=False)
    ]
    assert wlanapi.links(interface_list(), lambda *_: 5, KEY) is Outcome.NOT_PRESENT
    full = dict.fromkeys(("machine", "user", "desktop"), "Allow")
    assert wlanapi.has_consent(26_100, full)
    # Windows 10, and 11 before 24H2, need no consent.
    assert wlanapi.has_consent(22_631, {})
    for word in ("Deny", "Prompt", ""):
        for whose in full:
            assert not wlanapi.has_consent(26_100, {**full, whose: word})


def radios(*states: tuple[int, int]) -> bytes:
    """A WLAN_RADIO_STATE with (software, hardware) of each radio; 2 is off."""
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
def test_a_radio_that_is_off_differs_from_one_without_a_connection(
    answer: bytes | int, off: bool
) -> None:
    links = wlanapi.links(interface_list(4), lambda *_: answer, KEY)
    assert links == [WifiLink(connected=False, radio_off=off)]


def test_access_denied_is_not_permitted_and_other_errors_not_supported() -> None:
    assert wlanapi.error_outcome(5) is Outcome.NOT_PERMITTED
    assert wlanapi.error_outcome(1062) is Outcome.NOT_SUPPORTED
