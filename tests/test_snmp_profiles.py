"""Every profile has a recording, and every recording a profile."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import recordings
from shipped_states import shipped_states

from collectors.snmp.polling.power_source import on_battery
from collectors.snmp.profiles.apply import find_rows, to_readings
from collectors.snmp.profiles.profile_loader import ProfileError, load, load_files
from collectors.snmp.profiles.readings import Sensor

HEAD = "vendor: acme\nmatch: [{object_id: 1.3.6.1.4.1.99999}]\n---\n"


@pytest.mark.parametrize("file", recordings.FILES, ids=lambda file: file.stem)
async def test_a_recording_is_read_as_its_json_file_states(file: Path) -> None:
    facts = await recordings.polled(file)
    assert facts.ok, facts.detail
    wanted = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    assert recordings.shown(facts) == wanted
    assert facts.profiles, "no profile claims this recording"


def test_every_profile_has_a_recording() -> None:
    claimed = {
        name
        for file in recordings.FILES
        for name in json.loads(file.with_suffix(".json").read_text())["profiles"]
    }
    known = {profile.name for profile in load() if not profile.head.drafted}
    assert known <= claimed


TROUBLE = re.compile(
    r"\b(alarm|fault|failure|fail|overload|leak|smoke)\b", re.IGNORECASE
)


def test_no_alarm_that_is_on_is_called_well() -> None:
    called_well = {
        (file, descr)
        for file, descr, meaning, severity in shipped_states()
        if TROUBLE.search(descr)
        and meaning.casefold() in ("on", "active", "alarm", "raised", "set", "true")
        and severity == "ok"
    }
    assert called_well == set()


# Batteries of servers, and UPSs that a console server watches for others.
NOT_OF_A_UPS = (
    "fujitsu-server.yaml",
    "fujitsu-231-mib.yaml",
    "opengear.yaml",
    "opengear-mib.yaml",
)


def test_no_state_of_a_profile_that_means_battery_is_missed() -> None:
    looked = 0
    for file, descr, meaning, _ in shipped_states():
        if file in NOT_OF_A_UPS:
            continue
        words = meaning.casefold().replace(" ", "")
        if words in ("battery", "onbattery", "batterydischarging", "discharging"):
            looked += 1
            shown = Sensor(
                "state", descr, "1.3", "0", state=meaning, severity="critical"
            )
            assert on_battery(shown) == 1, (file, descr)
    assert looked >= 8


def test_every_shipped_profile_is_valid() -> None:
    load().check()


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("vendor: acme\n", 1, "match"),
        ("match: [{object_id: 1.3.6.1.4.1.9, descr: '('}]\n", 1, "regular expression"),
        ("match: [{}]\n", 1, "object_id, descr or holds"),
        ("match: any\nmatsch: 1\n", 2, "did you mean 'match'"),
        ("match: [\n", 2, "is not valid YAML"),
    ],
)
def test_a_wrong_head_is_refused_with_file_line_and_reason(
    tmp_path: Path, text: str, line: int, reason: str
) -> None:
    file = tmp_path / "acme.yaml"
    file.write_text(text)
    with pytest.raises(ProfileError) as refused:
        load_files([file])
    (finding,) = refused.value.findings
    assert finding.startswith(f"{file}:{line}: ")
    assert reason in finding


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("columns: {value: 1}\n    sensors: [{clas: state}]", "class"),
        ("columns: {value: 4.1}", "in quotes"),
        ("columns: {value: 1}\n    sensors: [{class: heat}]", "temperature"),
        ("columns: {value: 1}\n    sensors: [{class: load, of: valeu}]", "'value'"),
        ("columns: {value: 1}\n    sensors: [{class: load, descr: '{nam}'}]", "'nam'"),
        ("columns: {value: 1}\n    sensors: [{class: state, states: on}]", "states"),
        ("columns: {value: {oid: 1.3.6.1.2, index: x}}", "slice"),
        ("columns: {value: {oid: 1.3.6.1.2, by: at}, at: 2}", "'at' above"),
        ("columns: {value: 1}\n    unless: b", "no table 'b' above"),
        ("columns: {value: 1}\n    least: {b: 2}", "no table 'b' above"),
        (
            "columns: {value: 1}\n"
            "    sensors: [{class: load, limits: {function: cisco}}]",
            "no function 'cisco'",
        ),
        (
            "columns: {value: 1}\n    sensors: [{class: load, function: flaot32}]",
            "did you mean 'float32'",
        ),
    ],
)
def test_a_wrong_table_is_refused_with_file_line_and_reason(
    tmp_path: Path, table: str, reason: str
) -> None:
    file = tmp_path / "acme.yaml"
    file.write_text(
        f"{HEAD}tables:\n  a:\n    base: 1.3.6.1.4.1.99999.1\n    {table}\n"
    )
    with pytest.raises(ProfileError) as refused:
        load_files([file]).check()
    finding = refused.value.findings[0]
    place, _, sentence = finding.partition(": ")
    assert place.startswith(f"{file}:")
    assert 3 <= int(place.rpartition(":")[2]) <= 9
    assert reason in sentence


def test_the_more_specific_profile_comes_first() -> None:
    """If two profiles read one instance, the first profile's reading counts."""
    broad, narrow = load_texts(
        {
            "broad": TEMPERATURE.format("broad"),
            "narrow": TEMPERATURE.format("narrow"),
        }
    )
    columns = {"1.3.6.1.4.1.99999.1.1": {"7": 250}}
    for order in ((broad, narrow), (narrow, broad)):
        (row,) = find_rows(order, columns)
        (sensor,) = to_readings([row])["sensors"]
        assert sensor.descr == f"{order[0].name} 7"
        assert sensor.value == 25.0


