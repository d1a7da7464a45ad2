"""The laptop's secret is replaced in time, and valid after a kill at any step."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from enrolled_laptops import OURS, accepts, enrolled, settings
from hypothesis import given
from hypothesis import strategies as st
from ingest_council import Door, door, enrol, registry_config

from probes.agent import credential_renewal
from probes.agent.credential_renewal import CredentialRenewal, is_due
from probes.agent.enrol import (
    StoredCredential,
    device_id,
    read_credential,
    save_credential,
)
from probes.agent.http_connection import HttpResponse
from probes.agent.server_connection import ServerConnection
from probes.wire.clock import WallClock, wall_ms
from probes.wire.machine_number import machine_digest
from probes.wire.report import AgentCredential

DAY_MS = 86_400_000


@given(st.integers(1, 3650), st.integers(-4000, 4000), st.text("abc-", max_size=9))
def test_each_laptop_has_its_own_day_for_a_new_secret(
    days: int, age_days: int, agent: str
) -> None:
    credential = StoredCredential(agent, "secret", made_ms=5000 * DAY_MS)
    due = is_due(credential, days, (5000 + age_days) * DAY_MS)
    if age_days >= days or age_days < -1:
        assert due
    elif 0 <= age_days < 0.75 * days:
        assert not due
    assert not is_due(credential, 0, (5000 + age_days) * DAY_MS)


class Interrupted(Exception):
    """The laptop is switched off here."""


class Unreliable(ServerConnection):
    """A connection that is interrupted at one step, before or after the server."""

    at = ""

    async def request(self, method: str, path: str, *more: Any) -> HttpResponse:
        step = path.rpartition("/")[2]
        if self.at == f"before {step}":
            raise Interrupted
        response = await super().request(method, path, *more)
        if self.at == f"after {step}":
            raise Interrupted
        return response


def in_a_month_ms() -> int:
    return wall_ms() + 31 * DAY_MS


@contextlib.asynccontextmanager
async def renewing(
    council: Door,
    folder: Path,
    *,
    at: str = "",
    machine: str = "",
    use: Callable[[AgentCredential], None] = lambda _: None,
    now_ms: WallClock = in_a_month_ms,
) -> AsyncIterator[CredentialRenewal]:
    """The renewal of the secret in `folder`, interrupted `at` a step."""
    known, here = read_credential(folder), settings(council, folder)
    async with Unreliable(here.server, known, here.ca_file, "test") as connection:
        connection.at = at
        yield CredentialRenewal(folder, known, machine, connection, use, now_ms)


STEPS = [
    "before credential",
    "after credential",
    "before save 1",
    "after save 1",
    "before confirm",
    "after confirm",
    "before save 2",
    "after save 2",
]


@pytest.mark.parametrize("step", STEPS)
async def test_a_kill_at_any_step_leaves_a_valid_secret(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = 0

    def save(folder: Path, credential: StoredCredential) -> None:
        nonlocal saved
        saved += 1
        if step == f"before save {saved}":
            raise Interrupted
        save_credential(folder, credential)
        if step == f"after save {saved}":
            raise Interrupted

    async with door(tmp_path) as council:
        first = await enrolled(council, tmp_path / "state")
        with monkeypatch.context() as killed:
            killed.setattr(credential_renewal, "save_credential", save)
            async with renewing(council, tmp_path / "state", at=step) as renewal:
                with pytest.raises(Interrupted):
                    await renewal.run(30)
        assert await accepts(council, read_credential(tmp_path / "state"))
        async with renewing(council, tmp_path / "state") as renewal:
            await renewal.run(30)
        last = read_credential(tmp_path / "state")
        assert last.agent == first.agent
        assert last.secret != first.secret
        assert not last.unconfirmed
        assert await accepts(council, last)
        # It used only what was its own.
        council.registry.save_seen()
        (agent,) = council.registry.agents()
        assert agent.copied_ms == 0
        assert not await accepts(council, first)


async def test_a_laptop_gets_a_new_secret_when_its_time_has_come(
    tmp_path: Path,
) -> None:
    used: list[AgentCredential] = []
    async with door(tmp_path) as council:
        await enrolled(council, tmp_path / "state")
        now_ms = wall_ms()
        async with renewing(
            council,
            tmp_path / "state",
            machine=machine_digest(OURS),
            use=used.append,
            now_ms=lambda: now_ms,
        ) as renewal:
            await renewal.run(30)
            assert not used
            now_ms += 30 * DAY_MS
            await renewal.run(0)
            assert not used
            await renewal.run(30)
            await renewal.run(30)
        (new,) = used
        assert new == read_credential(tmp_path / "state")
        (agent,) = council.registry.agents()
        # The laptop had none before: an older agent, or an older server.
        assert agent.machine
        assert await accepts(council, new)


@pytest.mark.parametrize(
    ("status", "content"),
    [
        # An older server.
        (404, b'{"why": "Not Found"}'),
        (200, b"\xff"),
        (200, b'{"agent": ""}'),
        (200, b'{"x": ' + b"[" * 100_000),
    ],
    ids=["older", "noise", "no secret", "very deep"],
)
async def test_a_server_that_does_not_know_renewals_changes_nothing(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    content: bytes,
) -> None:
    async def answer(*_: object) -> HttpResponse:
        return HttpResponse(status, {}, content)

    async with door(tmp_path) as council:
        known = await enrolled(council, tmp_path / "state")
        monkeypatch.setattr(Unreliable, "request", answer)
        async with renewing(council, tmp_path / "state") as renewal:
            for _ in range(3):
                await renewal.run(30)
        assert read_credential(tmp_path / "state") == known
        assert await accepts(council, known)
    notes = [r for r in caplog.records if "credential_not_renewed" in r.message]
    assert len(notes) == 1


async def test_a_registry_from_a_backup_does_not_lock_a_laptop_out(
    tmp_path: Path,
) -> None:
    registry = registry_config(tmp_path).path
    async with door(tmp_path) as council:
        await enrolled(council, tmp_path / "state")
        shutil.copy(registry, tmp_path / "backup")
        async with renewing(council, tmp_path / "state") as renewal:
            await renewal.run(30)
            assert not await renewal.recover(), "the one before has ended"
            assert await accepts(council, read_credential(tmp_path / "state"))
    shutil.copy(tmp_path / "backup", registry)
    async with door(tmp_path) as council:
        assert not await accepts(council, read_credential(tmp_path / "state"))
        async with renewing(council, tmp_path / "state", now_ms=wall_ms) as renewal:
            assert await renewal.recover()
        assert await accepts(council, read_credential(tmp_path / "state"))


async def test_a_registry_of_months_ago_does_not_lock_a_laptop_out(
    tmp_path: Path,
) -> None:
    registry, state = registry_config(tmp_path).path, tmp_path / "state"
    async with door(tmp_path) as council:
        await enrolled(council, state)
        for month in range(1, 6):
            if month == 2:
                shutil.copy(registry, tmp_path / "backup")
                of_the_backup = read_credential(state).secret
            now_ms = wall_ms() + month * 31 * DAY_MS
            identities, known = council.registry.identities, read_credential(state)
            # As it would be done over the network.
            new = identities.renew(known.agent, known.secret, "", now_ms)
            identities.confirm(known.agent, new.secret, now_ms)
            save_credential(state, credential_renewal.renewed(known, new.secret))
    shutil.copy(tmp_path / "backup", registry)
    async with door(tmp_path) as council:
        async with renewing(council, state, now_ms=wall_ms) as renewal:
            assert await renewal.recover()
        back = read_credential(state)
        assert back.previous == of_the_backup
        assert await accepts(council, back)
        # Nothing looked like a copy.
        council.registry.save_seen()
        assert [agent.copied_ms for agent in council.registry.agents()] == [0]


@given(st.integers(0, 30))
def test_the_secrets_of_a_year_are_kept_the_newest_first(renewals: int) -> None:
    credential = StoredCredential("agent", "0")
    for number in range(1, renewals + 1):
        credential = credential_renewal.renewed(credential, str(number))
    before = list(credential_renewal.with_secrets_before(credential))
    expected = list(range(renewals - 1, max(-1, renewals - 13), -1))
    assert [int(one.secret) for one in before] == expected
    # Each knows those before it, as if it had never been replaced.
    for one, earlier in itertools.pairwise(before):
        assert earlier == next(credential_renewal.with_secrets_before(one))


async def test_a_credential_of_an_older_agent_is_read_and_its_time_begins(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as council:
        old = enrol(council.registry, device_id(tmp_path))
        (tmp_path / "credential.json").write_bytes(
            f'{{"agent":"{old.agent}","secret":"{old.secret}"}}'.encode()
        )
        known = read_credential(tmp_path)
        connection = ServerConnection("https://127.0.0.1:1", known, "", "test")
        renewal = CredentialRenewal(
            tmp_path, known, "", connection, lambda _: None, lambda: 7 * DAY_MS
        )
        await renewal.run(30)
        assert read_credential(tmp_path).made_ms == 7 * DAY_MS
        assert await accepts(council, read_credential(tmp_path))
