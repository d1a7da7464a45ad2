"""Sensors, processors, memory and the like, as they are polled again and again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import recordings
from agents import Recorded

from collectors.batch import Batch, check
from collectors.server_measurements import CATALOGUE
from collectors.snmp import credential
from collectors.snmp.polling.device_findings import VALUES_IMPLAUSIBLE
from collectors.snmp.polling.device_health import DISCOVER_S, DeviceHealth
from collectors.snmp.polling.health_rows import severity
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


class Asked:
    """One recorded device and its health, with a clock of our own."""

    def __init__(self, file: Path, gate: asyncio.Semaphore | None = None) -> None:
        self.file = file
        self.now_s = 1_000_000.0
        self.health = DeviceHealth(
            load(), gate or asyncio.Semaphore(1), lambda: self.now_s
        )

    async def __aenter__(self) -> Asked:
        self.sessions = await Sessions().__aenter__()
        self.device = await Recorded(self.file).__aenter__()
        self.session = self.sessions.open(
            "127.0.0.1", self.device.port_number, PUBLIC, RetryPolicy((1.0, 2.0))
        )
        return self

    async def __aexit__(self, *gone: object) -> None:
        self.session.close()
        await self.device.__aexit__(None, None, None)
        await self.sessions.__aexit__(None, None, None)

    async def poll(self) -> dict[str, Batch]:
        batches = await self.health.read(
            DeviceSession(self.session, PollBudget(60)), PLACE, int(self.now_s * 1000)
        )
        return {check(each, CATALOGUE).measurement: each for each in batches}


async def test_the_first_poll_brings_all_there_is() -> None:
    async with Asked(STANDARD) as asked:
        found = await asked.poll()
    assert set(found) == {"sensor", "processor", "memory", "storage", "inventory"}
    sensor = {row.tags["sensor"]: row for row in found["sensor"].samples()}
    assert sensor["Output source"].fields["state"] == "battery"
    assert sensor["Output source"].fields["severity"] == 2
    assert sensor["Inlet"].fields["value"] == 25.0
    assert sensor["Inlet"].tags["class"] == "temperature"
    assert found["processor"].field("use_ratio") == [0.17]
    assert found["inventory"].field("hardware") == ["Backup 1500"]


async def test_later_polls_ask_only_for_what_is_due() -> None:
    async with Asked(STANDARD) as asked:
        await asked.poll()
        packets = asked.session.counts.packets
        assert await asked.poll() == {}
        assert asked.session.counts.packets == packets
        asked.now_s += 60
        found = await asked.poll()
        # The battery and the output of a UPS are asked for each minute, heat is not.
        assert {"Battery", "Output source"} <= set(found["sensor"].tag("sensor"))
        assert "Inlet" not in found["sensor"].tag("sensor")
        assert asked.session.counts.packets == packets + 1
        asked.now_s += 240
        assert "Inlet" in (await asked.poll())["sensor"].tag("sensor")


async def test_what_there_is_is_learnt_again_after_an_hour_or_a_restart() -> None:
    async with Asked(STANDARD) as asked:
        await asked.poll()
        asked.now_s += DISCOVER_S
        assert "inventory" in await asked.poll()
        asked.health.forget()
        assert "inventory" in await asked.poll()


async def test_where_others_are_learning_it_waits_for_a_later_poll() -> None:
    gate = asyncio.Semaphore(1)
    async with Asked(STANDARD, gate) as asked:
        async with gate:
            assert await asked.poll() == {}
        assert "sensor" in await asked.poll()


async def test_two_sensors_of_one_name_are_told_apart_by_their_index(
    tmp_path: Path,
) -> None:
    copy = tmp_path / "twins.snmprec"
    lines = STANDARD.read_text().splitlines()
    extra = [line.replace(".7|", ".8|") for line in lines if ".99.1.1.1." in line] + [
        "1.3.6.1.2.1.47.1.1.1.1.2.8|4|Inlet"
    ]
    copy.write_text("\n".join(lines + extra) + "\n")
    async with Asked(copy) as asked:
        names = (await asked.poll())["sensor"].tag("sensor")
    assert {"Inlet (7)", "Inlet (8)"} <= set(names)
    assert len(set(names)) <= len(names)


async def test_a_value_that_nothing_can_have_is_a_finding_until_it_is_one_again(
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
    async with Asked(copy) as asked:
        names = (await asked.poll())["sensor"].tag("sensor")
        assert "Inlet" not in names
        assert "'Inlet' " in asked.health.findings[VALUES_IMPLAUSIBLE]
        copy.write_text(STANDARD.read_text())
        asked.device.rebuild()
        asked.now_s += 300
        assert "Inlet" in (await asked.poll())["sensor"].tag("sensor")
        assert asked.health.findings == {}


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
