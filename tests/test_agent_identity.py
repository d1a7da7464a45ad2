"""The laptop's identity: secrets that are replaced, disks that were copied, and what is
left after a kill at any step."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest_council import Door, body, door, enrol, registry_config, report

from collectors.ingest.ingest_config import PolicyConfig
from probes import platforms
from probes.agent import agent_run, credential_renewal
from probes.agent.copied_disk import drop_the_others, enrol_copy, is_copy
from probes.agent.credential_renewal import CredentialRenewal, is_due
from probes.agent.enrol import (
    NotEnrolled,
    StoredCredential,
    device_id,
    known_device_id,
    read_credential,
    save_credential,
    save_device_id,
)
from probes.agent.enrol import enrol as enrol_here
from probes.agent.enrolment_token import EnrolmentToken
from probes.agent.report_delivery import Later
from probes.agent.server_connection import HttpResponse, ServerConnection
from probes.agent.settings import Settings
from probes.wire.clock import wall_ms
from probes.wire.machine_number import machine_digest
from probes.wire.report import AgentCredential

DAY_MS = 86_400_000
OURS, THEIRS = "PF3ABCDE", "5CG1234XYZ"


def settings(council: Door, folder: Path) -> Settings:
    folder.mkdir(exist_ok=True)
    return Settings(
        server=f"https://127.0.0.1:{council.ingest.port}",
        ca_file=str(council.certificates.authority),
        state_folder=str(folder),
    )


async def enrolled(council: Door, folder: Path, machine: str = "") -> StoredCredential:
    """A laptop with that number that has enrolled."""
    here = settings(council, folder)
    token = council.registry.admin.make_token("hall", 1, 1, wall_ms())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(platforms, "machine_numbers", lambda: (machine,))
        return await enrol_here(here.server, token, folder, here.ca_file, "test")


async def accepts(council: Door, who: AgentCredential) -> bool:
    sent = await council.send(who, body(report(who.agent, f"r-{wall_ms()}")))
    return bool(sent.status_code == 200)


# -- secrets -----------------------------------------------------------------------


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


# -- copied disks ------------------------------------------------------------------


def test_only_another_number_shows_a_copy() -> None:
    ours, theirs = machine_digest(OURS), machine_digest(THEIRS)
    for known, here, copied in (
        (ours, ours, False),
        (ours, theirs, True),
        ("", ours, False),
        (ours, "", False),
        ("", "", False),
    ):
        assert is_copy(StoredCredential("a", "s", machine=known), here) is copied


async def test_a_copied_disk_becomes_another_laptop_at_its_start(
    tmp_path: Path,
) -> None:
    async with door(tmp_path, policy=PolicyConfig(services=())) as council:
        original = await enrolled(council, tmp_path / "state", OURS)
        for name in ("spool.sqlite", "sent.jsonl", "places.json", "policy.json"):
            (tmp_path / "state" / name).write_text("of the other one")
        shutil.copytree(tmp_path / "state", tmp_path / "copy")
        here = settings(council, tmp_path / "copy")
        copied = await agent_run._get_credential(
            here,
            "test",
            EnrolmentToken(here, None, {}),
            machine_digest(THEIRS),
            asyncio.Event(),
        )
        assert copied is not None
        assert copied.agent != original.agent
        # Killed here: the rest is done at the next start, and nothing else is.
        assert known_device_id(tmp_path / "copy") == original.device
        for _ in range(2):
            again = read_credential(tmp_path / "copy")
            assert not is_copy(again, machine_digest(THEIRS))
            drop_the_others(tmp_path / "copy", again)
            assert known_device_id(tmp_path / "copy") == again.device == copied.device
            (tmp_path / "copy" / "spool.sqlite").touch()
        left = {path.name for path in (tmp_path / "copy").iterdir()}
        assert left == {"credential.json", "device", "policy.json", "spool.sqlite"}
        for who in (original, copied):
            assert await accepts(council, who)
        assert len(council.registry.agents()) == 2


async def test_a_copy_whose_answer_was_lost_asks_for_the_same_identity(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as council:
        original = await enrolled(council, tmp_path / "state", OURS)
        here = settings(council, tmp_path / "state")
        made = []
        for _ in range(2):
            made.append(
                await enrol_copy(here, "test", original, machine_digest(THEIRS))
            )
            # As if the answer had not come.
            save_credential(tmp_path / "state", original)
        assert made[0].agent == made[1].agent
        assert not await accepts(council, made[0])
        assert await accepts(council, made[1])
        assert len(council.registry.agents()) == 2


async def test_a_copy_of_a_revoked_laptop_gets_nothing(tmp_path: Path) -> None:
    async with door(tmp_path) as council:
        original = await enrolled(council, tmp_path / "state", OURS)
        council.registry.admin.revoke(original.agent, wall_ms(), "test")
        here = settings(council, tmp_path / "state")
        with pytest.raises((NotEnrolled, Later)):
            await enrol_copy(here, "test", original, machine_digest(THEIRS))
        assert read_credential(tmp_path / "state") == original


def test_a_lost_device_id_is_put_back_and_nothing_dropped(tmp_path: Path) -> None:
    credential = StoredCredential("agent", "secret", device="a" * 32)
    (tmp_path / "spool.sqlite").touch()
    drop_the_others(tmp_path, credential)
    assert known_device_id(tmp_path) == "a" * 32
    assert (tmp_path / "spool.sqlite").exists()
    # Of an older agent, which kept none in the credential.
    save_device_id(tmp_path, "b" * 32)
    drop_the_others(tmp_path, StoredCredential("agent", "secret"))
    assert known_device_id(tmp_path) == "b" * 32


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
