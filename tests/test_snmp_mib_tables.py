"""Tables that were drafted from MIBs alone: for whichever device has them, and behind
what is known of a device."""

from __future__ import annotations

from pathlib import Path

import mib_tables
import pytest
from recorded_agents import Recorded
from test_snmp_drafting import PUBLIC

from collectors.snmp.drafting.mib_objects import MibObject
from collectors.snmp.drafting.profile_draft import DraftHead, draft_profile
from collectors.snmp.polling.device_facts import DeviceFacts, poll_once
from collectors.snmp.profiles.label_severity import severity
from collectors.snmp.profiles.profile_loader import load, load_files
from collectors.snmp.session.credentials import Credential

MAKER = "1.3.6.1.4.1.99999"
SENSORS = f"{MAKER}.7.2.1"
# A device that does not name the maker by its sysObjectID.
SYSTEM = "1.3.6.1.2.1.1.1.0|4|Box\n1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.99998.1\n"
# Makers whose drafts are compared with the facts.
SEVERAL = (2606, 3854, 4555, 13742, 20916)


def column(number: int, name: str, syntax: str, **more: str) -> MibObject:
    return MibObject(f"{SENSORS}.{number}", name, "ACME", "column", syntax, **more)


def drafted(columns: list[MibObject]) -> str:
    head = DraftHead("", MAKER)
    text = draft_profile(head, {each.oid: each for each in columns})
    return text.replace("match:", f"drafted: true\nroot: {MAKER}\nmatch:", 1)


async def read(
    folder: Path, recording: str, *profiles: str, credential: Credential = PUBLIC
) -> DeviceFacts:
    files = []
    for number, profile in enumerate(profiles):
        files.append(folder / f"profile-{number}.yaml")
        files[-1].write_text(profile)
    device_file = folder / "device.snmprec"
    device_file.write_text(recording)
    async with Recorded(device_file) as device:
        return await poll_once(
            "127.0.0.1", device.port_number, credential, profiles=load_files(files)
        )


def rows(place: int, tag: str, *values: object) -> str:
    cells = enumerate(values, 1)
    return "".join(f"{SENSORS}.{place}.{n}|{tag}|{v}\n" for n, v in cells)


def shown(facts: DeviceFacts) -> list[tuple[str, float | str | None, str | None]]:
    return [
        (s.class_, s.state if s.class_ == "state" else s.value, s.severity)
        for s in facts.sensors
    ]


async def test_the_tables_of_another_maker_are_read_too(tmp_path: Path) -> None:
    draft = drafted([column(3, "acmeTemperature", "Integer32", units="Celsius")])
    facts = await read(tmp_path, SYSTEM + rows(3, "2", 21), draft)
    assert shown(facts) == [("temperature", 21.0, None)]
    assert facts.identity is not None
    assert facts.identity.vendor is None


async def test_what_a_profile_knows_is_not_read_a_second_time(tmp_path: Path) -> None:
    draft = drafted(
        [
            column(3, "acmeTemperature", "Integer32", units="Celsius"),
            column(4, "acmeTemperatureFahrenheit", "Integer32", units="Fahrenheit"),
        ]
    )
    known = (
        "match: [{object_id: 1.3.6.1.4.1.99998}]\n---\n"
        f"tables: {{probes: {{base: {SENSORS}, columns: {{value: 3}}, "
        "sensors: [{class: temperature, descr: Probe}]}}\n"
    )
    device = SYSTEM + rows(3, "2", 21) + rows(4, "2", 70)
    facts = await read(tmp_path, device, known, draft)
    assert [(s.descr, s.value) for s in facts.sensors] == [("Probe", 21.0)]


KINDS = "INTEGER 1=temperature 2=humidity 3=voltage 4=contact"


@pytest.mark.parametrize(
    ("kind", "kinds"),
    [
        (column(2, "acmeSensorType", KINDS), (1, 2, 3, 4)),
        (column(2, "acmeSensorUnit", "OCTET STRING"), ("C", "%RH", "V", "")),
    ],
)
async def test_a_row_is_what_its_type_or_unit_says(
    tmp_path: Path, kind: MibObject, kinds: tuple[object, ...]
) -> None:
    draft = drafted([kind, column(3, "acmeSensorValue", "Integer32")])
    tag = "2" if kind.labels else "4"
    device = SYSTEM + rows(2, tag, *kinds) + rows(3, "2", 235, 480, 54, 1)
    facts = await read(tmp_path, device, draft)
    assert sorted(shown(facts)) == [
        ("humidity", 48.0, None),
        ("temperature", 23.5, None),
        ("voltage", 54.0, None),
    ]


