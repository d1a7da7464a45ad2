"""A disk that was copied to another computer becomes another laptop there."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import msgspec
import pytest
from enrolled_laptops import OURS, THEIRS, accepts, enrolled, settings
from ingest_council import door

from collectors.ingest.ingest_config import PolicyConfig
from probes.agent import agent_run
from probes.agent.copied_disk import (
    drop_the_others,
    enrol_copy,
    with_machine,
)
from probes.agent.enrol import (
    NotEnrolled,
    StoredCredential,
    is_copy,
    known_device_id,
    read_credential,
    save_credential,
    save_device_id,
)
from probes.agent.enrolment_token import EnrolmentToken
from probes.agent.report_delivery import Later
from probes.agent.settings import Settings
from probes.wire.clock import wall_ms
from probes.wire.machine_number import machine_digest


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


async def started_elsewhere(here: Settings) -> StoredCredential | None:
    """The credential of an agent that starts on the other computer."""
    return await agent_run._get_credential(
        here,
        "test",
        EnrolmentToken(here, None, {}),
        machine_digest(THEIRS),
        asyncio.Event(),
    )


async def test_a_copied_disk_becomes_another_laptop_at_its_start(
    tmp_path: Path,
) -> None:
    async with door(tmp_path, policy=PolicyConfig(services=())) as council:
        original = await enrolled(council, tmp_path / "state", OURS)
        names = ("spool.sqlite", "sent.jsonl", "places.json", "policy.json")
        for name in (*names, "places.json.damaged", "support.json"):
            (tmp_path / "state" / name).write_text("of the other one")
        shutil.copytree(tmp_path / "state", tmp_path / "copy")
        here = settings(council, tmp_path / "copy")
        copied = await started_elsewhere(here)
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
        ours = {"credential.json", "device", "policy.json", "reserve", "spool.sqlite"}
        assert left == ours
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


@pytest.mark.parametrize("stripped", [True, False])
async def test_copies_of_a_disk_that_enrol_with_a_token_are_laptops_of_their_own(
    tmp_path: Path, stripped: bool
) -> None:
    """`stripped`: the credential was removed before the disk was copied."""
    async with door(tmp_path) as council:
        original = await enrolled(council, tmp_path / "state", OURS)
        copies = []
        for number in range(8):
            copy = tmp_path / f"copy-{number}"
            shutil.copytree(tmp_path / "state", copy)
            if stripped:
                (copy / "credential.json").unlink()
            own = await enrolled(council, copy, f"{THEIRS}{number}")
            drop_the_others(copy, own)
            assert known_device_id(copy) == own.device
            copies.append(own)
        assert len({copy.agent for copy in copies} | {original.agent}) == 9
        for who in (original, *copies):
            assert await accepts(council, who)


def test_a_laptop_from_before_numbers_notes_its_computer(tmp_path: Path) -> None:
    ours, theirs = machine_digest(OURS), machine_digest(THEIRS)
    old = StoredCredential("agent", "secret")
    assert with_machine(tmp_path, old, "") == old
    noted = with_machine(tmp_path, old, ours)
    assert read_credential(tmp_path) == noted
    assert is_copy(noted, theirs)
    assert with_machine(tmp_path, noted, theirs) == noted


@pytest.mark.parametrize("has_token", [True, False])
async def test_a_copy_whose_secret_is_too_old_needs_a_token(
    tmp_path: Path, has_token: bool
) -> None:
    async with door(tmp_path) as council:
        old = await enrolled(council, tmp_path / "state", OURS)
        identities, now_ms = council.registry.identities, wall_ms()
        new = identities.renew(old.agent, old.secret, "", now_ms)
        identities.confirm(old.agent, new.secret, now_ms)
        here = settings(council, tmp_path / "state")
        if has_token:
            token = council.registry.admin.make_token("hall", 1, 1, now_ms)
            here = msgspec.structs.replace(here, enrolment_token=token)
        starting = started_elsewhere(here)
        if not has_token:
            with pytest.raises(NotEnrolled, match="towpath-agent enrol --new"):
                await starting
            return
        own = await starting
        assert own is not None
        assert own.agent != old.agent
        drop_the_others(tmp_path / "state", own)
        assert await accepts(council, own)
        assert await accepts(council, new)


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
