"""Processors, memory, wireless clients and optics of devices that only drafted tables
know."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_snmp_mib_tables import MAKER, SYSTEM, column, drafted, read, rows, shown


@pytest.mark.parametrize(
    ("recorded", "usage_pct"),
    [
        # The mean of a minute, else that of five.
        (rows(1, "2", 12) + rows(2, "2", 20) + rows(3, "2", 15), 20),
        (rows(1, "2", 12) + rows(3, "2", 15), 15),
        # No per cent; hundredths; tenths or hundredths.
        (rows(2, "2", 2465, 9), 24.65),
        (rows(2, "2", 400), None),
    ],
)
async def test_one_of_several_means_of_a_processor_is_enough(
    tmp_path: Path, recorded: str, usage_pct: float | None
) -> None:
    profile = drafted(
        [
            column(1, "aCpuUsage5sec", "Integer32"),
            column(2, "aCpuUsage1min", "Integer32"),
            column(3, "aCpuUsage5min", "Integer32"),
        ]
    )
    facts = await read(tmp_path, SYSTEM + recorded, profile)
    found = [processor.usage_pct for processor in facts.processors]
    assert found[:1] == ([] if usage_pct is None else [usage_pct])
    assert not facts.refused


async def test_memory_is_read_from_the_widest_amounts(tmp_path: Path) -> None:
    profile = drafted(
        [
            column(1, "aPoolName", "OCTET STRING"),
            column(2, "aMemUsed", "Gauge32"),
            column(3, "aMemFree", "Gauge32"),
            column(4, "aMemHCUsed", "Counter64"),
            column(5, "aMemHCFree", "Counter64"),
        ]
    )
    narrow = rows(1, "4", "pool") + rows(2, "66", 10) + rows(3, "66", 30)
    wide = rows(4, "70", 2**33) + rows(5, "70", 2**33)
    for recorded, used_pct in ((narrow, 25), (narrow + wide, 50)):
        facts = await read(tmp_path, SYSTEM + recorded, profile)
        assert [(m.descr, m.used_pct) for m in facts.mempools] == [("pool", used_pct)]


async def test_clients_of_a_network_are_told_from_those_of_a_radio(
    tmp_path: Path,
) -> None:
    profile = drafted(
        [
            column(1, "aRadioClientCount", "Gauge32"),
            column(2, "aSsidClientCount", "Gauge32"),
        ]
    )
    recorded = SYSTEM + rows(1, "66", 3) + rows(2, "66", 2)
    facts = await read(tmp_path, recorded, profile)
    found = {(each.descr.split()[0], each.value) for each in facts.wireless}
    assert found == {("Radio", 3), ("WLAN", 2)}


async def test_a_draft_adds_no_second_processor_to_a_known_one(tmp_path: Path) -> None:
    known = f"""
match:
  - object_id: 1.3.6.1.4.1.99998
---
tables:
  box:
    base: {MAKER}.8
    scalar: true
    columns: {{cpu: 1}}
    processors:
      - {{of: cpu, descr: Processor}}
"""
    profile = drafted([column(1, "aCpuUsage", "Integer32")])
    recorded = SYSTEM + rows(1, "2", 12) + f"{MAKER}.8.1.0|2|40\n"
    facts = await read(tmp_path, recorded, known, profile)
    assert [each.usage_pct for each in facts.processors] == [40]


async def test_what_optics_always_need_shows_the_scale_of_theirs(
    tmp_path: Path,
) -> None:
    columns = [
        column(3, "acmeTemperature", "Integer32"),
        column(4, "acmeVoltage", "Integer32"),
    ]
    lights = [column(5, "acmeRxPower", "Integer32")]
    # The third has no supply: it is not there.
    values = rows(3, "2", 10304, 10752, 12032) + rows(4, "2", 33011, 32108, 0)
    other = await read(tmp_path, SYSTEM + values, drafted(columns + lights))
    assert ("voltage", 3.3011, None) not in shown(other)
    lights.append(column(6, "acmeTxPower", "Integer32"))
    optics = await read(tmp_path, SYSTEM + values, drafted(columns + lights))
    assert shown(optics) == [
        *[("temperature", celsius, None) for celsius in (40.25, 42.0, 47.0)],
        *[("voltage", volts, None) for volts in (3.3011, 3.2108)],
    ]
