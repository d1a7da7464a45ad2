"""The tables of all models of a maker cost a device only what it has of them."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from recorded_agents import Recorded

from collectors.snmp import credential
from collectors.snmp.polling.device_facts import DeviceFacts, poll_once
from collectors.snmp.profiles.empty_ranges import EmptyRanges
from collectors.snmp.profiles.profile_loader import load_files, shipped_files
from collectors.snmp.session.oids import parts, under

ROOT = "1.3.6.1.4.1.99999"
SYSTEM = (
    "1.3.6.1.2.1.1.1.0|4|A model\n"
    f"1.3.6.1.2.1.1.2.0|6|{ROOT}.1\n"
    "1.3.6.1.2.1.1.3.0|67|4200\n"
)
HEAD = f"root: {ROOT}\nmatch: [{{object_id: {ROOT}}}]\n---\ntables:\n"
TABLE = """
  heat_{n}:
    base: {root}.{n}.1
    columns: {{heat: 2, volts: 3}}
    sensors:
      - {{class: temperature, of: heat, descr: "Heat {n} {{index}}"}}
      - {{class: voltage, of: volts, descr: "Volts {n} {{index}}"}}
"""


async def poll(folder: Path, tables: int, *rows: str, head: str = HEAD) -> DeviceFacts:
    """Poll a device with so many tables in the profile of its maker."""
    profile, recording = folder / "maker.yaml", folder / "device.snmprec"
    numbers = range(10, 10 + tables)
    profile.write_text(head + "".join(TABLE.format(n=n, root=ROOT) for n in numbers))
    recording.write_text(SYSTEM + "".join(rows))
    async with Recorded(recording) as device:
        return await poll_once(
            "127.0.0.1",
            device.port_number,
            credential("test", {"community": "public"}),
            profiles=load_files([profile]),
        )


async def test_tables_that_a_device_lacks_cost_no_requests(tmp_path: Path) -> None:
    rows = (f"{ROOT}.15.1.2.1|2|21\n", f"{ROOT}.80.1.3.1|2|12\n")
    few = await poll(tmp_path, 71, *rows)
    many = await poll(tmp_path, 300, *rows)
    for facts in (few, many):
        assert [s.descr for s in facts.sensors] == ["Heat 15 1", "Volts 80 1"]
    assert many.packets - few.packets <= 1
    assert many.packets < 40


async def test_columns_that_a_device_lacks_cost_no_requests(tmp_path: Path) -> None:
    rows = [f"{ROOT}.1.1.{n}.1|2|21\n" for n in (2, 90, 150)]
    packets = []
    for count in (150, 600):
        columns = "".join(f"      c{n}: {n}\n" for n in range(1, count + 1))
        items = "".join(
            f"      - {{class: temperature, of: c{n}, descr: C{n}}}\n"
            for n in range(1, count + 1)
        )
        profile, recording = tmp_path / "wide.yaml", tmp_path / "wide.snmprec"
        profile.write_text(
            f"{HEAD}  wide:\n    base: {ROOT}.1.1\n    columns:\n{columns}"
            f"    sensors:\n{items}"
        )
        recording.write_text(SYSTEM + "".join(rows))
        async with Recorded(recording) as device:
            facts = await poll_once(
                "127.0.0.1",
                device.port_number,
                credential("test", {"community": "public"}),
                profiles=load_files([profile]),
            )
        assert [s.descr for s in facts.sensors] == ["C2", "C90", "C150"]
        packets.append(facts.packets)
    few, many = packets
    assert many - few <= 2
    assert many < 40


async def test_an_impossible_value_of_a_drafted_table_is_no_finding(
    tmp_path: Path,
) -> None:
    row = f"{ROOT}.10.1.2.1|2|-999\n"
    assert (await poll(tmp_path, 1, row)).findings != {}
    head = f"drafted: true\n{HEAD}"
    facts = await poll(tmp_path, 1, row, head=head)
    assert (facts.findings, facts.sensors) == ({}, [])


oids_below = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(
    lambda arcs: ".".join(map(str, [1, 3, *arcs]))
)


@given(st.sets(oids_below, max_size=12), st.lists(oids_below, max_size=12))
def test_nothing_that_a_device_has_lies_in_an_empty_range(
    held: set[str], asked: list[str]
) -> None:
    ranges = EmptyRanges()
    for base in asked:
        after = sorted((oid for oid in held if parts(oid) > parts(base)), key=parts)
        ranges.add(base, after[0] if after else "")
        has_some = any(under(oid, base) for oid in held)
        assert not (has_some and ranges.covers(base))
        # The answer to one request is known without another.
        assert ranges.holds(base) is has_some
    for oid in held | set(asked):
        has_some = any(under(other, oid) for other in held)
        assert ranges.holds(oid) in (None, has_some)
    for oid in held:
        assert not ranges.covers(oid.rpartition(".")[0]) or "." not in oid[4:]


def test_an_answer_that_goes_back_shows_nothing() -> None:
    ranges = EmptyRanges()
    ranges.add("1.3.5", "1.3.2")
    assert not ranges.covers("1.3.6")


def test_no_two_shipped_profiles_have_one_name() -> None:
    names = [file.stem for file in shipped_files()]
    assert len(names) == len(set(names))
