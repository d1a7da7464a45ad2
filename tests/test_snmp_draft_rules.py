"""What a draft reads of objects that their MIB says little about: power without a unit,
numbered scalars that others name, and contacts."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from test_snmp_mib_tables import SYSTEM, column, drafted, known, read, rows, shown

from collectors.snmp.drafting.mib_objects import MibObject
from collectors.snmp.drafting.object_meaning import MeasuredObject, meaning
from collectors.snmp.drafting.plain_power import may_be_watts
from collectors.snmp.drafting.profile_draft import DraftHead, draft_profile
from collectors.snmp.drafting.state_meaning import (
    CodeStateObject,
    EnumeratedObject,
    TextStateObject,
)

ROOT = "1.3.6.1.4.1.99999"
TEXT = "OCTET STRING:DisplayString"


def draft(*objects: MibObject) -> str:
    by_oid = {each.oid: each for each in objects}
    return draft_profile(DraftHead("Acme", ROOT), by_oid)


def scalar(name: str, arc: int = 1, syntax: str = "INTEGER", **more: str) -> MibObject:
    return MibObject(f"{ROOT}.{arc}", name, "ACME-MIB", "scalar", syntax, **more)


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("acmeSystemPowerUsage", "scalar", True),
        ("acmePoePortConsumption", "column", True),
        ("acmeOutletPower", "column", True),
        ("acmeSystemPowerRemain", "scalar", True),
        # A source of power, and not how much of it.
        ("internal-power", "scalar", False),
        # In plants it may be in kilowatts, and light and radio in dBm.
        ("upsOutputActivePower", "scalar", False),
        ("rectifierOutputPower", "column", False),
        ("edfaLaserPower", "column", False),
        ("radioTotalPower", "scalar", False),
        # What something would need.
        ("acmePdRequestedPower", "column", False),
    ],
)
def test_power_without_a_unit_is_read_of_devices_and_ports(
    name: str, kind: str, expected: bool
) -> None:
    assert may_be_watts(MibObject(ROOT, name, "ACME-MIB", kind, "INTEGER")) is expected


def test_its_scale_is_watts_or_milliwatts() -> None:
    text = draft(scalar("acmeSystemPowerUsage"))
    assert "class: power, of: usage, divisor: [1, 1000], usual: [2, 9000]" in text
    assert "power" not in draft(scalar("acmeTotalPower", syntax="INTEGER 1=yes 2=no"))


def test_a_numbered_scalar_is_what_the_scalar_beside_it_names() -> None:
    text = draft(
        scalar("sensor1Name", 1, TEXT),
        scalar("sensor1Value", 2, TEXT),
        scalar("sensor2Name", 3, TEXT),
        scalar("sensor2Value", 4, TEXT),
    )
    (table,) = (
        yaml.safe_load_all(text.partition("---\n")[2]).send(None)["tables"].values()
    )
    named = {
        (each["class"], table["columns"][each["of"]], table["columns"][name])
        for each in table["sensors"]
        for name in each["when"]
    }
    assert {("temperature", 2, 1), ("temperature", 4, 3), ("humidity", 4, 3)} <= named


def test_a_voltage_of_a_pdu_is_that_of_mains() -> None:
    of_pdu = MibObject(f"{ROOT}.1", "voltageLC1", "ACMEPDU-MIB", "scalar", "INTEGER")
    assert "usual: [85, 500]" in draft(of_pdu)
    assert "usual" not in draft(scalar("voltageLC1"))


@pytest.mark.parametrize(
    ("name", "is_mains"),
    [
        ("rectifierInputVoltage", True),
        ("rectifierOutputVoltage", False),
        # It may be 48 volts.
        ("psuInputVoltage", False),
    ],
)
def test_what_a_rectifier_gets_is_mains(name: str, is_mains: bool) -> None:
    assert ("usual: [85, 500]" in draft(scalar(name))) is is_mains


def test_the_voltage_of_an_optic_is_that_of_optics_even_if_described() -> None:
    volts = MibObject(
        f"{ROOT}.1.1.1", "ddmVoltage", "ACME-MIB", "column", "INTEGER", hint="unit=volt"
    )
    assert "usual: [2.9, 3.8]" in draft(volts)


def test_a_fan_whose_text_is_a_share_has_no_speed() -> None:
    text = draft(scalar("fanSpeed", syntax=TEXT, hint="unit=rpm"))
    assert "class: percent, of: speed, when: {speed: '%'}" in text
    assert "class: fanspeed, of: speed, unless: {speed: '%'}" in text


def test_a_position_is_a_value_and_a_location_is_none() -> None:
    percent = {"syntax": "INTEGER", "units": "%"}
    assert meaning(scalar("damperPosition", **percent)) is not None
    assert meaning(scalar("tempLocation", syntax=TEXT)) is None
    assert meaning(scalar("tempModulePosition")) is None


def test_decibel_milliwatts_of_a_mobile_network_are_dbm() -> None:
    found = meaning(scalar("cellPortRsrp", units="decibel-milliwatts"))
    assert found == MeasuredObject("signal", is_stated=True)


def test_the_mode_that_a_device_is_in_is_neither_good_nor_bad() -> None:
    modes = meaning(scalar("envOperatingMode", syntax="INTEGER 1=auto 2=manual"))
    assert modes == EnumeratedObject({1: ("auto", "unknown"), 2: ("manual", "unknown")})


@pytest.mark.parametrize(
    ("name", "syntax", "found"),
    [
        ("hookStatus1", TEXT, TextStateObject()),
        ("panoramaConnected", TEXT, TextStateObject()),
        ("switch-sen12", "INTEGER", CodeStateObject()),
        ("internal-relay1", "INTEGER", CodeStateObject()),
        ("alarmOnBattery", "INTEGER", CodeStateObject(is_trouble=True)),
        # A threshold, and a time.
        ("alarmHighTemperature", "INTEGER", None),
        ("alarmDelay", "INTEGER", None),
        ("total-engine-page-count", "INTEGER", MeasuredObject("count", is_stated=True)),
        ("ikeCurrSAs", "Counter64", MeasuredObject("count", is_stated=True)),
        (
            "lteRssi",
            "INTEGER",
            MeasuredObject("signal", has_unit=True, is_described=True),
        ),
        (
            "suctionPresKPa",
            "INTEGER",
            MeasuredObject("pressure", has_unit=True, is_described=True),
        ),
    ],
)
def test_names_say_what_scalars_are(name: str, syntax: str, found: object) -> None:
    assert meaning(scalar(name, syntax=syntax)) == found


async def test_a_state_that_is_only_a_condition_is_shown_if_all_rows_are_well_or_bad(
    tmp_path: Path,
) -> None:
    draft = drafted([column(5, "acmeProbeStatus", "INTEGER 1=normal 2=failed 3=off")])
    item = "{class: temperature, of: value, when: {state: 1}, descr: Probe}"
    values = SYSTEM + rows(3, "2", 21, 0)
    facts = await read(tmp_path, values + rows(5, "2", 1, 2), known(item), draft)
    probe = ("temperature", 21.0, None)
    states = [("state", "normal", "ok"), ("state", "failed", "critical")]
    assert shown(facts) == [probe, *states]
    facts = await read(tmp_path, values + rows(5, "2", 1, 3), known(item), draft)
    assert shown(facts) == [probe]
