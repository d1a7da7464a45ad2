"""Lists of devices from Intune and Graph, compared with the laptops that enrolled."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.ingest.device_lists import (
    DeviceListRefused,
    ListedDevice,
    compare_devices,
    read_device_file,
    read_device_list,
)
from collectors.ingest.registry_records import EnrolledAgent
from probes.wire.machine_number import known_number, machine_digest

# The columns of an export that matter here, and a few that do not.
HEADINGS = ("Device ID", "Device name", "OS", "Last check-in", "Serial number", "Model")
ROWS = (
    ("1", "LAP-0001", "Windows", "2026-11-28", "PF3ABCDE", "ThinkPad"),
    ("2", "Büro, Süd", "macOS", "", "C02ABCDEFGH1", "MacBook"),
    ("3", "Zoë's phone", "iOS", "", "F2LABCDEFGHI", "iPhone"),
    ("4", "PC-9", "Windows", "", "Default string", "Noname"),
)


def exported(delimiter: str = ",", quoting: int = csv.QUOTE_MINIMAL) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([HEADINGS, *ROWS])
    return text.getvalue()


def enrolled(agent: str, serial: str, replaced_ms: int = 0) -> EnrolledAgent:
    machine = machine_digest(serial)
    return EnrolledAgent(
        agent, "hall", 1, 1, 0, machine=machine, replaced_ms=replaced_ms
    )


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_an_export_of_intune_is_read_however_it_was_saved(
    delimiter: str, encoding: str, quoting: int
) -> None:
    devices = read_device_list(exported(delimiter, quoting).encode(encoding))
    assert devices[1] == ListedDevice("C02ABCDEFGH1", "Büro, Süd", "macOS", "")
    assert devices[0].seen == "2026-11-28"
    assert len(devices) == 4


@pytest.mark.parametrize("wrapped", [True, False])
def test_what_graph_answers_is_read(wrapped: bool) -> None:
    managed = [
        {"serialNumber": "PF3ABCDE", "deviceName": "LAP-1", "operatingSystem": "macOS"},
        {"displayName": "LAP-2", "operatingSystem": "Windows", "deviceId": "x"},
    ]
    answer = {"@odata.context": "…", "value": managed} if wrapped else managed
    assert read_device_list(json.dumps(answer).encode("utf-8-sig")) == [
        ListedDevice("PF3ABCDE", "LAP-1", "macOS", ""),
        ListedDevice("", "LAP-2", "Windows", ""),
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "none of its columns"),
        (b"a,b\n1,2\n", r"none of its columns \(a, b\)"),
        (b"{", "it is not JSON"),
        (b'{"error": "denied"}', "expected a list of devices"),
        (b"[1]", "expected devices, found 1"),
        (b'{"value": [], "@odata.nextLink": "https://x"}', "one page of several"),
    ],
)
def test_a_file_that_is_no_list_is_one_sentence(content: bytes, says: str) -> None:
    with pytest.raises(DeviceListRefused, match=says) as refused:
        read_device_list(content)
    assert "\n" not in str(refused.value)


@given(st.binary(max_size=200))
def test_any_file_is_read_or_refused(content: bytes) -> None:
    try:
        devices = read_device_list(content)
    except DeviceListRefused:
        return
    compare_devices(devices, [], machine_digest)


def test_a_list_is_compared_by_serial_number() -> None:
    agents = [
        enrolled("a", "pf3abcde"),
        enrolled("old", "PF3ABCDE", replaced_ms=5),
        enrolled("b", "UNLISTED1"),
        enrolled("c", ""),
    ]
    found = compare_devices(
        read_device_list(exported().encode()), agents, machine_digest
    )
    assert [agent.agent for agent in found.matched] == ["a"]
    assert [device.name for device in found.missing] == ["Büro, Süd"]
    assert [agent.agent for agent in found.unlisted] == ["b"]
    assert (found.devices_without_number, found.laptops_without_number) == (1, 1)
    assert (found.hand_held, found.expected) == (1, 3)


serials = st.sampled_from(["", "Default string", "AAA111", "BBB222", "CCC333", "iii9"])
systems = st.sampled_from(["Windows", "macOS", "iOS", "Android Enterprise", ""])
devices_listed = st.lists(
    st.builds(
        ListedDevice,
        serial=serials,
        name=st.sampled_from("xy"),
        system=systems,
        seen=st.just(""),
    ),
    max_size=12,
)


@given(devices_listed, st.lists(serials, max_size=8))
def test_every_device_and_every_laptop_is_counted_once(
    devices: list[ListedDevice], numbers: list[str]
) -> None:
    agents = [enrolled(str(at), serial) for at, serial in enumerate(numbers)]
    found = compare_devices(devices, agents, machine_digest)
    laptops = [*found.matched, *found.unlisted]
    assert len(laptops) + found.laptops_without_number == len(agents)
    assert len({agent.agent for agent in laptops}) == len(laptops)
    kept = [d for d in devices if not d.system.lower().startswith(("ios", "android"))]
    assert found.hand_held == len(devices) - len(kept)
    known = {known_number(device.serial) for device in kept} - {""}
    there = {known_number(number) for number in numbers}
    assert {known_number(device.serial) for device in found.missing} == known - there
    assert compare_devices(devices, agents[::-1], machine_digest).expected == (
        found.expected
    )


def test_a_file_that_is_too_large_is_refused_without_being_read(tmp_path: Path) -> None:
    listed = tmp_path / "devices.csv"
    listed.touch()
    # More than any memory; it takes no room on the disk.
    os.truncate(listed, 2**42)
    with pytest.raises(DeviceListRefused, match="larger than 50 MB"):
        read_device_file(listed)


def test_a_list_that_was_cut_off_in_a_quotation_is_refused() -> None:
    whole = exported(quoting=csv.QUOTE_ALL)
    with pytest.raises(DeviceListRefused, match="a quotation mark is not closed"):
        read_device_list(whole[:-20].encode())
    # A mark within a cell is one of inches.
    devices = read_device_list(b'Device name,Serial number\nMonitor 24",PF3ABCDE\n')
    assert devices == [ListedDevice("PF3ABCDE", 'Monitor 24"', "", "")]
