"""Numbers that are not measurements: codes, lost signs, nonsense, and unset limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.snmp.polling.device_findings import VALUES_IMPLAUSIBLE, of_refused
from collectors.snmp.profiles.apply import REFUSED, find_rows, to_readings
from collectors.snmp.profiles.profile_loader import Profile
from collectors.snmp.profiles.profile_model import Head
from collectors.snmp.profiles.row import ProfileRow
from collectors.snmp.profiles.row_functions import huawei_transmit
from collectors.snmp.profiles.sensor_limits import (
    LIMIT_NAMES,
    SensorLimits,
    drop_contradictions,
)
from collectors.snmp.session.session import Value
from collectors.snmp.tables.quantities import (
    CODES,
    SENSORS,
    WIDE_CODES,
    WIRELESS,
    Implausible,
    Quantity,
    to_measurement,
)

TEMPERATURE, DBM, FAN = SENSORS["temperature"], SENSORS["dbm"], SENSORS["fanspeed"]
BASE = "1.3.6.1.4.1.99999.7"


def read_raw(quantity: Quantity, raw: float, divisor: float = 1) -> float | None:
    def value(encoding: Any) -> float | None:
        number = encoding.decode(raw)
        return None if number is None else number / divisor

    return to_measurement(quantity, value)


@pytest.mark.parametrize(
    ("raw", "divisor", "expected"),
    [
        (21, 1, 21),
        (-3, 1, -3),
        (4294967293, 1, -3),
        (4294967266, 10, -3),
        (65533, 1, -3),
        (65506, 10, -3),
        (2**64 - 3, 1, -3),
        (4294951196, 1000, -16.1),
    ],
)
def test_a_negative_number_in_an_unsigned_type_is_negative(
    raw: int, divisor: float, expected: float
) -> None:
    assert read_raw(TEMPERATURE, raw, divisor) == expected


@given(
    st.integers(-59, 199),
    st.sampled_from([16, 32, 64]),
    st.sampled_from([1, 10, 100, 1000]),
)
def test_every_temperature_is_read_back_from_its_twos_complement(
    celsius: int, bits: int, divisor: int
) -> None:
    raw = celsius * divisor
    if not -(2 ** (bits - 1)) <= raw < 2 ** (bits - 1) or raw in CODES:
        return
    sent = raw % 2**bits
    # -6 and -1 in sixteen bits are also codes for "no value", and count as such.
    if sent in CODES:
        assert read_raw(TEMPERATURE, sent, divisor) is None
    elif TEMPERATURE.contains(sent / divisor):
        assert read_raw(TEMPERATURE, sent, divisor) == sent / divisor
    else:
        assert read_raw(TEMPERATURE, sent, divisor) == celsius


@pytest.mark.parametrize("kind", sorted(set(SENSORS) - {"count", "state"}))
def test_a_code_for_no_value_is_none_for_every_class(kind: str) -> None:
    for code in sorted(CODES):
        for divisor in (1, 10, 1000):
            assert read_raw(SENSORS[kind], code, divisor) is None, (code, divisor)


def test_for_counts_only_the_ends_of_the_type_are_codes() -> None:
    for quantity in (SENSORS["count"], WIRELESS["rate"]):
        assert read_raw(quantity, 65535) == 65535
        assert read_raw(quantity, 10**9) == 10**9
        assert all(read_raw(quantity, code) is None for code in WIDE_CODES)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("temperature", 5000),
        ("temperature", -274),
        ("humidity", 255),
        ("humidity", -1),
        ("voltage", 6553.5),
        ("fanspeed", -3),
        ("dbm", -99),
        ("load", 999.9),
        ("percent", 236),
        ("charge", -1),
    ],
)
def test_an_implausible_value_is_refused(kind: str, value: float) -> None:
    with pytest.raises(Implausible):
        read_raw(SENSORS[kind], value)


@given(st.sampled_from(sorted(SENSORS)), st.floats(allow_nan=True))
def test_every_reading_is_within_its_range(kind: str, raw: float) -> None:
    try:
        value = read_raw(SENSORS[kind], raw)
    except Implausible:
        return
    assert value is None or SENSORS[kind].contains(value)


OPTICS = f"""
tables:
  optics:
    base: {BASE}
    columns: {{rx: 1, low: 2, low_warn: 3, high_warn: 4, high: 5, heat: 6, hot: 7}}
    sensors:
      - class: dbm
        of: rx
        divisor: 100
        descr: "Light {{index}}"
        limits: {{low: low, low_warn: low_warn, high_warn: high_warn, high: high}}
      - {{class: temperature, of: heat, descr: "Heat {{index}}", limits: {{high: hot}}}}
