"""Model, version and serial number of devices that no profile knows, from sysDescr."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.snmp.profiles.described_identity import (
    DescribedIdentity,
    read_description,
)
from collectors.snmp.profiles.identity import Identity
from collectors.snmp.tables.entities import Entity


@pytest.mark.parametrize(
    ("descr", "hardware", "version", "serial"),
    [
        ("T-4800X version 4.0.1.07", "T-4800X", "4.0.1.07", None),
        ("Acme Networks AS-28X (AS-28X) ver 2.1b3", "AS-28X", "2.1b3", None),
        (
            "ACME ProSafe GX724Tv4 24-port Switch, 6.3.1.11",
            "GX724Tv4",
            "6.3.1.11",
            None,
        ),
        ("Door Alert 4E v4.2.4", "Door Alert 4E", "4.2.4", None),
        ("Model: X-12; FW: 1.2.3; SN: A1234567", "X-12", "1.2.3", "A1234567"),
        ("Switch A-9 FW:7.5.0.2 SW:v7.6.1.033", "A-9", "7.6.1.033", None),
        ("Bootloader Version 4.30.8 Software Version 6.2.1", None, "6.2.1", None),
        ("AcmeOS version 3.1.4 running on an Acme", None, "3.1.4", None),
        ("48-Port 10/100/1000 Gigabit PoE Switch, 250W", None, None, None),
        ("Acme Software (AC9K_OS-K9-M), Version 16.6.7", None, "16.6.7", None),
        # A management card's number is not the device's.
        ("Web Card (MN:AP1 HR:05 SN: ZA1349002368)", None, None, None),
        # A number that identifies nothing.
        ("Model: X-12, SN: FFFFFFFFFFFF", "X-12", None, None),
        ("Linux box 4.18.0-193.el8.x86_64 #1 SMP x86_64", None, None, None),
        ("FreeBSD fw1.example.net 12.3-RELEASE-p5", None, None, None),
        ("", None, None, None),
    ],
)
def test_shapes_show_what_a_description_states(
    descr: str, hardware: str | None, version: str | None, serial: str | None
) -> None:
    assert read_description(descr) == DescribedIdentity(hardware, version, serial)


@given(st.text(max_size=200))
def test_whatever_is_found_stands_in_the_text(descr: str) -> None:
    found = read_description(descr)
    for value in (found.hardware, found.version, found.serial):
        assert value is None or (value and value in descr)


def test_profiles_and_the_chassis_come_before_the_description() -> None:
    identity = Identity(sys_descr="T-4800X version 4.0.1, S/N: B7654321")
    chassis = Entity(1, "chassis", model="AC4800-24", serial="C1")
    assert identity.with_chassis([]).hardware == "T-4800X"
    assert identity.with_chassis([]).serial == "B7654321"
    known = identity.with_chassis([chassis])
    assert (known.hardware, known.serial, known.version) == ("AC4800-24", "C1", "4.0.1")
    named = Identity(sys_descr=identity.sys_descr, hardware="X", version="5")
    assert named.with_chassis([]).hardware == "X"
    assert named.with_chassis([]).version == "5"


def test_a_module_is_the_device_only_if_nothing_else_says_what_it_is() -> None:
    optic = Entity(5, "module", model="DM-9-100", serial="O1")
    described = Identity(sys_descr="Acme switch SX930-28, version 5.4.7")
    assert described.with_chassis([optic]).hardware == "SX930-28"
    assert Identity(sys_descr="A switch").with_chassis([optic]).hardware == "DM-9-100"
