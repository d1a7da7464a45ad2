"""Sensors, processors, memory and inventory are polled at their intervals."""

from __future__ import annotations

from pathlib import Path

import pytest
import recordings
from recorded_agents import Recorded

from collectors.batch import Batch, check_batch
from collectors.server_measurements import CATALOGUE
from collectors.snmp import credential
from collectors.snmp.polling.device_findings import VALUES_IMPLAUSIBLE
from collectors.snmp.polling.device_health import DISCOVER_S, HealthReader
from collectors.snmp.polling.health_rows import severity
from collectors.snmp.polling.reading_slots import ReadingSlots
from collectors.snmp.profiles import load
from collectors.snmp.profiles.readings import Sensor
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.poll_budget import PollBudget
from collectors.snmp.session.session import RetryPolicy
from collectors.snmp.session.sessions import Sessions
from collectors.snmp.tables.device_tags import DeviceTags

PUBLIC = credential("test", {"community": "public"})
STANDARD = recordings.FOLDER / "standard-mibs.snmprec"
PLACE = DeviceTags("ups-1", "hall", "ups")


class RecordedHealth:
    """The health of one recorded device, with a clock that the test sets."""

    def __init__(self, file: Path, slots: ReadingSlots | None = None) -> None:
        self.file = file
        self.now_s = 1_000_000.0
        self.health = HealthReader(load(), slots or ReadingSlots(), lambda: self.now_s)

    async def __aenter__(self) -> RecordedHealth:
        self.sessions = await Sessions().__aenter__()
        self.agent = await Recorded(self.file).__aenter__()
        self.session = self.sessions.open(
            "127.0.0.1", self.agent.port_number, PUBLIC, RetryPolicy((1.0, 2.0))
        )
        return self

    async def __aexit__(self, *gone: object) -> None:
        self.session.close()
        await self.agent.__aexit__(None, None, None)
        await self.sessions.__aexit__(None, None, None)

    async def poll(self) -> dict[str, Batch]:
        batches = await self.health.read(
            DeviceSession(self.session, PollBudget(60)), PLACE, int(self.now_s * 1000)
        )
        return {check_batch(batch, CATALOGUE).measurement: batch for batch in batches}


async def test_the_first_poll_reads_everything() -> None:
    async with RecordedHealth(STANDARD) as device:
        batches = await device.poll()
    assert set(batches) == {"sensor", "processor", "memory", "storage", "inventory"}
    sensor = {row.tags["sensor"]: row for row in batches["sensor"].samples()}
    assert sensor["Output source"].fields["state"] == "battery"
    assert sensor["Output source"].fields["severity"] == 2
    assert sensor["Inlet"].fields["value"] == 25.0
    assert sensor["Inlet"].tags["class"] == "temperature"
    assert batches["processor"].field("use_ratio") == [0.17]
    assert batches["inventory"].field("hardware") == ["Backup 1500"]


async def test_later_polls_read_only_what_is_due() -> None:
    async with RecordedHealth(STANDARD) as device:
        await device.poll()
        packets = device.session.counts.packets
        assert await device.poll() == {}
        assert device.session.counts.packets == packets
        device.now_s += 60
        batches = await device.poll()
        # The battery and the output of a UPS are due each minute, the temperature is
        # not.
        assert {"Battery", "Output source"} <= set(batches["sensor"].tag("sensor"))
        assert "Inlet" not in batches["sensor"].tag("sensor")
        assert device.session.counts.packets == packets + 1
        device.now_s += 240
        assert "Inlet" in (await device.poll())["sensor"].tag("sensor")


async def test_the_inventory_is_read_again_after_an_hour_or_a_restart() -> None:
    async with RecordedHealth(STANDARD) as device:
        await device.poll()
        device.now_s += DISCOVER_S
        assert "inventory" in await device.poll()
        device.health.forget()
        assert "inventory" in await device.poll()


async def test_while_other_devices_are_discovered_it_waits_for_a_later_poll() -> None:
    slots = ReadingSlots(1)
    async with RecordedHealth(STANDARD, slots) as device:
        with slots.take():
            assert await device.poll() == {}
        assert "sensor" in await device.poll()