"""


def profile_of(body: str) -> Profile:
    return Profile(Path("acme.yaml"), Head(match=()), body, 0)


def read_row(profile: Profile, **cells: Value) -> dict[str, list[Any]]:
    """Return the readings of one row of `OPTICS`, by the names of its columns."""
    table = profile.body.tables["optics"]
    return to_readings(
        find_rows([profile], {table.oid(name): {"1": cells[name]} for name in cells})
    )


def test_a_low_alarm_of_zero_above_the_low_warning_was_never_set() -> None:
    cells: dict[str, Value] = {"rx": -566, "low": 0, "low_warn": -1397}
    cells |= {"high_warn": 200, "high": 255}
    (light,) = read_row(profile_of(OPTICS), **cells)["sensors"]
    assert light.value == -5.66
    assert (light.low, light.low_warn) == (None, -13.97)
    assert (light.high_warn, light.high) == (2.0, 2.55)


@pytest.mark.parametrize(
    ("given_limits", "expected"),
    [
        ((0, 0, 0, 0), (None,) * 4),
        ((0, 0, 2, 3), (None, None, 2, 3)),
        # Alarms were set, warnings were not.
        ((-15, 0, 0, 3), (-15, None, None, 3)),
        ((-15, -12, 0, 3), (-15, -12, 0, 3)),
        # Which of the two is wrong is not known.
        ((-8, -10, 1, 2), (None, None, 1, 2)),
        ((-15, -12, 2, 1), (-15, -12, None, None)),
        ((3, 2, -12, -15), (None,) * 4),
        ((5, None, None, 5), (None,) * 4),
        ((0, None, None, 2), (None, None, None, 2)),
        ((None, None, None, 0), (None, None, None, 0)),
        ((-18, None, None, 0), (-18, None, None, 0)),
    ],
)
def test_limits_of_optics_that_contradict_each_other_are_dropped(
    given_limits: tuple[float | None, ...], expected: tuple[float | None, ...]
) -> None:
    value = drop_contradictions(SensorLimits(*given_limits), DBM, -5)
    assert tuple(getattr(value, name) for name in LIMIT_NAMES) == expected


def test_light_that_is_not_measured_is_not_judged() -> None:
    """A Nexus gives 0 dBm for dark lanes whose high alarm is -2 dBm."""
    limits = SensorLimits(-26.989, -25.228, -3.001, -1.999)
    assert drop_contradictions(limits, DBM, 0) == SensorLimits()
    assert drop_contradictions(limits, DBM, -1) == limits


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        # The same board has -127 for -1.27 dBm on its other ports.
        ({"tx": 256, "tx_low": -150, "tx_high": 450}, 2.56),
        ({"tx": 256, "tx_low": -950, "tx_high": 200}, -5.918),
        # Both fit: microwatts, as in the MIB.
        ({"tx": 78, "tx_low": -1800, "tx_high": 300}, -11.079),
        ({"tx": 500}, -3.01),
        ({"tx": 0, "tx_low": -150, "tx_high": 450}, None),
    ],
)
def test_optical_power_of_huawei_is_in_the_unit_that_its_limits_allow(
    cells: dict[str, int], expected: float | None
) -> None:
    assert huawei_transmit(ProfileRow("1", cells)) == expected


def test_frost_is_a_limit_and_zero_revolutions_are_not() -> None:
    assert drop_contradictions(
        SensorLimits(low=0, high=40), TEMPERATURE, 20
    ) == SensorLimits(low=0, high=40)
    assert drop_contradictions(SensorLimits(high=0), TEMPERATURE, 20) == SensorLimits()
    assert drop_contradictions(SensorLimits(high=0), FAN, 20) == SensorLimits()


_limit = st.none() | st.integers(-40, 40)


@given(_limit, _limit, _limit, _limit, st.sampled_from(sorted(SENSORS)))
def test_the_remaining_limits_are_in_order_and_unchanged(
    low: int | None,
    low_warn: int | None,
    high_warn: int | None,
    high: int | None,
    kind: str,
) -> None:
    before = SensorLimits(low, low_warn, high_warn, high)
    after = drop_contradictions(before, SENSORS[kind], 1)
    remaining = []
    for name in LIMIT_NAMES:
        limit = getattr(after, name)
        if limit is not None:
            assert limit == getattr(before, name)
            remaining.append(limit)
    assert remaining == sorted(remaining)
    # A second time changes nothing.
    assert drop_contradictions(after, SENSORS[kind], 1) == after


def test_limits_that_are_codes_or_nonsense_are_not_set() -> None:
    profile = profile_of(OPTICS)
    for hot in (65535, 2**31 - 1, -(2**31), 30000):
        (heat,) = read_row(profile, heat=41, hot=hot)["sensors"]
        assert (heat.value, heat.high) == (41, None)
    (heat,) = read_row(profile, heat=4294967293, hot=4294967291)["sensors"]
    assert (heat.value, heat.high) == (-3, -5)


def test_a_refused_value_is_a_finding_and_not_a_reading() -> None:
    readings = read_row(profile_of(OPTICS), heat=5000)
    assert readings["sensors"] == []
    (refused,) = readings[REFUSED]
    assert (refused.descr, refused.value) == ("Heat 1", 5000)
    text = of_refused(readings[REFUSED])[VALUES_IMPLAUSIBLE]
    assert "temperature 'Heat 1' 5000" in text
    assert of_refused([]) == {}


def test_a_profile_may_widen_or_narrow_the_range_of_its_sensors() -> None:
    kiln = OPTICS.replace("of: heat,", "of: heat, within: [1, 1200],")
    profile = profile_of(kiln)
    assert [s.value for s in read_row(profile, heat=900)["sensors"]] == [900]
    # 0 means that there is no probe: nothing to report.
    readings = read_row(profile, heat=0)
    assert readings["sensors"] == []
    assert readings[REFUSED] == []


NUMBERS: list[Value] = [
    -(2**63),
    -5,
    0,
    255,
    10**9,
    2**31 - 1,
    2**64 - 1,
    25.3,
    float("nan"),
    float("-inf"),
    b"",
    b"N/A",
    b"1e999",
    b"n/a (0x80)",
    b"\xff\xff",
    b"25.3 C",
    bytes.fromhex("9f78047f800000"),
    "1.3.6.1",
]
EVERYTHING = f"""
tables:
  all:
    base: {BASE}
    columns: {{value: 1, total: 2, scale: 3, precision: 4, digits: 5}}
    processors:
      - {{descr: CPU}}
    memory:
      - {{used: value, total: total, descr: Pool}}
      - {{used_pct: value, total: total, unit_bytes: scale, descr: Share}}
    wireless:
      - {{class: clients, descr: Clients}}
      - {{class: clients, aggregate: sum, descr: All}}
    sensors:
      - {{class: temperature, descr: Heat, limits: {{high: total, low: digits}}}}
      - {{class: power, descr: Real, function: entity_sensor}}
      - {{class: current, descr: Digits, function: decimal_digits}}
      - {{class: dbm, descr: Light, milliwatts: true, limits: {{low: total}}}}
      - {{class: state, descr: State, states: {{1: [up, ok]}}}}
"""


@given(st.lists(st.sampled_from(NUMBERS), min_size=5, max_size=5))
def test_no_value_breaks_a_profile_or_becomes_an_implausible_reading(
    values: list[Value],
) -> None:
    profile = profile_of(EVERYTHING)
    columns = {f"{BASE}.{n}": {"1": value} for n, value in enumerate(values, 1)}
    readings = to_readings(find_rows([profile], columns))
    for sensor in readings["sensors"]:
        if sensor.class_ == "state":
            assert sensor.value is None or abs(sensor.value) < 2**65
            continue
        quantity = SENSORS[sensor.class_]
        for figure in (sensor.value, sensor.low, sensor.high):
            assert figure is None or quantity.contains(figure)
    for pool in readings["memory"]:
        assert 0 <= pool.used_pct <= 100
        for size in (pool.used_bytes, pool.total_bytes):
            assert size is None or 0 <= size < 2**63
    for processor in readings["processors"]:
        assert 0 <= processor.usage_pct <= 100
    for radio in readings["wireless"]:
        assert 0 <= radio.value <= 60_000
