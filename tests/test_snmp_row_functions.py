"""What the functions that a profile names make of a row."""

from __future__ import annotations

import pytest

from collectors.snmp.profiles.row import ProfileRow
from collectors.snmp.profiles.row_functions import (
    channel_mhz,
    cisco_thresholds,
    quotient,
    share_pct,
)
from collectors.snmp.session.session import Value
from collectors.snmp.tables.quantities import CODES, Encoding


def test_a_share_is_of_the_total_and_none_if_either_is_a_code() -> None:
    for value, total, wanted in ((30, 40, 75.0), (-3, 100, None), (5, -2, None)):
        assert share_pct(ProfileRow("1", {"value": value, "total": total})) == wanted
    assert share_pct(ProfileRow("1", {"value": 5, "total": None})) is None


def test_a_quotient_uses_the_rows_own_divisor() -> None:
    assert quotient(ProfileRow("1", {"value": 248, "divisor": 10})) == 24.8
    assert quotient(ProfileRow("1", {"value": 90, "divisor": 0})) == 90.0
    assert quotient(ProfileRow("1", {"value": None, "divisor": 10})) is None


@pytest.mark.parametrize(
    ("channel", "band", "mhz"),
    [
        (1, None, 2412),
        (13, None, 2472),
        (14, None, 2484),
        (36, None, 5180),
        (b"161E", None, 5805),
        (5, b"6 GHz", 5975),
        (0, None, None),
        (b"none", None, None),
        (None, None, None),
    ],
)
def test_a_channel_of_wi_fi_is_shown_as_its_frequency(
    channel: Value | None, band: bytes | None, mhz: float | None
) -> None:
    assert channel_mhz(ProfileRow("1", {"channel": channel, "band": band})) == mhz


def test_thresholds_of_a_sensor_become_its_limits() -> None:
    """Severity 10 minor, 20 major, 30 critical; relation 1 less than … 4 at least."""
    cells = {"scale": 9, "precision": 1}
    for n, (severity, relation, threshold) in enumerate(
        [(20, 4, 700), (10, 3, 650), (10, 1, 50), (30, 2, -32768)], 1
    ):
        cells |= {f"severity{n}": severity, f"relation{n}": relation}
        cells[f"threshold{n}"] = threshold
    assert cisco_thresholds(ProfileRow("1", cells, Encoding(CODES))) == {
        "high": 70.0,
        "high_warn": 65.0,
        "low_warn": 5.0,
    }


def test_without_a_minor_threshold_the_major_one_warns() -> None:
    cells = {"severity1": 20, "relation1": 4, "threshold1": 46}
    assert cisco_thresholds(ProfileRow("1", cells)) == {"high": 46}
    cells |= {"severity2": 30, "relation2": 4, "threshold2": 56}
    assert cisco_thresholds(ProfileRow("1", cells)) == {"high_warn": 46, "high": 56}
