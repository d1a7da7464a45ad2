"""Radios of devices that only drafted tables know: Wi-Fi, mobile modems and links."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_snmp_mib_tables import MAKER, SENSORS, SYSTEM, column, drafted, read, rows

from collectors.snmp.drafting.mib_objects import MibObject
from collectors.snmp.polling.device_facts import DeviceFacts
from collectors.snmp.profiles.apply import REFUSED, find_rows, to_readings
from collectors.snmp.profiles.profile_loader import load_files


def radios(facts: DeviceFacts) -> list[tuple[str, str, float]]:
    return [(each.class_, each.descr, each.value) for each in facts.wireless]


async def test_a_table_of_radios_is_read(tmp_path: Path) -> None:
    profile = drafted(
        [
            column(1, "aRadioName", "OCTET STRING"),
            column(2, "aRadioChannel", "Integer32"),
            column(3, "aRadioNoiseFloor", "Integer32", units="dBm"),
            column(4, "aRadioTxPower", "Integer32", units="dBm"),
            column(5, "aRadioChannelUtilization", "Integer32"),
            column(6, "aRadioMaxTxPower", "Integer32", units="dBm"),
        ]
    )
    recorded = rows(1, "4", "wifi0") + rows(2, "2", 36) + rows(3, "2", -95)
    recorded += rows(4, "2", 20) + rows(5, "2", 7) + rows(6, "2", 23)
    facts = await read(tmp_path, SYSTEM + recorded, profile)
    assert radios(facts) == [
        ("frequency", "wifi0", 5180),
        ("noise-floor", "wifi0", -95),
        ("power", "wifi0", 20),
        ("utilization", "wifi0", 7),
    ]


@pytest.mark.parametrize(
    ("name", "units", "raw", "expected"),
    [
        # Without its sign, and in eight bits.
        ("aRadioNoiseLevel", "", 94, [("noise-floor", -94)]),
        ("aRadioNoiseLevel", "", 161, [("noise-floor", -95)]),
        ("aRadioNoiseLevel", "", 0, []),
        # A channel, or the frequency itself.
        ("aWlanChannel", "", 5220, [("frequency", 5220)]),
        ("aWlanChannel", "", 6, [("frequency", 2437)]),
        ("aWlanChannel", "", 0, []),
        ("aLteChannel", "", 6300, [("channel", 6300)]),
        # MHz, kHz or Hz.
        ("aRadioFrequency", "", 5745, [("frequency", 5745)]),
        ("aRadioFrequency", "", 17129500, [("frequency", 17129.5)]),
        ("aRadioFrequency", "kHz", 11155000, [("frequency", 11155)]),
        ("aRadioFrequency", "", 50, []),
        # Tenths, which the MIB does not state: no signal is as strong.
        ("aRadioRssi", "", -67, [("rssi", -67)]),
        ("aRadioRssi", "", -676, []),
        ("aRadioRssi", "0.1 dBm", -676, [("rssi", -67.6)]),
        ("aLteRsrp", "decibel-milliwatts", -101, [("rsrp", -101)]),
        # A level of power is a step, unless it is in dBm.
        ("aRadioTxPowerLevel", "", 3, []),
        ("aRadioTxPowerLevel", "dBm", 3, [("power", 3)]),
        ("aLinkRadioTxRate", "Mbps", 866, [("rate", 866_000_000)]),
        ("aLinkRadioTxRate", "500Kb/s", 12, [("rate", 6_000_000)]),
        ("aLinkRadioTxRate", "", 866, []),
        # Nothing of this is radio, or what there is now.
        ("aModemCpuUtilization", "percent", 7, []),
        ("aRadioNeighborRssi", "dBm", -60, []),
        ("aOpticalRxPower", "dBm", -20, []),
        ("aDslSnr", "dB", 30, []),
        ("aProcessRss", "", -60, []),
    ],
)
def test_a_reading_of_a_radio_is_scaled_or_left_out(
    tmp_path: Path, name: str, units: str, raw: int, expected: list[tuple[str, float]]
) -> None:
    file = tmp_path / "acme.yaml"
    file.write_text(drafted([column(2, name, "Integer32", units=units)]))
    readings = to_readings(
        find_rows(list(load_files([file])), {f"{SENSORS}.2": {"1": raw}})
    )
    assert [(each.class_, each.value) for each in readings["wireless"]] == expected
    assert not readings[REFUSED]


async def test_a_text_has_its_decimals_itself(tmp_path: Path) -> None:
    profile = drafted([column(2, "aLteSinr", "OCTET STRING", units="0.1 dB")])
    facts = await read(tmp_path, SYSTEM + rows(2, "4", "16.1 dB"), profile)
    assert [value for _, _, value in radios(facts)] == [16.1]


async def test_what_is_set_is_shown_only_without_what_there_is_now(
    tmp_path: Path,
) -> None:
    profile = drafted(
        [
            column(2, "aRadioTxPower", "Integer32", units="dBm"),
            column(3, "aRadioActualTxPower", "Integer32", units="dBm"),
        ]
    )
    is_set = SYSTEM + rows(2, "2", 20)
    assert [value for *_, value in radios(await read(tmp_path, is_set, profile))] == [
        20
    ]
    both = is_set + rows(3, "2", 17)
    assert [value for *_, value in radios(await read(tmp_path, both, profile))] == [17]


@pytest.mark.parametrize(
    ("table", "index"),
    [
        ("aStationTable", "aStationMac"),
        ("aRogueApTable", "aRogueIndex"),
        ("aRadioTable", "aRadioIndex,aChannel"),
        ("aRadioConfigTable", "aRadioIndex"),
    ],
)
def test_clients_other_networks_and_settings_are_no_radios(
    table: str, index: str
) -> None:
    holder = MibObject(SENSORS[:-2], table, "ACME", "table", index=index)
    reading = column(2, "aRadioRssi", "Integer32", units="dBm")
    assert "wireless" not in drafted([holder, reading])


async def test_a_radio_is_called_as_its_access_point(tmp_path: Path) -> None:
    points, radio = f"{MAKER}.7.1.1", f"{MAKER}.7.2.1"
    objects = [
        MibObject(points[:-2], "aApTable", "ACME", "table", index="aApMac"),
        MibObject(f"{points}.2", "aApName", "ACME", "column", "OCTET STRING"),
        MibObject(radio[:-2], "aRadioTable", "ACME", "table", index="aApMac,aRadio"),
        MibObject(f"{radio}.2", "aRadioChannel", "ACME", "column", "Integer32"),
    ]
    profile = drafted(objects)
    recorded = f"{points}.2.2.0.0.0.0.7|4|Hall\n{radio}.2.2.0.0.0.0.7.1|2|6\n"
    facts = await read(tmp_path, SYSTEM + recorded, profile)
    assert radios(facts) == [("frequency", "Hall radio 1", 2437)]


async def test_a_draft_adds_the_classes_that_a_known_profile_lacks(
    tmp_path: Path,
) -> None:
    known = f"""
match:
  - object_id: 1.3.6.1.4.1.99998
---
tables:
  radio:
    base: {SENSORS}
    columns: {{clients: 2}}
    wireless:
      - {{class: clients, of: clients, descr: Clients}}
"""
    profile = drafted(
        [
            column(2, "aRadioClientCount", "Integer32"),
            column(3, "aRadioStationCount", "Integer32"),
            column(4, "aRadioChannel", "Integer32"),
        ]
    )
    recorded = SYSTEM + rows(2, "2", 5) + rows(3, "2", 6) + rows(4, "2", 11)
    facts = await read(tmp_path, recorded, known, profile)
    assert [(class_, value) for class_, _, value in radios(facts)] == [
        ("clients", 5),
        ("frequency", 2462),
    ]