async def test_a_state_in_words_has_their_severity(tmp_path: Path) -> None:
    draft = drafted([column(5, "acmeLinkStatus", "OCTET STRING:DisplayString")])
    texts = ("Connected", "not connected", "Fan failure", "17", "x" * 40)
    facts = await read(tmp_path, SYSTEM + rows(5, "4", *texts), draft)
    assert shown(facts) == [
        ("state", "Connected", "ok"),
        ("state", "not connected", "unknown"),
        ("state", "Fan failure", "critical"),
    ]


@pytest.mark.parametrize(
    ("hint", "raws", "values"),
    [
        # 62 could be 6.2, but the description says degrees and nothing of tenths.
        ("unit=celsius", (62, 71), [62.0, 71.0]),
        ("unit=celsius", (235, 218), [23.5, 21.8]),
        # Inside equipment it is seldom below ten degrees, so these are no tenths.
        ("", (62, 71), [62.0, 71.0]),
        # Tenths, says the description, and equipment is not as cold as 2.9 degrees.
        ("scale=0.1 unit=celsius", (29, 28), [29.0, 28.0]),
        ("scale=0.5 unit=celsius", (66, 78), [33.0, 39.0]),
        ("scale=0.1 unit=celsius", (290, 280), [29.0, 28.0]),
        # 255 is what eight bits can hold, and -9999 a code that several rows have.
        ("unit=celsius", (25, 255), [25.0]),
        ("unit=celsius", (2510, -27300, -27300, 2480), [25.1, 24.8]),
    ],
)
async def test_a_description_counts_if_the_values_do_not_contradict_it(
    tmp_path: Path, hint: str, raws: tuple[int, ...], values: list[float]
) -> None:
    draft = drafted([column(3, "acmeTemperature", "Integer32", hint=hint)])
    facts = await read(tmp_path, SYSTEM + rows(3, "2", *raws), draft)
    assert [s.value for s in facts.sensors] == values


@pytest.mark.parametrize(
    ("raws", "values"),
    [
        # Hundredths of degrees, but Fahrenheit: no room is as warm as that.
        ((8304,), []),
        ((2204,), [22.04]),
    ],
)
async def test_a_room_that_is_too_warm_may_be_in_fahrenheit(
    tmp_path: Path, raws: tuple[int, ...], values: list[float]
) -> None:
    draft = drafted([column(3, "acmeRoomTemperature", "Integer32", hint="scale=0.01")])
    facts = await read(tmp_path, SYSTEM + rows(3, "2", *raws), draft)
    assert [s.value for s in facts.sensors] == values


async def test_received_powers_that_are_never_negative_may_be_microwatts(
    tmp_path: Path,
) -> None:
    draft = drafted([column(3, "acmeSfpRxPower", "Integer32")])
    facts = await read(tmp_path, SYSTEM + rows(3, "2", 78, 252), draft)
    assert facts.sensors == []
    facts = await read(tmp_path, SYSTEM + rows(3, "2", -78, -852, -911), draft)
    assert [s.value for s in facts.sensors] == [-0.78, -8.52, -9.11]


async def test_microwatts_may_be_tenths_as_in_the_memory_of_optics(
    tmp_path: Path,
) -> None:
    draft = drafted([column(3, "acmeSfpTxPower", "Integer32", hint="unit=microwatt")])
    facts = await read(tmp_path, SYSTEM + rows(3, "2", 8097, 9594), draft)
    assert [round(s.value or 0, 2) for s in facts.sensors] == [-0.92, -0.18]
    facts = await read(tmp_path, SYSTEM + rows(3, "2", 578, 514), draft)
    assert [round(s.value or 0, 2) for s in facts.sensors] == [-2.38, -2.89]


async def test_one_negative_number_among_positive_ones_is_a_code(
    tmp_path: Path,
) -> None:
    column_of_volts = column(3, "acmeSfpVoltage", "Integer32", hint="unit=millivolt")
    device = SYSTEM + rows(3, "2", 3306, 3314, -1, -1, -1, -1, -1)
    facts = await read(tmp_path, device, drafted([column_of_volts]))
    assert [s.value for s in facts.sensors] == [3.306, 3.314]