def test_fresh_values_give_fresh_readings_and_missing_ones_none() -> None:
    (profile,) = load_texts({"one": TEMPERATURE.format("one")})
    (rows,) = find_rows([profile], {"1.3.6.1.4.1.99999.1.1": {"7": 250}})
    (instance,) = rows.live.values()
    assert instance == "1.3.6.1.4.1.99999.1.1.7"
    assert to_readings([rows], {instance: 301})["sensors"][0].value == 30.1
    assert to_readings([rows], {})["sensors"] == []
    assert to_readings([rows], {instance: -1})["sensors"] == []


LIGHT = """
tables:
  light:
    base: 1.3.6.1.4.1.99999.3
    columns: {value: 1, low: 2, high: 3}
    sensors:
      - class: dbm
        milliwatts: true
        divisor: 1000
        descr: "Light {index}"
        limits: {low: low, high: high, divisor: 10000, milliwatts: true, skip: 0}
"""


def test_optical_power_in_milliwatts_is_shown_in_dbm_and_so_are_its_limits() -> None:
    (profile,) = load_texts({"light": LIGHT})
    columns = {
        "1.3.6.1.4.1.99999.3.1": {"1": 500, "2": 0},
        "1.3.6.1.4.1.99999.3.2": {"1": 1000},
        "1.3.6.1.4.1.99999.3.3": {"1": 0},
    }
    (sensor,) = to_readings(find_rows([profile], columns))["sensors"]
    assert (sensor.value, sensor.low, sensor.high) == (-3.01, -10.0, None)


RADIOS = """
tables:
  vap:
    base: 1.3.6.1.4.1.99999.2
    columns: {ssid: 1, radio: 2, clients: 3, load: 4}
    processors: [{of: load, find: '60 s: ([0-9.]+)', descr: CPU}]
    wireless:
      - &all {class: clients, of: clients, aggregate: sum, descr: Clients}
      - {<<: *all, group: radio, descr: "Clients {radio}"}
      - {class: ap-count, of: radio, aggregate: count, descr: Radios, skip: ng}
"""


def test_wireless_readings_of_a_table_are_added_up_in_total_and_by_group() -> None:
    (profile,) = load_texts({"radios": RADIOS})
    base = "1.3.6.1.4.1.99999.2"
    columns = {
        f"{base}.2": {"1": b"ng", "2": b"na", "3": b"na"},
        f"{base}.3": {"1": 4, "2": 5, "3": 6},
    }
    rows = find_rows([profile], columns)
    values = [(e.descr, e.value) for e in to_readings(rows)["wireless"]]
    assert values == [
        ("Clients", 15.0),
        ("Clients ng", 4.0),
        ("Clients na", 11.0),
        ("Radios", 2.0),
    ]
    fresh = {f"{base}.2.{n}": b"na" for n in (2, 3)}
    fresh |= {f"{base}.3.1": 1, f"{base}.3.3": 7}
    values = [(e.descr, e.value) for e in to_readings(rows, fresh)["wireless"]]
    assert values[:3] == [("Clients", 8.0), ("Clients ng", 1.0), ("Clients na", 7.0)]


def test_a_pattern_of_the_profile_finds_a_number_in_a_text() -> None:
    (profile,) = load_texts({"radios": RADIOS})
    columns = {"1.3.6.1.4.1.99999.2.4": {"0": b"5 s: 90.5, 60 s: 42.25"}}
    (processor,) = to_readings(find_rows([profile], columns))["processors"]
    assert processor.usage_pct == 42.25


