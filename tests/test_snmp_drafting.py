"""Drafts of profiles come from MIB files or facts, and from what a device has."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_agents import Recorded

from collectors.snmp import credential
from collectors.snmp.drafting.drafting_command import draft_from, explain_host
from collectors.snmp.drafting.mib_files import parse_mibs
from collectors.snmp.drafting.mib_objects import (
    FactsError,
    MibObject,
    with_kilovolt_amps,
)
from collectors.snmp.drafting.object_meaning import (
    MeasuredObject,
    meaning,
)
from collectors.snmp.drafting.unread_tables import find_unread
from collectors.snmp.profiles.label_severity import severity
from collectors.snmp.profiles.profile_loader import Profiles, load_files
from collectors.snmp.session.session import RetryPolicy

MIB = """
ACME-MIB DEFINITIONS ::= BEGIN
IMPORTS enterprises FROM RFC1155-SMI;
acme OBJECT IDENTIFIER ::= { enterprises 99999 }
acmeRack MODULE-IDENTITY
    LAST-UPDATED "202001010000Z"
    DESCRIPTION "The rack." -- a comment with ::= { acme 5 }
    ::= { acme 7 }
AcmeState ::= TEXTUAL-CONVENTION
    STATUS current
    DESCRIPTION "State."
    SYNTAX INTEGER { ok(1), failed(2), notPresent(3) }
acmeSerialNumber OBJECT-TYPE
    SYNTAX DisplayString
    ACCESS read-only STATUS mandatory
    DESCRIPTION "Serial number."
    ::= { acmeRack 1 }
acmeProbeTable OBJECT-TYPE
    SYNTAX SEQUENCE OF AcmeProbeEntry
    MAX-ACCESS not-accessible
    STATUS current
    DESCRIPTION "Probes."
    ::= { acmeRack 2 }
acmeProbeEntry OBJECT-TYPE
    SYNTAX AcmeProbeEntry
    MAX-ACCESS not-accessible
    STATUS current
    DESCRIPTION "A probe."
    INDEX { acmeProbeIndex }
    ::= { acmeProbeTable 1 }
acmeProbeName OBJECT-TYPE
    SYNTAX OCTET STRING (SIZE(0..32))
    MAX-ACCESS read-only STATUS current
    DESCRIPTION "Its name."
    ::= { acmeProbeEntry 2 }
acmeProbeTemperature OBJECT-TYPE
    SYNTAX Integer32
    UNITS "0.1 degrees Celsius"
    MAX-ACCESS read-only STATUS current
    DESCRIPTION "Its temperature."
    ::= { acmeProbeEntry 3 }
acmeProbeState OBJECT-TYPE
    SYNTAX AcmeState
    MAX-ACCESS read-only STATUS current
    DESCRIPTION "Its state."
    ::= { acmeProbeEntry 4 }
acmeProbeTemperatureHighThreshold OBJECT-TYPE
    SYNTAX Integer32
    UNITS "0.1 degrees Celsius"
    MAX-ACCESS read-write STATUS current
    DESCRIPTION "A setting."
    ::= { acmeProbeEntry 5 }