async def test_two_sensors_of_one_name_are_distinguished_by_their_index(
    tmp_path: Path,
) -> None:
    copy = tmp_path / "twins.snmprec"
    lines = STANDARD.read_text().splitlines()
    extra = [line.replace(".7|", ".8|") for line in lines if ".99.1.1.1." in line] + [
        "1.3.6.1.2.1.47.1.1.1.1.2.8|4|Inlet"
    ]
    copy.write_text("\n".join(lines + extra) + "\n")
    async with RecordedHealth(copy) as device:
        names = (await device.poll())["sensor"].tag("sensor")
    assert {"Inlet (7)", "Inlet (8)"} <= set(names)
    assert len(set(names)) <= len(names)


async def test_an_implausible_value_is_a_finding_until_it_is_plausible_again(
    tmp_path: Path,
) -> None:
    value = next(
        line
        for line in STANDARD.read_text().splitlines()
        if line.startswith("1.3.6.1.2.1.99.1.1.1.4.7|")
    )
    oid = value.partition("|")[0]
    copy = tmp_path / "hot.snmprec"
    copy.write_text(STANDARD.read_text().replace(value, f"{oid}|2|2000000"))
    async with RecordedHealth(copy) as device:
        names = (await device.poll())["sensor"].tag("sensor")
        assert "Inlet" not in names
        assert "'Inlet' " in device.health.findings[VALUES_IMPLAUSIBLE]
        copy.write_text(STANDARD.read_text())
        device.agent.rebuild()
        device.now_s += 300
        assert "Inlet" in (await device.poll())["sensor"].tag("sensor")
        assert device.health.findings == {}


@pytest.mark.parametrize(
    ("value", "expected"), [(4, 2), (7, 1), (20, 0), (33, 1), (41, 2)]
)
def test_limits_make_a_severity(value: float, expected: int) -> None:
    sensor = Sensor(
        "temperature",
        "Inlet",
        "1.2",
        "1",
        value=value,
        low=5,
        low_warn=10,
        high_warn=30,
        high=40,
    )
    assert severity(sensor) == expected


def test_without_limits_or_a_known_state_there_is_no_severity() -> None:
    assert severity(Sensor("temperature", "a", "1.2", "1", value=90)) is None
    odd = Sensor("state", "a", "1.2", "1", value=9, state="9", severity="unknown")
    assert severity(odd) is None


async def test_a_sensor_of_a_port_has_the_name_of_the_port() -> None:
    async with RecordedHealth(recordings.FOLDER / "cisco-ios.snmprec") as device:
        device.health.port_name = {7: "Te1/1/1"}.get
        batches = await device.poll()
    ports = {
        row.tags["sensor"]: row.tags.get("port", "")
        for row in batches["sensor"].samples()
    }
    assert ports["Te1/1/1 Receive Power Sensor"] == "Te1/1/1"
    assert ports["PoE TenGigabitEthernet1/1/1"] == "Te1/1/1"
    assert set(ports.values()) == {"", "Te1/1/1"}


class ChangingHealth(RecordedHealth):
    """A recorded device whose file the test changes."""

    def write(self, text: str) -> None:
        self.file.write_text(text)
        self.agent.rebuild()


POE_STATE = "1.3.6.1.2.1.105.1.3.1.1.3.1"


async def test_a_sensor_that_fails_is_read_with_every_poll_until_it_is_well(
    tmp_path: Path,
) -> None:
    file = tmp_path / "device.snmprec"
    text = STANDARD.read_text()
    file.write_text(text)

    def names(batches: dict[str, Batch]) -> set[str]:
        return set(batches["sensor"].tag("sensor")) if "sensor" in batches else set()

    async with ChangingHealth(file) as device:
        await device.poll()
        failed = text.replace(f"{POE_STATE}|2|1", f"{POE_STATE}|2|3")
        assert failed != text
        device.write(failed)
        device.now_s += 300
        assert "PoE supply 1" in names(await device.poll())
        device.now_s += 60
        assert "PoE supply 1" in names(await device.poll())
        device.write(text)
        device.now_s += 60
        batches = await device.poll()
        assert "PoE supply 1" in names(batches)
        device.now_s += 60
        assert "PoE supply 1" not in names(await device.poll())


async def test_after_a_trap_all_sensors_are_read_once() -> None:
    async with RecordedHealth(STANDARD) as device:
        await device.poll()
        device.now_s += 60
        device.health.read_again()
        assert "Inlet" in (await device.poll())["sensor"].tag("sensor")
        device.now_s += 60
        assert "Inlet" not in (await device.poll())["sensor"].tag("sensor")
