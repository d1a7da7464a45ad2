"""Profiles of known devices do not fall behind the MIBs: of their states none is
without a meaning, and of several scales the one that the MIB gives comes first."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import pytest
import services

from collectors.snmp.drafting.mib_objects import MibObject
from collectors.snmp.drafting.object_meaning import MeasuredObject, meaning
from collectors.snmp.profiles.items import SensorRule
from collectors.snmp.profiles.label_severity import WORDS
from collectors.snmp.profiles.profile_loader import load
from collectors.snmp.profiles.profile_model import Body, Table

FACTS = services.SHARED / "mibs" / "objects.tsv.gz"
# Numbers that the MIB lists and a profile need not name.
NOT_STATES = {
    "eltek-smartpack": "the kinds of values, in the enumeration of all objects",
    "fortiap": "only full power is well; the modes are neither good nor bad",
    "printer": "sizes of envelopes",
}
# Of several scales the MIB's does not come first.
NOT_FIRST = {
    "airespace": "a setting, in steps or in dBm",
    "avtech": "firmware differs, and all probes of a device show their scale together",
    "juniper": "firmware differs, in whole degrees or tenths",
    "ups-mib": "some makers send tenths of volts, and mains shows which",
}


Rules = list[tuple[str, Body, Table, SensorRule, MibObject]]


@pytest.fixture(scope="module")
def rules() -> Rules:
    """The rules of sensors that one column gives, with what the MIB says of it."""
    if not FACTS.exists():
        pytest.skip("no facts of MIBs beside this checkout")
    found = [
        (profile.name, profile.body, table, rule)
        for profile in load()
        if not profile.head.drafted
        for table in profile.body.tables.values()
        for rule in table.sensors
        if rule.of in table.columns and not (rule.function or rule.find)
    ]
    objects = {
        each.oid: each for each in _read({table.oid(r.of) for _, _, table, r in found})
    }
    return [
        (name, body, table, rule, objects[table.oid(rule.of)])
        for name, body, table, rule in found
        if table.oid(rule.of) in objects
    ]


def _read(wanted: set[str]) -> Iterator[MibObject]:
    with gzip.open(FACTS, "rt", encoding="utf-8") as lines:
        for line in lines:
            if line.partition("\t")[0] in wanted:
                yield MibObject(*line.rstrip("\n").split("\t")[:8])


def test_every_state_that_a_mib_lists_has_a_meaning(rules: Rules) -> None:
    lacking = {
        f"{name} {mib_object.name}: {missing}"
        for name, body, _, rule, mib_object in rules
        if rule.class_ == "state" and rule.states != WORDS and name not in NOT_STATES
        if (missing := {*mib_object.labels} - _numbers(body, rule))
    }
    assert len(rules) > 3000
    assert lacking == set()


def _numbers(body: Body, rule: SensorRule) -> set[int]:
    states = body.states[rule.states] if isinstance(rule.states, str) else rule.states
    return {int(number) for number in states or () if str(number).lstrip("-").isdigit()}


def test_of_several_scales_the_one_that_the_mib_gives_comes_first(
    rules: Rules,
) -> None:
    later = {
        f"{name} {mib_object.name}"
        for name, _, _, rule, mib_object in rules
        if len(rule.divisor) > 1 and name not in NOT_FIRST
        if isinstance(found := meaning(mib_object), MeasuredObject)
        # Where a MIB names both, the device chooses between Celsius and Fahrenheit.
        if found.class_ == rule.class_ and "fahrenheit" not in mib_object.hint
        if found.is_stated or found.has_unit
        if not rule.described or rule.divisor[0] != found.divisor / found.multiplier
    }
    assert later == set()