END
"""
RECORDING = """1.3.6.1.2.1.1.1.0|4|ACME rack 3
1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.99999.3
1.3.6.1.2.1.1.3.0|67|4200
1.3.6.1.4.1.99999.7.1.0|4|A100
1.3.6.1.4.1.99999.7.2.1.2.1|4|Front
1.3.6.1.4.1.99999.7.2.1.2.2|4|Back
1.3.6.1.4.1.99999.7.2.1.3.1|2|215
1.3.6.1.4.1.99999.7.2.1.3.2|2|342
1.3.6.1.4.1.99999.7.2.1.4.1|2|1
1.3.6.1.4.1.99999.7.2.1.4.2|2|2
1.3.6.1.4.1.99999.7.2.1.5.1|2|400
"""
PUBLIC = credential("test", {"community": "public"})
RETRY = RetryPolicy((1.0, 2.0))


@pytest.fixture
def mib(tmp_path: Path) -> Path:
    file = tmp_path / "ACME-MIB.txt"
    file.write_text(MIB)
    return file


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    file = tmp_path / "rack.snmprec"
    file.write_text(RECORDING)
    return file


def draft(source: Path, mibs: Path) -> str:
    lines: list[str] = []
    assert draft_from(str(source), PUBLIC, RETRY, [mibs], lines.append) == 0
    return "\n".join(lines)


async def test_a_draft_reads_the_device_that_it_was_made_of(
    tmp_path: Path, mib: Path, recording: Path
) -> None:
    from collectors.snmp.polling.device_facts import poll_once

    profile = tmp_path / "acme.yaml"
    profile.write_text(draft(recording, mib))
    profiles = load_files([profile])
    profiles.check()
    async with Recorded(recording) as device:
        facts = await poll_once(
            "127.0.0.1", device.port_number, PUBLIC, profiles=profiles
        )
    assert facts.identity is not None
    assert facts.identity.serial == "A100"
    assert [
        (s.class_, s.descr, s.value, s.state, s.severity) for s in facts.sensors
    ] == [
        ("temperature", "Front", 21.5, None, None),
        ("temperature", "Back", 34.2, None, None),
        ("state", "Front", 1.0, "ok", "ok"),
        ("state", "Back", 2.0, "failed", "critical"),
    ]


def test_facts_and_mib_files_give_the_same_draft(
    tmp_path: Path, mib: Path, recording: Path
) -> None:
    folder = tmp_path / "facts"
    folder.mkdir()
    lines = [
        "\t".join(getattr(each, field) for field in MibObject.__struct_fields__)
        for each in parse_mibs([MIB]).values()
    ]
    text = "oid\tname\tmodule\tkind\tsyntax\tunits\thint\tindex\n" + "\n".join(lines)
    with gzip.open(folder / "objects.tsv.gz", "wt", encoding="utf-8") as file:
        file.write(text)
    assert draft(recording, folder) == draft(recording, mib)


def test_the_output_of_snmpwalk_is_a_recording(tmp_path: Path, mib: Path) -> None:
    walk = tmp_path / "walk.txt"
    walk.write_text(
        ".1.3.6.1.2.1.1.2.0 = OID: .1.3.6.1.4.1.99999.3\n"
        '.1.3.6.1.4.1.99999.7.2.1.2.1 = STRING: "Front"\n'
        ".1.3.6.1.4.1.99999.7.2.1.3.1 = INTEGER: 215\n"
        ".1.3.6.1.4.1.99999.7.2.1.4.1 = INTEGER: ok(1)\n"
    )
    text = draft(walk, mib)
    assert "object_id: 1.3.6.1.4.1.99999.3" in text
    assert "class: temperature, of: temperature, divisor: 10" in text
    assert "class: state, of: state" in text


def test_a_draft_without_a_reading_says_why(tmp_path: Path, mib: Path) -> None:
    walk = tmp_path / "walk.txt"
    walk.write_text(
        '.1.3.6.1.4.1.99999.7.2.1.2.1 = STRING: "Front"\n'
        ".1.3.6.1.4.1.99999.7.2.1.3.1 = INTEGER: 2000000\n"
        ".1.3.6.1.4.1.99999.7.2.1.5.1 = INTEGER: 400\n"
    )
    text = draft(walk, mib)
    assert "tables:" not in text
    assert "The MIBs name 3 objects that the device has" in text
    assert "texts, addresses or times (1): acmeProbeName" in text
    assert (
        "# - values that fit no likely scale of what they measure (1): "
        "acmeProbeTemperature"
    ) in text
    assert "(1): acmeProbeTemperatureHighThreshold" in text


@pytest.mark.parametrize("file", ["missing", "README.txt"])
def test_mibs_that_do_not_help_are_one_sentence(
    tmp_path: Path, recording: Path, file: str
) -> None:
    (tmp_path / "README.txt").write_text("no MIB")
    with pytest.raises(FactsError, match=r"no such file|name nothing"):
        draft(recording, tmp_path / file)


@pytest.mark.parametrize(
    ("scale", "multiplier"), [("scale=0.01", 10.0), ("scale=0.1", 1.0)]
)
def test_a_fraction_as_of_kilowatts_is_of_kilovolt_amps(
    scale: str, multiplier: float
) -> None:
    active = MibObject(
        "1.3.1.1", "aPower", "", "column", "INTEGER", "", "scale=0.01 unit=kilowatt"
    )
    apparent = MibObject(
        "1.3.1.2", "aVa", "", "column", "INTEGER", "", f"{scale} unit=volt-amp"
    )
    objects = with_kilovolt_amps({each.oid: each for each in (active, apparent)})
    found = meaning(objects[apparent.oid])
    assert isinstance(found, MeasuredObject)
    assert (found.class_, found.multiplier) == ("power", multiplier)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("ok", "ok"),
        ("notOk", "critical"),
        ("noAlarm", "ok"),
        ("lowWarning", "warning"),
        ("notPresent", "unknown"),
        ("powerSupplyFailure", "critical"),
        ("outOfRange", "warning"),
        ("42", "unknown"),
        ("activeAlarms", "critical"),
        ("noAlarms", "ok"),
        ("alarmCleared", "ok"),
        ("nonCriticalUpper", "warning"),
        ("downNonRecoverableErr", "critical"),
        ("upsOnBattery", "warning"),
        ("okWithErrors", "critical"),
    ],
)
def test_a_label_has_a_severity(label: str, expected: str) -> None:
    assert severity(label) == expected


@given(st.text() | st.lists(st.sampled_from(MIB.split())).map(" ".join))
def test_no_text_stops_the_reading_of_mibs(text: str) -> None:
    parse_mibs([text])


async def test_an_explanation_names_what_fits_what_does_not_and_what_is_unread(
    tmp_path: Path, mib: Path, recording: Path
) -> None:
    files = {
        "serial": "match: [{object_id: 1.3.6.1.4.1.99999}]\n---\n"
        "identity: {serial: {oid: 1.3.6.1.4.1.99999.7.1.0}}\n",
        "other": "match: [{object_id: 1.3.6.1.4.1.99999, descr: cabinet}]\n",
        "stranger": "match: [{object_id: 1.3.6.1.4.1.9}]\n",
    }
    paths = []
    for name, text in files.items():
        paths.append(tmp_path / f"{name}.yaml")
        paths[-1].write_text(text)
    text = await explain(recording, load_files(paths), mib)
    assert "serial: 0 readings" in text
    assert "other: sysDescr has none of 'cabinet'" in text
    assert "stranger" not in text
    assert "1.3.6.1.4.1.99999.7.2.1 ACME-MIB::acmeProbeTable: 7 values" in text
    assert "99999.7.1" not in text.split("no profile reads")[1]


async def explain(recording: Path, profiles: Profiles, mib: Path) -> str:
    import asyncio

    lines: list[str] = []
    async with Recorded(recording) as device:
        code = await asyncio.to_thread(
            explain_host,
            f"127.0.0.1:{device.port_number}",
            PUBLIC,
            RETRY,
            profiles,
            [mib],
            lines.append,
        )
    assert code == 0
    return "\n".join(lines)


def test_a_tree_without_names_is_grouped(tmp_path: Path) -> None:
    values = {
        f"1.3.6.1.4.1.99999.{a}.1.{c}.{r}": 1
        for a in (1, 2)
        for c in (1, 2)
        for r in range(1, 40)
    }
    unread = find_unread(values, {"1.3.6.1.4.1.99999.1.1.1"}, {})
    assert sum(each.values for each in unread) == 3 * 39
    assert {each.oid for each in unread} == {
        "1.3.6.1.4.1.99999.1.1.2",
        "1.3.6.1.4.1.99999.2.1.1",
        "1.3.6.1.4.1.99999.2.1.2",
    }