def test_a_pool_of_one_name_in_two_mibs_is_one_pool() -> None:
    pool = MEMORY.format("1")
    both = load_texts({"one": pool, "two": MEMORY.format("2")})
    columns = {
        f"1.3.6.1.4.1.99999.{table}.{column}": {"0": value}
        for table in (1, 2)
        for column, value in ((1, 80), (2, 100), (3, 30))
    }
    (pool,) = to_readings(find_rows(both, columns))["memory"]
    assert (pool.used_pct, pool.used_bytes, pool.total_bytes) == (50.0, 51200, 102400)


MEMORY = """
tables:
  memory:
    base: 1.3.6.1.4.1.99999.{}
    scalar: true
    columns: {{used: 1, size: 2, cached: 3}}
    memory:
      - descr: Memory
        used: used
        total: size
        unit_bytes: 1024
        reclaimable: cached
"""


def test_of_two_tables_with_the_same_sensor_the_newer_counts() -> None:
    (profile,) = load_texts({"one": TWO_TABLES})
    new, old = "1.3.6.1.4.1.99999.1.1", "1.3.6.1.4.1.99999.2.1"
    assert descrs(profile, {new: {"1": 30}, old: {"1": 29}}) == ["new 1"]
    assert descrs(profile, {old: {"1": 29}}) == ["old 1"]


def test_a_sensor_with_one_index_and_name_in_two_mibs_is_shown_once() -> None:
    same = TWO_TABLES.replace('"new {index}"', "Inlet").replace(
        '"old {index}"', "Inlet, once: true"
    )
    (profile,) = load_texts({"one": same.replace("    unless: new\n", "")})
    new, old = "1.3.6.1.4.1.99999.1.1", "1.3.6.1.4.1.99999.2.1"
    rows = find_rows([profile], {new: {"1": 30}, old: {"1": 30, "2": 31}})
    assert [row.oid for row in rows] == [f"{new}.1", f"{old}.2"]


def test_a_table_that_needs_rows_of_another_is_read_only_with_them() -> None:
    (profile,) = load_texts({"one": TWO_TABLES})
    new, ring = "1.3.6.1.4.1.99999.1.1", "1.3.6.1.4.1.99999.3.1"
    alone = {new: {"1": 30}, ring: {"1": 20}}
    assert descrs(profile, alone) == ["new 1"]
    two = {new: {"1": 30, "2": 31}, ring: {"1": 20}}
    assert descrs(profile, two) == ["new 1", "new 2", "ring 1"]


def descrs(profile, columns) -> list[str]:  # type: ignore[no-untyped-def]
    return [row.descr for row in find_rows([profile], columns)]


def test_a_vendors_mib_under_each_model_is_written_once(tmp_path: Path) -> None:
    """OWN is the first arcs of the sysObjectID; every model has its own columns."""
    file = tmp_path / "acme.yaml"
    file.write_text(
        "own_arcs: 8\nmatch: [{object_id: 1.3.6.1.4.1.99999}]\n---\n"
        "tables: {a: {base: OWN.1, columns: {value: 3}, sensors: [{class: load}]}}\n"
    )
    (profile,) = load_files([file])
    table = profile.for_model("1.3.6.1.4.1.99999.5.101").body.tables["a"]
    assert table.oid("value") == "1.3.6.1.4.1.99999.5.1.3"
    other = profile.for_model("1.3.6.1.4.1.99999.6.2").body.tables["a"]
    assert other.oid("value") == "1.3.6.1.4.1.99999.6.1.3"


TWO_TABLES = """
tables:
  new:
    base: 1.3.6.1.4.1.99999.1
    columns: {value: 1}
    sensors: [{class: temperature, descr: "new {index}"}]
  old:
    base: 1.3.6.1.4.1.99999.2
    unless: new
    columns: {value: 1}
    sensors: [{class: temperature, descr: "old {index}"}]
  ring:
    base: 1.3.6.1.4.1.99999.3
    least: {new: 2}
    columns: {value: 1}
    sensors: [{class: temperature, descr: "ring {index}"}]
"""
TEMPERATURE = """
tables:
  heat:
    base: 1.3.6.1.4.1.99999.1
    columns: {{value: 1}}
    sensors:
      - {{class: temperature, divisor: 10, descr: "{} {{index}}", skip: -1}}
"""


def load_texts(texts: dict[str, str]) -> list:  # type: ignore[type-arg]
    import tempfile

    folder = Path(tempfile.mkdtemp())
    files = []
    for name, text in texts.items():
        file = folder / f"{name}.yaml"
        file.write_text(HEAD + text)
        files.append(file)
    return list(load_files(files))
