"""Values that cannot be measurements, as devices send them, are shown by no profile: a
walk of each shape is read by the shipped profiles, from an agent's answer to the fact.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_agents import Recorded
from test_snmp_drafting import PUBLIC

from collectors.snmp.polling.device_facts import DeviceFacts, poll_once
from collectors.snmp.profiles import Profile, find_rows, load, to_readings
from collectors.snmp.profiles.matched_rows import key_column
from collectors.snmp.session.session import Value
from collectors.snmp.tables.quantities import SENSORS, USAGE, WIRELESS

E = "1.3.6.1.4.1"


def sensor_mib(kind: int, scale: int, precision: int, value: int) -> str:
    """Return a row of entPhySensorTable (RFC 3433)."""
    row = "1.3.6.1.2.1.99.1.1.1"
    cells = ((1, kind), (2, scale), (3, precision), (4, value), (5, 1))
    return "".join(f"{row}.{n}.1|2|{v}\n" for n, v in cells)


CELSIUS, WATTS, VOLTS = 8, 6, 4
# Name: the maker's number, the walk, and the values that may be shown.
WALKS = {
    # RFC 3433: what is below and above the range of a sensor, and what it cannot give.
    "underflow": ("9.1.2435", sensor_mib(CELSIUS, 9, 0, -(10**9)), []),
    "overflow": ("9.1.2435", sensor_mib(CELSIUS, 9, 0, 10**9), []),
    "noise of a broken sensor": (
        "9.1.2435",
        sensor_mib(CELSIUS, 9, 0, -866_597_556),
        [],
    ),
    "no supply": ("30065.1", sensor_mib(WATTS, 9, 1, -(10**9)), []),
    "supply that gives less than nothing": (
        "2435.1",
        sensor_mib(WATTS, 9, 0, -100),
        [],
    ),
    "supply without load": ("2435.1", sensor_mib(WATTS, 9, 0, 0), [0.0]),
    "millivolts": ("30065.1", sensor_mib(VOLTS, 8, 0, 3094), [3.094]),
    # A cage without a module, and one whose module is not sending.
    "optics without a module": (
        "14988.1",
        "".join(
            f"{E}.14988.1.1.19.1.1.{column}.{port}|2|{value}\n"
            for port, values in ((1, (0,) * 5), (2, (41, 3300, 0, 0, -9000)))
            for column, value in zip((6, 7, 8, 9, 10), values, strict=True)
        ),
        [41.0, 3.3, 0.0, 0.0, -9.0],
    ),
    # -128 in sixteen bits.
    "SwOS without a sensor": ("14988.2", f"{E}.14988.1.1.3.11.0|2|65408\n", []),
    "UPS phase that is not there": (
        "4555.1.1.1",
        f"{E}.4555.1.1.7.1.4.4.1.6.1|2|65535\n{E}.4555.1.1.7.1.4.4.1.6.2|2|12\n",
        [1200.0],
    ),
    "absolute zero": ("850.1", f"{E}.850.1.1.3.1.3.1.3.1.1.1|2|-2730\n", []),
    "radio without a probe": ("10002.1", f"{E}.41112.1.4.8.4.0|2|160000000\n", []),
    "end of 32 bits": ("318.1.3.2", f"{E}.318.1.1.1.2.3.2.0|66|4294967295\n", []),
    "least of 32 bits": ("318.1.3.2", f"{E}.318.1.1.1.2.3.2.0|2|-2147483648\n", []),
    "tenths of degrees": ("318.1.3.2", f"{E}.318.1.1.1.2.3.2.0|66|265\n", [26.5]),
    # -1 where nothing is negative is no temperature, current or power either.
    "UPS without probes": (
        "935.10.1",
        f"{E}.935.10.1.1.2.16.1.3.1|2|2382\n{E}.935.10.1.1.2.16.1.4.1|2|-1\n"
        f"{E}.935.10.1.1.3.8.0|2|-1\n{E}.935.10.1.1.6.2.1.0|2|-1\n",
        [238.2],
    ),
    "freezer": ("935.10.1", f"{E}.935.10.1.1.6.1.1.0|2|-1\n", [-0.1]),
    "power strip without meter": (
        "318.1.3.4.6",
        f"{E}.318.1.1.26.6.3.1.8.1|2|-1\n{E}.318.1.1.26.6.3.1.9.1|2|-1\n",
        [],
    ),
    "hundredths of kVA": (
        "318.1.3.4.6",
        f"{E}.318.1.1.26.6.3.1.8.1|2|30\n{E}.318.1.1.26.6.3.1.9.1|2|82\n",
        [300.0, 0.82],
    ),
    # The same MIB with whole degrees and with hundredths.
    "hundredths": ("20916.1.6", f"{E}.20916.1.6.1.1.1.2.0|2|2212\n", [22.12]),
    "whole degrees": ("20916.1.6", f"{E}.20916.1.6.1.1.1.2.0|2|22\n", [22.0]),
    # 0.85 degrees, as the one inside shows: not 85, which would be a fire.
    "hundredths near zero": (
        "20916.1.6",
        f"{E}.20916.1.6.1.1.1.2.0|2|2212\n{E}.20916.1.6.1.2.1.1.1.0|2|85\n",
        [22.12],
    ),
    "hundredths below zero": (
        "20916.1.6",
        f"{E}.20916.1.6.1.1.1.2.0|2|2212\n{E}.20916.1.6.1.2.1.1.1.0|2|-150\n",
        [22.12, -1.5],
    ),
}


async def read(
    walk: str, maker: str, folder: Path, descr: str = "Device"
) -> DeviceFacts:
    file = folder / "device.snmprec"
    file.write_text(
        f"1.3.6.1.2.1.1.1.0|4|{descr}\n1.3.6.1.2.1.1.2.0|6|{E}.{maker}\n"
        f"1.3.6.1.2.1.1.3.0|67|100\n{walk}"
    )
    async with Recorded(file) as device:
        return await poll_once("127.0.0.1", device.port_number, PUBLIC)


@pytest.mark.parametrize("name", WALKS)
async def test_only_measurements_are_shown(name: str, tmp_path: Path) -> None:
    maker, walk, values = WALKS[name]
    facts = await read(walk, maker, tmp_path)
    shown = [s.value for s in facts.sensors if s.class_ != "state"]
    assert shown == values


@pytest.mark.parametrize(
    ("descr", "maker", "walk", "shown"),
    [
        # A processor and a kernel are no model and version of a known maker's device.
        (
            "Linux bmc 2.6.28.9 #1 Mon Feb 10 armv5tejl",
            "8072.3.2.10",
            f"{E}.10876.2.1.1.1.1.2.1|4|Fan\n",
            ("supermicro", None, None, None),
        ),
        (
            "Linux pi 5.4.51-v7+ #1333 SMP armv7l",
            "8072.3.2.10",
            "",
            ("linux", "ARMv7", "5.4.51-v7+", None),
        ),
        # A firewall based on FreeBSD that names no version of its own.
        (
            "FreeBSD fw 11.3-STABLE #233 (factory-RELENG_2_4_5) root@netgate.com amd64",
            "8072.3.2.8",
            "",
            ("netgate", "amd64", "11.3-STABLE", None),
        ),
        (
            "pfSense fw.example.uk 2.3.2-RELEASE pfSense FreeBSD 10.3-RELEASE-p5 amd64",
            "12325.1.1.2.1.1",
            "",
            ("netgate", "amd64", "2.3.2-RELEASE", None),
        ),
        (
            "pfSense Plus fw.example.uk 23.05.1-RELEASE FreeBSD 14.0-CURRENT amd64",
            "12325.1.1.2.1.1",
            "",
            ("netgate", "amd64", "23.05.1-RELEASE", None),
        ),
        # Another system on Dell's hardware.
        (
            "Hardware Model:Dell S6000, Software Version: OcNOS,1.3.9.2",
            "36673.100.1",
            "",
            ("ipinfusion", "Dell S6000", "1.3.9.2", None),
        ),
        # Numbers of fifteen digits are an IMEI and an IMSI: personal data.
        (
            "Linux router 3.18.44 #1 Tue Jan 26 mips",
            "8072.3.2.10",
            f"{E}.48690.1.1.0|4|358709050000000\n{E}.48690.1.2.0|4|EC25\n"
            f"{E}.48690.1.5.0|4|1100000001\n{E}.48690.1.6.0|4|234150000000000\n"
            f"{E}.48690.1.7.0|4|RUT955\n{E}.48690.2.14.0|4|RUT9XX_R_00.06.07\n",
            ("teltonika", "RUT955", "RUT9XX_R_00.06.07", "1100000001"),
        ),
        # Broadcom's enterprise number names no maker of switches.
        ("Dell SONiC", "4413", "", ("dell", None, None, None)),
        (
            "Linux Teltonika-RUT955.com 3.18.44 #1 Tue Jan 26 mips",
            "8072.3.2.10",
            "",
            ("teltonika", "RUT955", None, None),
        ),
        (
            "APC Web/SNMP Management Card (MB:v3.9.2 PF:v3.7.3 PN:a.bin AF1:v3.7.2 "
            "AN1:b.bin MN:AP9617 HR:A10 SN: FFFFFFFFFFFF MD:06/01/2005)",
            "318.1.3.2.7",
            f"{E}.318.1.1.1.1.2.3.0|4|FFFFFFFFFFFF\n",
            ("apc", "Web/SNMP Management Card", "AOS v3.7.3 / App v3.7.2", None),
        ),
    ],
)
async def test_what_identifies_nothing_is_not_shown(
    descr: str,
    maker: str,
    walk: str,
    shown: tuple[str | None, ...],
    tmp_path: Path,
) -> None:
    facts = await read(walk, maker, tmp_path, descr)
    identity = facts.identity
    assert identity is not None
    found = (identity.vendor, identity.hardware, identity.version, identity.serial)
    assert found == shown


def check_readings(profile: Profile, values: dict[str, dict[str, Value]]) -> int:
    """Assert that what the profile reads is plausible; return how much that is."""
    readings = to_readings(find_rows([profile], values))
    for sensor in readings["sensors"]:
        if sensor.class_ == "state" or sensor.value is None:
            continue
        quantity = SENSORS[sensor.class_]
        if not quantity.contains(sensor.value):
            # Only if the profile itself says so: a kiln, an amplifier.
            assert any(
                item.within and item.within[0] <= sensor.value <= item.within[1]
                for table in profile.body.tables.values()
                for item in table.sensors
            ), (profile.name, sensor)
    for processor in readings["processors"]:
        assert USAGE.contains(processor.usage_pct), (profile.name, processor)
    for pool in (*readings["memory"], *readings["storage"]):
        assert 0 <= pool.used_pct <= 100, (profile.name, pool)
    for radio in readings["wireless"]:
        assert WIRELESS[radio.class_].contains(radio.value), (profile.name, radio)
    return sum(map(len, readings.values()))


MARKERS: list[Value] = [
    *(0, 1, -1, 7, 22, 100, 101, 128, 255, 2212, 2303, 32767, 65408, 65530, 65535),
    *(-2730, -273, -128, 99_999, -99_999, 160_000_000, -866_597_556, 10**9, -(10**9)),
    *(2**31 - 1, 2**31, -(2**31), 2**32 - 1, 2**32 - 3, 2**63 - 1, 2**64 - 1),
    *(b"", b"N/A", b"-", b"0x80000000", b"22.5 C", b"1e999", b"nan", b"-273.15"),
]
PROFILES = list(load())


@settings(max_examples=60)
@given(st.sampled_from(PROFILES), st.data())
def test_no_reading_of_any_profile_is_implausible(
    profile: Profile, data: st.DataObject
) -> None:
    columns = sorted(
        {
            table.oid(name)
            for table in profile.body.tables.values()
            for name, column in table.columns.items()
            if not column.is_elsewhere
        }
        | {
            table.oid(key_column(item))
            for table in profile.body.tables.values()
            for _, _, item in table.items
        }
    )
    seed = data.draw(st.lists(st.sampled_from(MARKERS), min_size=7, max_size=7))
    values = {
        column: {str(row): seed[(at * 3 + row) % len(seed)] for row in (0, 1, 2)}
        for at, column in enumerate(columns)
    }
    check_readings(profile, values)