async def test_a_row_is_what_its_index_says(tmp_path: Path) -> None:
    parts = {
        SENSORS[:-2]: MibObject(
            SENSORS[:-2], "acmeTable", "ACME", "table", index="acmeUnit,acmeSensorType"
        ),
        f"{MAKER}.1": MibObject(f"{MAKER}.1", "acmeUnit", "ACME", "column", "INTEGER"),
        f"{MAKER}.2": MibObject(
            f"{MAKER}.2", "acmeSensorType", "ACME", "column", KINDS
        ),
    }
    value = column(3, "acmeSensorValue", "Integer32")
    digits = column(4, "acmeSensorDecimalDigits", "Integer32")
    text = draft_profile(
        DraftHead("", MAKER), {**parts, value.oid: value, digits.oid: digits}
    )
    text = text.replace("match:", f"drafted: true\nroot: {MAKER}\nmatch:", 1)
    device = SYSTEM + "".join(
        f"{SENSORS}.{place}.1.{kind}|2|{number}\n"
        for place, numbers in ((3, (2352, 48, 541)), (4, (2, 0, 1)))
        for kind, number in enumerate(numbers, 1)
    )
    facts = await read(tmp_path, device, text)
    assert sorted(shown(facts)) == [
        ("humidity", 48.0, None),
        ("temperature", 23.52, None),
        ("voltage", 54.1, None),
    ]


async def test_a_row_is_what_its_name_says_unless_it_is_a_setting(
    tmp_path: Path,
) -> None:
    names = ("CPU temperature", "Fan 1", "Temperature alarm limit", "B50182")
    draft = drafted(
        [
            column(2, "acmeSensorName", "OCTET STRING:DisplayString"),
            column(3, "acmeSensorValue", "OCTET STRING:DisplayString"),
        ]
    )
    device = SYSTEM + rows(2, "4", *names) + rows(3, "4", "43.5", 6500, "95.5", 47)
    facts = await read(tmp_path, device, draft)
    assert [(s.descr, s.value) for s in facts.sensors] == [
        ("CPU temperature", 43.5),
        ("Fan 1", 6500.0),
    ]


def known(*columns: str) -> str:
    items = ", ".join(columns)
    return (
        "match: [{object_id: 1.3.6.1.4.1.99998}]\n---\n"
        "states: {health: {1: [fine, ok], 2: [broken, critical]}}\n"
        f"tables: {{probes: {{base: {SENSORS}, columns: {{value: 3, state: 5}}, "
        f"sensors: [{items}]}}}}\n"
    )


TEMPERATURE = "{class: temperature, of: value, descr: Probe}"
HEALTH = "{class: state, of: state, states: health, descr: Health}"


async def test_a_table_that_is_known_may_say_more(tmp_path: Path) -> None:
    draft = drafted(
        [
            column(4, "acmePower", "Integer32", units="W"),
            column(6, "acmeLoopStatus", "INTEGER 1=unknown 2=none"),
            column(7, "acmeTemperatureExact", "Integer32", units="0.1 Celsius"),
        ]
    )
    device = SYSTEM + rows(3, "2", 21, 22) + rows(4, "2", 80, 0)
    device += rows(6, "2", 1, 1) + rows(7, "2", 211, 219)
    facts = await read(tmp_path, device, known(TEMPERATURE), draft)
    assert [(s.class_, s.value) for s in facts.sensors] == [
        ("temperature", 21.0),
        ("temperature", 22.0),
        ("power", 80.0),
        ("power", 0.0),
    ]


async def test_a_state_that_contradicts_what_is_known_is_a_setting(
    tmp_path: Path,
) -> None:
    draft = drafted(
        [column(6, "acmeSirenStatus", "INTEGER 1=normal 3=highWarning 4=highCritical")]
    )
    device = SYSTEM + rows(5, "2", 1, 1) + rows(6, "2", 4, 1)
    facts = await read(tmp_path, device, known(HEALTH), draft)
    assert [s.state for s in facts.sensors] == ["fine", "fine"]
    device = SYSTEM + rows(5, "2", 2, 1) + rows(6, "2", 4, 1)
    facts = await read(tmp_path, device, known(HEALTH), draft)
    assert [s.state for s in facts.sensors] == [
        "broken",
        "fine",
        "highCritical",
        "normal",
    ]


