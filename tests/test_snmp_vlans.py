"""VLANs are read from the tables of switches of different vendors."""

from __future__ import annotations

from pathlib import Path

import pytest
import recordings

from collectors.snmp.tables.vlans import Vlan, merge_vlans, parse_vlans

STATIC, CURRENT = "1.3.6.1.2.1.17.7.1.4.3.1", "1.3.6.1.2.1.17.7.1.4.2.1"


def test_names_come_from_the_static_table_and_learnt_vlans_from_the_current_one() -> (
    None
):
    rows = {f"{STATIC}.1.10": b"staff", f"{CURRENT}.3.0.10": 3, f"{CURRENT}.3.0.20": 4}
    assert parse_vlans(rows) == [Vlan(10, "staff"), Vlan(20)]


def test_without_names_the_rows_of_other_columns_are_vlans() -> None:
    assert parse_vlans({f"{STATIC}.5.7": 1, f"{STATIC}.2.9": b"\x80"}) == [
        Vlan(7),
        Vlan(9),
    ]


def test_the_newer_mib_has_a_component_before_the_vlan() -> None:
    row = "1.3.111.2.802.1.1.4.1.4.3.1.3.1.70"
    assert parse_vlans({row: b"phones"}) == [Vlan(70, "phones")]


def test_numbers_that_are_not_vlan_ids_are_left_out() -> None:
    rows = {f"{STATIC}.1.0": b"zero", f"{STATIC}.1.4095": b"all", f"{STATIC}.1.1": b""}
    assert parse_vlans(rows) == [Vlan(1)]


def test_the_vendors_name_is_used_if_the_standard_table_has_none() -> None:
    assert merge_vlans(
        [Vlan(1), Vlan(2, "b")], [Vlan(1, "a"), Vlan(2, "x"), Vlan(3)]
    ) == [
        Vlan(1, "a"),
        Vlan(2, "b"),
        Vlan(3),
    ]


@pytest.mark.parametrize("names", [True, False])
async def test_a_port_list_too_long_to_receive_costs_no_vlan(
    tmp_path: Path, names: bool
) -> None:
    """5,000 octets follow the last name, or replace the names."""
    ports = "80" * 5000
    rows = ["1.3.6.1.2.1.1.1.0|4|Wide switch", "1.3.6.1.2.1.1.3.0|67|100"]
    rows += [f"{CURRENT}.3.0.16|66|16", f"{CURRENT}.4.0.16|4x|{ports}"]
    rows += [f"{STATIC}.1.1|4|DEFAULT"] if names else []
    rows += [f"{STATIC}.2.1|4x|{ports}", f"{STATIC}.5.1|2|1"]
    file = tmp_path / "wide.snmprec"
    file.write_text("\n".join(rows) + "\n")
    facts = await recordings.polled(file)
    assert "vlans" not in facts.sections
    assert facts.vlans == [Vlan(1, "DEFAULT" if names else None), Vlan(16)]
