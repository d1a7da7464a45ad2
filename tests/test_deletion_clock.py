"""A clock that runs ahead deletes nothing, and a machine that was off is believed."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path

import pytest
from ingest_council import body, enrol, report
from stores import CATALOGUE, batch, embedded
from test_commands_state import ESTATE, SETTINGS
from virtual_time import in_virtual_time

from alerts.api_tokens import ApiTokens, AuditEntry, tokens_file
from collectors.batch import batch_samples
from collectors.deletion_clock import (
    CLOCK_FILE,
    DAY_MS,
    LEAST_LAPTOPS,
    DeletionClock,
    clock_warning,
    read_note,
    write_note,
)
from collectors.ingest import HttpsIngest, Registry
from collectors.journal import Journal, JournalConfig
from collectors.retention import Retention
from collectors.server_measurements import CATALOGUE as SERVER_CATALOGUE
from probes.agent.server_connection import ServerConnection
from probes.wire.clock import wall_ms
from probes.wire.sample import Sample
from towpath.check import check_config
from towpath.config import TowpathConfig, read
from towpath.run import Installation

YEAR_MS = 365 * DAY_MS
NOW_MS = 1_900_000_000_000


class Machine:
    """Its two clocks, one of which somebody sets."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / CLOCK_FILE
        self.wall_ms, self.steady_s = NOW_MS, 500.0

    def pass_time(self, ms: int) -> None:
        self.wall_ms += ms
        self.steady_s += ms / 1000

    def clock(self) -> DeletionClock:
        return DeletionClock(
            self.file, "all", lambda: self.wall_ms, lambda: self.steady_s
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def is_trusted(clock: DeletionClock) -> object:
    (sample,) = clock.samples(0)
    return sample.fields["trusted"]


async def test_data_ages_by_the_time_that_passed_while_the_clock_is_ahead(
    machine: Machine,
) -> None:
    async with machine.clock() as clock:
        machine.wall_ms += 4 * YEAR_MS
        assert clock.ms() == NOW_MS
        assert not is_trusted(clock)
        machine.pass_time(3 * DAY_MS)
        assert clock.ms() == NOW_MS + 3 * DAY_MS
        # Of an earlier time nothing changes.
        assert clock.bounded(NOW_MS) == NOW_MS
        machine.wall_ms -= 4 * YEAR_MS
        assert clock.ms() == machine.wall_ms
        assert is_trusted(clock)


async def test_a_start_with_a_clock_that_is_ahead_deletes_by_the_last_run(
    machine: Machine,
) -> None:
    async with machine.clock():
        machine.pass_time(DAY_MS)
    machine.wall_ms += 10 * YEAR_MS
    assert "--trust" in clock_warning(machine.file, machine.wall_ms)
    for _ in range(2):
        async with machine.clock() as clock:
            assert clock.ms() == NOW_MS + DAY_MS


async def test_a_holiday_of_a_week_needs_no_confirmation(machine: Machine) -> None:
    async with machine.clock():
        pass
    machine.wall_ms += 7 * DAY_MS
    assert clock_warning(machine.file, machine.wall_ms) == ""
    async with machine.clock() as clock:
        assert clock.ms() == machine.wall_ms


async def test_a_clock_without_a_battery_is_believed_once_it_is_right(
    machine: Machine,
) -> None:
    async with machine.clock():
        pass
    machine.wall_ms = 0
    async with machine.clock() as clock:
        # Nothing is too old in 1970.
        assert clock.ms() == 0
        machine.wall_ms = NOW_MS + 60_000
        assert clock.ms() == machine.wall_ms
        assert is_trusted(clock)


@in_virtual_time
async def test_a_machine_that_was_off_for_a_year_goes_on_once_that_is_confirmed(
    tmp_path: Path,
) -> None:
    machine = Machine(tmp_path)
    async with machine.clock():
        pass
    machine.wall_ms += YEAR_MS
    async with machine.clock() as clock, machine.clock() as another:
        assert clock.ms() == another.ms() == NOW_MS
        write_note(machine.file, machine.wall_ms)
        await clock.look()
        await another.look()
        assert clock.ms() == another.ms() == machine.wall_ms
    assert read_note(machine.file) == machine.wall_ms


@in_virtual_time
async def test_three_laptops_confirm_a_clock_for_every_process(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    async with machine.clock():
        pass
    machine.wall_ms += YEAR_MS
    async with machine.clock() as ingest, machine.clock() as store:
        # One laptop that reports often is still one.
        for agent in ("a", "b", "b", "b"):
            ingest.note_laptop(agent, machine.wall_ms - 20_000)
        assert ingest.ms() == NOW_MS
        ingest.note_laptop("c", machine.wall_ms + 40_000)
        assert ingest.ms() == machine.wall_ms
        await ingest.look()
        await store.look()
        assert store.ms() == machine.wall_ms


async def test_laptops_that_have_another_date_confirm_nothing(machine: Machine) -> None:
    async with machine.clock() as clock:
        for agent in "abcde":
            clock.note_laptop(agent, machine.wall_ms)
        # They agreed with the clock as it was before it was set.
        machine.wall_ms += 4 * YEAR_MS
        assert clock.ms() == NOW_MS
        for agent in "abcde":
            clock.note_laptop(agent, NOW_MS)
        # One whose clock is as wrong does not outvote them.
        clock.note_laptop("f", machine.wall_ms)
        assert clock.ms() == NOW_MS


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"trusted_ms": "x"}'])
async def test_a_damaged_note_is_replaced(machine: Machine, content: bytes) -> None:
    machine.file.write_bytes(content)
    async with machine.clock() as clock:
        assert clock.ms() == NOW_MS
    assert read_note(machine.file) == NOW_MS


async def test_a_change_is_logged_once(
    machine: Machine, capfd: pytest.CaptureFixture[str]
) -> None:
    async with machine.clock() as clock:
        machine.wall_ms += YEAR_MS
        for _ in range(3):
            await clock.look()
        machine.wall_ms -= YEAR_MS
        for _ in range(3):
            await clock.look()
    log = "".join(capfd.readouterr())
    assert log.count("clock_not_trusted") == 1
    assert log.count("clock_trusted_again") == 1


async def test_a_day_of_the_store_is_deleted_by_the_trusted_time(
    tmp_path: Path, machine: Machine
) -> None:
    async with embedded(tmp_path / "store") as store:
        await store.write([batch((NOW_MS, {"a": "x"}, {"whole": 1}))])
        files = set((tmp_path / "store").rglob("*.parquet"))
        await store.tidy(NOW_MS + 4 * YEAR_MS, NOW_MS)
        assert set((tmp_path / "store").rglob("*.parquet")) >= files
        days = max(declared.retention_days for declared in CATALOGUE)
        await store.tidy(NOW_MS + (days + 2) * DAY_MS)
        assert not list((tmp_path / "store").rglob("*.parquet"))


async def test_unread_rows_are_dropped_by_the_trusted_time(
    tmp_path: Path, machine: Machine
) -> None:
    machine.wall_ms = wall_ms()
    config = JournalConfig(folder=tmp_path / "journal", readers=("store",))
    async with (
        machine.clock() as clock,
        Journal(config, "all", SERVER_CATALOGUE, bounded=clock.bounded) as journal,
    ):
        sample = Sample("self_clock", {"process": "all"}, {"trusted": 1}, wall_ms())
        for _ in range(2):
            await journal.append(*batch_samples([sample], "self/all", wall_ms()))
            journal._log.log._begin()  # type: ignore[attr-defined]
        machine.wall_ms += 4 * YEAR_MS
        await journal._log.tidy(machine.wall_ms)
        assert journal.stats.dropped_rows == 0
        write_note(machine.file, machine.wall_ms)
        await clock.look()
        await journal._log.tidy(machine.wall_ms)
        assert journal.stats.dropped_rows == 2


async def delete_what_is_too_old(running: Installation) -> None:
    """Everything that an installation does now and then."""
    for _, piece in running.pieces:
        if isinstance(piece, Retention):
            for _, days, remove in piece._jobs:
                remove(piece._now_ms() - days * DAY_MS)
    await running.journal._log.tidy(wall_ms())


def what_is_left(config: TowpathConfig) -> tuple[int, int, int]:
    """Laptops, what was done to them, and what programs did."""
    with Registry(config.ingest.registry) as registry:
        laptops, deeds = len(registry.agents()), len(registry.admin.audit())
    entries = ApiTokens(tokens_file(config.alerts.standing)).audit()
    return laptops, deeds, len(entries)


async def test_an_installation_whose_clock_is_four_years_ahead_deletes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Laptops that are switched on afterwards confirm nothing, as theirs is right."""
    (tmp_path / "estate.toml").write_text(ESTATE)
    file = tmp_path / "towpath.toml"
    file.write_text(SETTINGS.format(state=tmp_path / "state", folder=tmp_path))
    config = read(file)
    write_note(config.state / CLOCK_FILE, wall_ms())
    with Registry(config.ingest.registry) as registry:
        laptops = [enrol(registry, f"LAPTOP-{n}") for n in range(LEAST_LAPTOPS)]
    ApiTokens(tokens_file(config.alerts.standing)).record(
        AuditEntry(wall_ms(), "bot", "silence", "site hall", "Ada", "works", "done")
    )
    before = what_is_left(config)
    now_ns = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + 4 * YEAR_MS * 1_000_000)
    monkeypatch.setattr(time, "time", lambda: time.time_ns() / 1e9)
    async with Installation(config, ["ingest", "web"]) as running:
        await delete_what_is_too_old(running)
        assert what_is_left(config) == before
        checked = await asyncio.to_thread(check_config, config)
        assert "--trust" in " ".join(checked.warnings)
        (https,) = [p for _, p in running.pieces if isinstance(p, HttpsIngest)]
        for off_s, trusted in ((-4 * YEAR_MS / 1000, 0), (0, 1)):
            for laptop in laptops:
                server = f"http://127.0.0.1:{https.port}"
                shown = partial(_shown_s, off_s)
                async with ServerConnection(
                    server, laptop, "", "agent", wall_s=shown
                ) as connection:
                    sent = body(report(laptop.agent, f"r{off_s}", time_ms=wall_ms()))
                    given = await connection.request("POST", "/v1/reports", sent)
                    assert given.status == 200
            assert is_trusted(running._clock) == trusted
        await delete_what_is_too_old(running)
        assert what_is_left(config) != before


def _shown_s(off_s: float) -> float:
    return time.time() + off_s
