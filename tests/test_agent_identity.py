"""The laptop's secret is replaced in time, and valid after a kill at any step."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from enrolled_laptops import OURS, accepts, enrolled, settings
from hypothesis import given
from hypothesis import strategies as st
from ingest_council import door, enrol, registry_config

from probes.agent import credential_renewal
from probes.agent.credential_renewal import CredentialRenewal, is_due
from probes.agent.enrol import (
    StoredCredential,
    device_id,
    read_credential,
    save_credential,
)
from probes.agent.server_connection import HttpResponse, ServerConnection
from probes.wire.clock import wall_ms
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


class Unreliable:
    """A connection that is interrupted at one step, before or after the server."""

    def __init__(self, connection: ServerConnection, at: str) -> None:
        self._connection, self._at = connection, at

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> HttpResponse:
        step = path.rpartition("/")[2]
        if self._at == f"before {step}":
            raise Interrupted
        response = await self._connection.request(method, path, body, headers)
        if self._at == f"after {step}":
            raise Interrupted
        return response

    def use_credential(self, credential: AgentCredential) -> None:
        self._connection.use_credential(credential)


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
        for killed in (True, False):
            known = read_credential(tmp_path / "state")
            here = settings(council, tmp_path / "state")
            async with ServerConnection(
                here.server, known, here.ca_file, "test"
            ) as connection:
                monkeypatch.setattr(
                    credential_renewal,
                    "save_credential",
                    save if killed else save_credential,
                )
                renewal = CredentialRenewal(
                    tmp_path / "state",
                    known,
                    "",
                    Unreliable(connection, step if killed else ""),
                    lambda _: None,
                    lambda: wall_ms() + 40 * DAY_MS,
                )
                if killed:
                    with pytest.raises(Interrupted):
                        await renewal.run(30)
                    left = read_credential(tmp_path / "state")
                    assert await accepts(council, left)
                else:
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
        first = await enrolled(council, tmp_path / "state")
        now_ms = wall_ms()
        here = settings(council, tmp_path / "state")
        async with ServerConnection(
            here.server, first, here.ca_file, "test"
        ) as connection:
            renewal = CredentialRenewal(
                tmp_path / "state",
                first,
                machine_digest(OURS),
                connection,
                used.append,
                lambda: now_ms,
            )
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


async def test_a_server_that_does_not_know_renewals_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Older(Unreliable):
        async def request(self, *_: object, **__: object) -> HttpResponse:
            return HttpResponse(404, {}, b'{"why": "Not Found"}')

    async with door(tmp_path) as council:
        known = await enrolled(council, tmp_path / "state")
        here = settings(council, tmp_path / "state")
        connection = ServerConnection(here.server, known, here.ca_file, "test")
        renewal = CredentialRenewal(
            tmp_path / "state",
            known,
            "",
            Older(connection, ""),
            lambda _: None,
            lambda: wall_ms() + 31 * DAY_MS,
        )
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
        first = await enrolled(council, tmp_path / "state")
        shutil.copy(registry, tmp_path / "backup")
        here = settings(council, tmp_path / "state")
        async with ServerConnection(
            here.server, first, here.ca_file, "test"
        ) as connection:
            renewal = CredentialRenewal(
                tmp_path / "state",
                first,
                "",
                connection,
                lambda _: None,
                lambda: wall_ms() + 31 * DAY_MS,
            )
            await renewal.run(30)
            assert not await renewal.recover(), "the one before has ended"
            assert await accepts(council, read_credential(tmp_path / "state"))
    shutil.copy(tmp_path / "backup", registry)
    async with door(tmp_path) as council:
        known = read_credential(tmp_path / "state")
        assert not await accepts(council, known)
        here = settings(council, tmp_path / "state")
        async with ServerConnection(
            here.server, known, here.ca_file, "test"
        ) as connection:
            renewal = CredentialRenewal(
                tmp_path / "state",
                known,
                "",
                connection,
                lambda _: None,
                wall_ms,
            )
            assert await renewal.recover()
        assert await accepts(council, read_credential(tmp_path / "state"))


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
