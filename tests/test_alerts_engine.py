"""The alert engine from a fault in the journal to the page at the desk."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from pathlib import Path

import pytest
from running_engine import (
    ESTATE,
    AheadClock,
    Desk,
    desk,  # noqa: F401 - a fixture
    journal,  # noqa: F401 - a fixture
    poll,
    rules,  # noqa: F401 - a fixture
    running,
)
from waiting import until

from alerts.acknowledgement import acknowledge
from alerts.alert_access import (
    add_silence,
    open_alerts,
    recent_alerts,
)
from alerts.alert_engine import AlertEngine
from alerts.heartbeat import Heartbeat
from alerts.rule_files import Rules
from alerts.silence import Silence
from collectors.batch import batch_samples
from collectors.estate.estate_model import Estate
from collectors.journal import Journal, JournalReader
from collectors.topology import DeviceNeighbour, LocalSystem, TopologyView
from collectors.topology.neighbour_records import to_batches
from probes.wire.clock import wall_ms
from probes.wire.sample import Sample, Value


async def test_a_fault_in_the_journal_is_paged_shown_and_resolved(
    tmp_path: Path,
    desk: Desk,  # noqa: F811
    rules: Rules,  # noqa: F811
    journal: Journal,  # noqa: F811
) -> None:
    async with running(tmp_path, desk, rules, journal) as engine:
        await poll(journal, 0)
        await until(lambda: desk.kinds() == ["page"], "the page")
        [alert] = open_alerts(tmp_path / "alerts.sqlite")
        assert alert.state == "firing"
        assert alert.summary == "core-1 at Town Hall does not answer (timeout)"
        assert desk.pages[0]["alerts"][0]["key"] == alert.key
        await poll(journal, 1)
        await until(lambda: desk.kinds() == ["page", "resolution"], "the resolution")
        await until(lambda: not open_alerts(tmp_path / "alerts.sqlite"), "no alert")
        [ended] = recent_alerts(tmp_path / "alerts.sqlite", wall_ms() - 60_000)
        assert ended.resolved_ms is not None
        await until(
            lambda: any(s.fields.get("sent") == 2 for s in engine.samples(wall_ms())),
            "both to be counted",
        )

    # Every change of state is a row of `alert` in the journal.
    async with JournalReader(tmp_path / "journal", "look") as reader:
        chunk = await reader.read(wait_s=5)
        assert chunk is not None
        states = [
            sample.fields["state"]
            for batch in chunk.batches
            if batch.measurement == "alert"
            for sample in batch.samples()
        ]
    assert states == ["firing", "resolved"]


async def test_devices_behind_a_dead_switch_in_the_topology_are_not_paged(
    tmp_path: Path,
    desk: Desk,  # noqa: F811
    rules: Rules,  # noqa: F811
    journal: Journal,  # noqa: F811
) -> None:
    """The estate names no parent; the parents come from neighbours in the journal."""
    devices = [*ESTATE.devices]
    devices += [
        device.model_copy(update={"id": id, "address": ip_address(f"10.0.0.{n}")})
        for device in ESTATE.devices
        for n, id in enumerate(("access-1", "access-2"), 2)
    ]
    line = {"id": "wan", "site": "hall", "device": "core-1", "port": "wan"}
    estate = Estate.model_validate(
        {
            "sites": ESTATE.sites,
            "devices": devices,
            "lines": [{**line, "down_mbps": 9, "up_mbps": 9}],
        }
    )
    view = TopologyView(lambda: estate, settle_s=0.0)

    async def poll_device(id: str, up: int) -> None:
        tags = {"device": id, "site": "hall", "role": "switch"}
        at_ms = wall_ms()
        sample = Sample("device", tags, {"up": up, "outcome": "timeout"}, at_ms)
        await journal.append(*batch_samples([sample], f"poll/{id}", at_ms))

    for id in ("access-1", "access-2"):
        neighbours = [
            DeviceNeighbour(id, "Gi24", remote_name="core-1", remote_port="Gi1")
        ]
        place = (id, "hall", "switch")
        await journal.append(
            *to_batches(place, LocalSystem(id), neighbours, wall_ms(), f"poll/{id}")
        )
    async with running(
        tmp_path,
        desk,
        rules,
        journal,
        estate=view.estate,
        on_batch=view.add,
    ):
        for device in devices:
            await poll_device(device.id, 1)
        await until(lambda: len(view.graph().parents) == 2, "the parents")
        for id in ("access-1", "access-2", "core-1"):
            await poll_device(id, 0)
        await until(lambda: desk.pages, "the page", seconds=30)
        alerts = open_alerts(tmp_path / "alerts.sqlite")
        await until(lambda: len(open_alerts(tmp_path / "alerts.sqlite")) == 3, "all")
        alerts = open_alerts(tmp_path / "alerts.sqlite")
    assert [a["subject"]["device"] for p in desk.pages for a in p["alerts"]] == [
        "core-1"
    ]
    assert sum(bool(alert.suppressed_by) for alert in alerts) == 2
    assert all(alert.explained_by == alert.suppressed_by for alert in alerts)


def failures(engine: AlertEngine) -> int:
    return sum(int(s.fields.get("failed") or 0) for s in engine.samples(wall_ms()))


async def test_a_desk_that_is_down_gets_what_is_over_as_one_message(
    tmp_path: Path,
    desk: Desk,  # noqa: F811
    rules: Rules,  # noqa: F811
    journal: Journal,  # noqa: F811
) -> None:
    desk.status = 500
    clock = AheadClock()
    async with running(tmp_path, desk, rules, journal, now_ms=clock) as engine:
        await poll(journal, 0)
        await until(lambda: failures(engine), "a try")
        # A quiet engine counts again after half a minute.
        clock.skip(60)
        await until(lambda: failures(engine) > 1, "another try")
        await until(
            lambda: any(
                s.fields.get("failed") and s.fields.get("waiting")
                for s in engine.samples(wall_ms())
            ),
            "a failed try",
        )
        await poll(journal, 1, -clock.ahead_ms)
        await until(lambda: not open_alerts(tmp_path / "alerts.sqlite"), "its end")
        desk.status = 204
        clock.skip(60)
        await until(lambda: desk.kinds() == ["resolution"], "both as one", seconds=30)
        clock.skip(60)
        await until(
            lambda: any(
                s.fields.get("sent") and not s.fields.get("waiting")
                for s in engine.samples(wall_ms())
            ),
            "nothing to be left",
        )
    [page] = desk.pages
    [alert] = page["alerts"]
    # Before it: that it is late.
    assert page["notes"][-1] == "It was over before its beginning could be reported."
    assert alert["since_ms"] < alert["resolved_ms"]


def held_back(samples: list[Sample]) -> list[tuple[str, Value]]:
    """The site and the number of covered alerts of each row of `silence`."""
    return [
        (sample.tags["site"], sample.fields["covers"])
        for sample in samples
        if sample.measurement == "silence"
    ]


async def test_a_silence_holds_pages_back_until_it_ends(
    tmp_path: Path,
    desk: Desk,  # noqa: F811
    rules: Rules,  # noqa: F811
    journal: Journal,  # noqa: F811
) -> None:
    path = tmp_path / "alerts.sqlite"
    at_ms, clock = wall_ms(), AheadClock()
    quiet = Silence(0, at_ms, at_ms + 600_000, site="hall", who="ada", planned=1)
    async with running(tmp_path, desk, rules, journal, now_ms=clock) as engine:
        add_silence(path, quiet)
        await poll(journal, 0)
        await until(lambda: [a.state for a in open_alerts(path)] == ["firing"], "it")
        assert desk.kinds() == []
        assert open_alerts(path)[0].silenced_until_ms == quiet.until_ms
        await until(lambda: held_back(engine.samples(at_ms)) == [("hall", 1)], "a row")
        assert desk.kinds() == []
        clock.skip(600)
        await poll(journal, 0, -clock.ahead_ms)
        await until(lambda: desk.kinds() == ["page"], "the page")
        assert held_back(engine.samples(clock())) == []
        known = open_alerts(path)[0].key
        alert, is_new = acknowledge(path, known, "ada", "mine", clock())
        assert is_new
        assert open_alerts(path)[0].acknowledged_by == "ada"
        with pytest.raises(LookupError):
            acknowledge(path, alert.key + "x", "ada", "", clock())


async def test_rules_may_change_while_the_engine_runs(
    tmp_path: Path,
    desk: Desk,  # noqa: F811
    rules: Rules,  # noqa: F811
    journal: Journal,  # noqa: F811
) -> None:
    async with running(tmp_path, desk, rules, journal) as engine:
        await poll(journal, 0)
        await until(lambda: desk.kinds() == ["page"], "the page")
        engine.reload(Rules([]))
        await until(lambda: desk.kinds() == ["page", "resolution"], "the resolution")
    assert desk.pages[1]["alerts"][0]["why"] == "its rule is no longer in use"


async def test_the_heartbeat_is_sent_only_while_cycles_run(
    tmp_path: Path,
    desk: Desk,  # noqa: F811
    rules: Rules,  # noqa: F811
    journal: Journal,  # noqa: F811
) -> None:
    async with Heartbeat(desk.url, 0.05):
        await asyncio.sleep(0.3)
        assert desk.beats == 0
    update = {"heartbeat_url": desk.url, "heartbeat_s": 0.05}
    async with running(tmp_path, desk, rules, journal, update=update):
        await until(lambda: desk.beats >= 2, "two beats")
