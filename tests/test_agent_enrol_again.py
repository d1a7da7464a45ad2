"""A token that is put on a laptop brings it back if the server refuses its credential,
and changes nothing if not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from enrolled_laptops import OURS, accepts, enrolled, settings
from ingest_council import Door, door, registry_config

from probes.agent import agent_run, enrol
from probes.agent.enrol import StoredCredential, read_credential
from probes.agent.enrolment_token import EnrolmentToken
from probes.wire.clock import wall_ms
from probes.wire.machine_number import machine_digest


@pytest.fixture(autouse=True)
def computer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrol, "machine_of_this_computer", lambda: machine_digest(OURS))


def new_token(council: Door) -> str:
    return council.registry.admin.make_token("hall", 1, 1, wall_ms())


async def started(
    council: Door, state: Path, text: str
) -> tuple[StoredCredential, EnrolmentToken]:
    """What an agent with this token signs in with, and the token."""
    here = msgspec.structs.replace(settings(council, state), enrolment_token=text)
    token = EnrolmentToken(here, None, {})
    known = await agent_run._get_credential(
        here, "test", token, machine_digest(OURS), asyncio.Event()
    )
    assert known is not None
    return known, token


def uses(council: Door) -> list[int]:
    return [token.used for token in council.registry.admin.tokens()]


async def test_a_credential_that_is_accepted_stays_and_costs_no_use_of_the_token(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as council:
        before = await enrolled(council, tmp_path / "state", OURS)
        known, token = await started(council, tmp_path / "state", new_token(council))
        assert (known, token.is_needed) == (before, False)
        assert sorted(uses(council)) == [0, 1]


async def test_a_laptop_that_the_registry_has_lost_is_itself_again(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as council:
        before = await enrolled(council, tmp_path / "state", OURS)
    # A backup from before it had enrolled.
    registry_config(tmp_path).path.unlink()
    async with door(tmp_path) as council:
        known, token = await started(council, tmp_path / "state", new_token(council))
        assert known.agent == before.agent
        assert not token.is_needed
        assert read_credential(tmp_path / "state") == known
        assert await accepts(council, known)


async def test_a_disk_that_was_put_back_takes_no_other_laptops_place(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as council:
        old = await enrolled(council, tmp_path / "state", OURS)
        identities = council.registry.identities
        new = identities.renew(old.agent, old.secret, "", wall_ms())
        identities.confirm(old.agent, new.secret, wall_ms())
        known, token = await started(council, tmp_path / "state", new_token(council))
        assert known.agent != old.agent
        assert not token.is_needed
        council.registry.save_seen()
        first = council.registry.enrolled(old.agent)
        assert first is not None
        # The same computer is counted once, and that its credential was seen twice is
        # noted.
        assert first.replaced_ms
        assert first.copied_ms
        # If there is another laptop after all, it is not locked out.
        for who in (known, new):
            assert await accepts(council, who)


async def test_a_token_waits_if_the_server_takes_none_or_is_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with door(tmp_path) as council:
        before = await enrolled(council, tmp_path / "state", OURS)
        council.registry.admin.revoke(before.agent, wall_ms(), "test")
        known, token = await started(council, tmp_path / "state", new_token(council))
        assert (known, token.is_needed) == (before, True)
        assert "was revoked by its council" in caplog.text
        text = new_token(council)
    known, token = await started(council, tmp_path / "state", text)
    assert (known, token.is_needed) == (before, True)