async def test_a_probe_may_be_anywhere(tmp_path: Path) -> None:
    draft = drafted([column(3, "acmeProbeTemperature", "Integer32")])
    facts = await read(tmp_path, SYSTEM + rows(3, "2", 62, 71), draft)
    assert facts.sensors == []


async def test_a_text_with_its_unit_says_what_it_is(tmp_path: Path) -> None:
    profile = drafted(
        [
            column(1, "aSensorName", "OCTET STRING"),
            column(2, "aSensorValueStr", "OCTET STRING:DisplayString"),
        ]
    )
    names = "Rack", "Room", "Feed", "Load", "Meter", "Fan", "Limit", "Door", "Setpoint"
    texts = "22.5 C", "41 %RH", "229.2V", "-4,5 A", "999.1 kWh", "3000 rpm"
    recorded = rows(1, "4", *names) + rows(2, "4", *texts, "7", "closed", "30 C")
    facts = await read(tmp_path, SYSTEM + recorded, profile)
    assert [(s.class_, s.descr, s.value) for s in facts.sensors] == [
        ("temperature", "Rack", 22.5),
        ("humidity", "Room", 41),
        ("voltage", "Feed", 229.2),
        ("current", "Load", -4.5),
        ("power_consumed", "Meter", 999.1),
        ("fanspeed", "Fan", 3000),
    ]


def test_words_of_states_have_a_severity() -> None:
    assert severity("up-to-date") == "ok"
    assert severity("Not Registered") == "unknown"
    assert severity("red") == "critical"


def test_a_draft_is_for_a_makers_tree_and_names_no_vendor() -> None:
    drafts = [profile for profile in load() if profile.head.drafted]
    assert len(drafts) > 400
    assert all(profile.head.vendor is None for profile in drafts)
    for profile in drafts:
        assert [each.object_id for each in profile.head.match] == [(profile.head.root,)]


@pytest.mark.corpus
def test_the_drafts_are_those_of_the_facts() -> None:
    if not mib_tables.FACTS.exists():
        pytest.skip("no MIB facts beside this checkout")
    drafts = mib_tables.draft_makers(mib_tables.FACTS, SEVERAL)
    assert len(drafts) == len(SEVERAL)
    for name, draft in drafts.items():
        assert (mib_tables.FOLDER / name).read_text() == draft, name


def test_a_type_beside_a_class_says_what_a_row_is() -> None:
    draft = drafted(
        [
            column(5, "elementClass", "OCTET STRING:DisplayString"),
            column(6, "elementType", "OCTET STRING:DisplayString"),
            column(9, "elementValue", "OCTET STRING:DisplayString"),
        ]
    )
    assert "type: 6" in draft
    assert "class: 5" not in draft


def test_the_table_of_settings_says_what_a_row_is() -> None:
    kinds = "INTEGER 10=temperature 11=humidity"
    index = {"index": "pduId, sensorId"}
    objects = [
        MibObject(f"{MAKER}.3", "aConfigTable", "ACME", "table", **index),
        MibObject(f"{MAKER}.3.1.2", "extSensorType", "ACME", "column", kinds),
        MibObject(
            f"{MAKER}.3.1.7", "extSensorDecimalDigits", "ACME", "column", "Gauge32"
        ),
        MibObject(f"{MAKER}.3.1.8", "otherType", "ACME", "column", "INTEGER 1=a 2=b"),
        MibObject(f"{MAKER}.5", "aReadingTable", "ACME", "table", **index),
        MibObject(
            f"{MAKER}.5.1.4", "readExtSensorValue", "ACME", "column", "Integer32"
        ),
    ]
    draft = drafted(objects)
    assert f"type: {MAKER}.3.1.2" in draft
    assert (
        "{class: humidity, of: value, function: decimal_digits, when: {type: [11]}"
        in draft
    )


async def test_a_number_without_an_enumeration_is_a_state_of_unknown_severity(
    tmp_path: Path,
) -> None:
    draft = drafted(
        [
            column(3, "acmeFanStatus", "Integer32"),
            column(4, "acmeFanOverload", "Integer32"),
        ]
    )
    # 4711 is no number of a state, and 60 no fault that is there or not.
    values = rows(3, "2", 3, 4711) + rows(4, "2", 0, 1, 60)
    facts = await read(tmp_path, SYSTEM + values, draft)
    assert shown(facts) == [
        ("state", "3", "unknown"),
        ("state", "no", "ok"),
        ("state", "1", "unknown"),
    ]
