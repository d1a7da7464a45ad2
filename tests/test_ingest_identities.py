"""Laptops that are set up again, copied, or get a new secret: nobody is locked out,
nobody is counted twice, and copies are noticed."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest_council import Door, body, door, enrol, opened_registry, registry_config
from ingest_council import report as make_report

from collectors.ingest.enrolled_counts import expected_and_heard
from collectors.ingest.pseudonym import machine_hash, read_key
from collectors.ingest.registry import Registry
from collectors.ingest.registry_identities import MAX_MOVES
from collectors.ingest.registry_records import (
    DeviceTaken,
    EnrolledAgent,
    EnrolmentRefused,
)
from collectors.ingest.rejection_reasons import RejectionReason
from probes.wire.clock import wall_ms
from probes.wire.machine_number import machine_digest
from probes.wire.report import AgentCredential, CredentialWish, Enrolment

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000
SERIAL = machine_digest("PF3ABCDE")
OTHER_SERIAL = machine_digest("5CG1234XYZ")


def enrol_on(
    registry: Registry, device: str, machine: str, now_ms: int = NOW_MS
) -> AgentCredential:
    token = registry.admin.make_token("town-hall", 1, 1, now_ms)
    return registry.identities.enrol(Enrolment(token, device, machine), now_ms)


def known(registry: Registry, laptop: AgentCredential) -> EnrolledAgent:
    (agent,) = [a for a in registry.agents() if a.agent == laptop.agent]
    return agent


# -- numbers of computers ----------------------------------------------------------


def test_the_file_has_only_a_keyed_hash_of_the_computers_number(
    tmp_path: Path,
) -> None:
    with opened_registry(tmp_path) as registry:
        laptop = enrol_on(registry, "a", SERIAL)
        machine = known(registry, laptop).machine
    assert machine == machine_hash(read_key(registry_config(tmp_path).key_file), SERIAL)
    content = registry_config(tmp_path).path.read_bytes()
    assert machine.encode() in content
    assert b"PF3ABCDE" not in content
    assert SERIAL.encode() not in content


def test_no_number_is_kept_if_the_council_does_not_want_it(tmp_path: Path) -> None:
    config = registry_config(tmp_path).model_copy(update={"machine_ids": False})
    with Registry(config) as registry:
        first = enrol_on(registry, "a", SERIAL)
        enrol_on(registry, "b", SERIAL)
        assert known(registry, first).machine == ""
        assert known(registry, first).counts
        # A copy is still another laptop, although nobody keeps by what it was known.
        wish = Enrolment("", "c", OTHER_SERIAL)
        copies = [registry.identities.move(first.agent, wish, NOW_MS) for _ in "ab"]
        assert copies[0].agent == copies[1].agent
        assert known(registry, copies[0]).machine == ""


def test_numbers_go_when_the_council_does_not_want_them_any_more(
    tmp_path: Path,
) -> None:
    with opened_registry(tmp_path) as registry:
        laptop = enrol_on(registry, "a", SERIAL)
        machine = known(registry, laptop).machine
        assert machine
    config = registry_config(tmp_path).model_copy(update={"machine_ids": False})
    with Registry(config) as registry:
        assert known(registry, laptop).machine == ""
        assert registry.verify(laptop.agent, laptop.secret) is not None
    assert machine.encode() not in config.path.read_bytes()


# -- set up again ------------------------------------------------------------------


def test_a_laptop_that_is_set_up_again_is_counted_once(tmp_path: Path) -> None:
    with opened_registry(tmp_path) as registry:
        old = enrol_on(registry, "a", SERIAL)
        registry.mark_seen(old.agent, NOW_MS)
        new = enrol_on(registry, "b", SERIAL, NOW_MS + DAY_MS)
        registry.mark_seen(new.agent, NOW_MS + DAY_MS)
        assert old.agent != new.agent
        assert known(registry, old).replaced_ms == NOW_MS + DAY_MS
        expected, heard = expected_and_heard(
            registry.agents(), lambda agent: agent.home_site, NOW_MS + DAY_MS
        )
        assert (expected["town-hall"], heard["town-hall"]) == (1, 1)


def test_a_replaced_laptop_that_measures_again_was_not_replaced(
    tmp_path: Path,
) -> None:
    with opened_registry(tmp_path) as registry:
        first = enrol_on(registry, "a", SERIAL)
        second = enrol_on(registry, "b", SERIAL, NOW_MS + 1000)
        # What it measured before, and a broker kept.
        registry.mark_measured(first.agent, NOW_MS + 999)
        registry.save_seen()
        assert not known(registry, first).counts
        for later_ms in (2000, 3000):
            assert registry.verify(first.agent, first.secret) is not None
            registry.mark_measured(first.agent, NOW_MS + later_ms)
            registry.save_seen()
        assert known(registry, first).counts
        assert known(registry, second).counts
        assert known(registry, first).shares
        assert known(registry, second).shares
        # Its number is no longer a reason to replace any.
        third = enrol_on(registry, "c", SERIAL, NOW_MS + 4000)
        assert all(agent.counts and agent.shares for agent in registry.agents())
        assert known(registry, third).shares
        notes = [note.what for note in registry.admin.audit()]
        assert notes.count("number shared") == 1


async def test_a_report_of_a_replaced_laptop_brings_it_back(tmp_path: Path) -> None:
    now_ms = wall_ms()
    async with door(tmp_path) as council:
        old = enrol_on(council.registry, "a", SERIAL, now_ms - 60_000)
        enrol_on(council.registry, "b", SERIAL, now_ms - 30_000)
        assert not known(council.registry, old).counts
        before = make_report(old.agent, "1", time_ms=now_ms - 40_000)
        await council.send(old, body(before))
        council.registry.save_seen()
        assert not known(council.registry, old).counts
        await council.send(old, body(make_report(old.agent, "2", time_ms=now_ms)))
        council.registry.save_seen()
        assert known(council.registry, old).counts


# -- copied ------------------------------------------------------------------------


def test_a_copy_on_other_hardware_gets_an_identity_of_its_own(tmp_path: Path) -> None:
    with opened_registry(tmp_path) as registry:
        token = registry.admin.make_token("depot", 1, 7, NOW_MS, "callers")
        original = registry.identities.enrol(Enrolment(token, "a", SERIAL), NOW_MS)
        registry.admin.set_ring(original.agent, "pilot", NOW_MS, "alex")
        wish = Enrolment("", "b", OTHER_SERIAL)
        copy = registry.identities.move(original.agent, wish, NOW_MS)
        assert copy.agent != original.agent
        agent = known(registry, copy)
        assert (agent.home_site, agent.ring, agent.team) == (
            "depot",
            "pilot",
            "callers",
        )
        assert registry.verify(original.agent, original.secret) is not None
        # Its answer was lost: it asks again, and is the same.
        again = registry.identities.move(original.agent, wish, NOW_MS)
        assert again.agent == copy.agent
        assert registry.verify(again.agent, again.secret) is not None
        assert [note.what for note in registry.admin.audit()].count(
            "copy enrolled"
        ) == 1


def test_no_other_laptop_gets_in_as_a_copy(tmp_path: Path) -> None:
    with opened_registry(tmp_path) as registry:
        original = enrol_on(registry, "a", SERIAL)
        other = enrol_on(registry, "b", OTHER_SERIAL)
        for wish, why in (
            (Enrolment("", "c", ""), "only a copy on other hardware"),
            (Enrolment("", "a", OTHER_SERIAL), "only a copy on other hardware"),
            (Enrolment("", "b", machine_digest("NEW-1234")), "name is taken"),
            (Enrolment("", "c", SERIAL), "knows this laptop by that number"),
            (Enrolment("", " ", OTHER_SERIAL), "device id is empty"),
        ):
            with pytest.raises(EnrolmentRefused, match=why):
                registry.identities.move(original.agent, wish, NOW_MS)
        assert registry.verify(other.agent, other.secret) is not None
        for number in range(MAX_MOVES):
            wish = Enrolment("", f"copy-{number}", machine_digest(f"SERIAL{number:04}"))
            registry.identities.move(original.agent, wish, NOW_MS)
        wish = Enrolment("", "one more", machine_digest("ONE-MORE"))
        with pytest.raises(EnrolmentRefused, match="enrol this one with a token"):
            registry.identities.move(original.agent, wish, NOW_MS)
        registry.admin.revoke(original.agent, NOW_MS, "alex")
        with pytest.raises(EnrolmentRefused, match="revoked"):
            registry.identities.move(original.agent, wish, NOW_MS)


def test_an_id_that_another_computer_has_is_not_taken_over(tmp_path: Path) -> None:
    with opened_registry(tmp_path) as registry:
        first = enrol_on(registry, "a", SERIAL)
        token = registry.admin.make_token("town-hall", 1, 1, NOW_MS)
        wish = Enrolment(token, "a", OTHER_SERIAL)
        assert registry.is_taken(wish)
        with pytest.raises(DeviceTaken, match="towpath-agent enrol --new"):
            registry.identities.enrol(wish, NOW_MS)
        assert registry.verify(first.agent, first.secret) is not None
        # The same computer, and one that does not say which it is.
        for machine in (SERIAL, ""):
            again = Enrolment(token, "a", machine)
            assert not registry.is_taken(again)
            assert registry.identities.enrol(again, NOW_MS).agent == first.agent
        (left,) = [token for token in registry.admin.tokens() if token.used == 1][:1]
        assert left.uses == 1


async def test_a_copy_proves_itself_with_the_credential_it_has(tmp_path: Path) -> None:
    async with door(tmp_path) as council:
        original = enrol_on(council.registry, "a", SERIAL, wall_ms())
        wish = Enrolment("", "b", OTHER_SERIAL)
        refused = await post(council, "enrol", wish, None)
        assert refused.status_code == 403
        wrong = msgspec.structs.replace(original, secret="x" * 43)
        assert (await post(council, "enrol", wish, wrong)).status_code == 401
        answer = await post(council, "enrol", wish, original)
        copy = msgspec.json.decode(answer.content, type=AgentCredential)
        assert copy.agent not in ("", original.agent)
        for who in (original, copy):
            sent = await council.send(who, body(make_report(who.agent, "1")))
            assert sent.status_code == 200


# -- new secrets -------------------------------------------------------------------


@given(
    steps=st.lists(st.sampled_from(["renew", "lost", "confirm", "late"]), max_size=8)
)
def test_whatever_answer_is_lost_the_laptops_secret_is_valid(steps: list[str]) -> None:
    """`lost`: the answer to a renewal never comes. `late`: to a confirmation."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder, opened_registry(Path(folder)) as reg:
        laptop = enrol(reg, "a")
        has, confirmed = laptop.secret, True
        for step in steps:
            if step in ("renew", "lost"):
                new = reg.identities.renew(laptop.agent, has, "", NOW_MS)
                if step == "renew":
                    has, confirmed = new.secret, False
            elif not confirmed:
                reg.identities.confirm(laptop.agent, has, NOW_MS)
                confirmed = step == "confirm"
            assert reg.verify(laptop.agent, has) is not None, steps
            # Another process, which has just started.
            with opened_registry(Path(folder)) as other:
                assert other.verify(laptop.agent, has) is not None, steps


def test_the_old_secret_is_valid_until_the_new_one_is_confirmed(
    tmp_path: Path,
) -> None:
    with opened_registry(tmp_path) as registry:
        laptop = enrol(registry, "a")
        (before,) = registry.broker_users()
        lost = registry.identities.renew(laptop.agent, laptop.secret, "", NOW_MS)
        new = registry.identities.renew(laptop.agent, laptop.secret, "", NOW_MS)
        assert registry.broker_users() == [before]
        assert registry.verify(laptop.agent, laptop.secret) is not None
        assert registry.verify(laptop.agent, new.secret) is not None
        assert registry.verify(laptop.agent, lost.secret) is None
        with pytest.raises(EnrolmentRefused, match="not valid any more"):
            registry.identities.confirm(laptop.agent, lost.secret, NOW_MS)
        for _ in range(2):
            registry.identities.confirm(laptop.agent, new.secret, NOW_MS)
        assert registry.verify(laptop.agent, laptop.secret) is None
        assert registry.verify(laptop.agent, new.secret) is not None
        assert registry.broker_users() != [before]
        registry.admin.revoke(laptop.agent, NOW_MS, "alex")
        for attempt in (
            lambda: registry.identities.renew(laptop.agent, new.secret, "", NOW_MS),
            lambda: registry.identities.confirm(laptop.agent, new.secret, NOW_MS),
        ):
            with pytest.raises(EnrolmentRefused):
                attempt()


def test_a_laptop_from_before_numbers_gets_one_with_its_new_secret(
    tmp_path: Path,
) -> None:
    with opened_registry(tmp_path) as registry:
        gone = enrol_on(registry, "a", "")
        laptop = enrol_on(registry, "b", "")
        registry.identities.renew(laptop.agent, laptop.secret, SERIAL, NOW_MS)
        assert known(registry, laptop).machine
        assert known(registry, gone).counts
        # A number that is known does not change: the laptop asks to be another then.
        registry.identities.renew(laptop.agent, laptop.secret, OTHER_SERIAL, NOW_MS)
        again = enrol_on(registry, "c", SERIAL)
        assert not known(registry, laptop).counts
        assert known(registry, again).counts


async def test_a_secret_that_was_replaced_shows_that_two_laptops_use_it(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as council:
        laptop = enrol(council.registry, "a")
        answer = await post(council, "credential", CredentialWish(), laptop)
        new = msgspec.json.decode(answer.content, type=AgentCredential)
        assert new.agent == laptop.agent
        confirmed = await post(council, "credential/confirm", None, new)
        assert confirmed.status_code == 200
        for _ in range(3):
            refused = await council.send(laptop, body(make_report(laptop.agent, "1")))
            assert refused.status_code == 401
            assert "towpath-agent enrol --new" in refused.json()["why"]
            council.registry.save_seen()
        accepted = await council.send(new, body(make_report(new.agent, "2")))
        assert accepted.status_code == 200
        assert council.ingest.stats.reasons[RejectionReason.USED_TWICE] == 3
        assert council.ingest.stats.reasons[RejectionReason.CREDENTIAL] == 0
        assert known(council.registry, laptop).copied_ms
        notes = [note.what for note in council.registry.admin.audit()]
        assert notes.count("credential used twice") == 1
        # Nobody's: a secret that never was one.
        stranger = msgspec.structs.replace(laptop, secret="x" * 43)
        await council.send(stranger, body(make_report(laptop.agent, "3")))
        assert council.ingest.stats.reasons[RejectionReason.CREDENTIAL] == 1


@pytest.mark.parametrize(
    "content", [b"[]", b"{", b'{"machine": 7}', b'{"machine": "abc"}', b"\xff"]
)
async def test_a_request_for_a_secret_that_is_none_changes_nothing(
    tmp_path: Path, content: bytes
) -> None:
    async with door(tmp_path) as council:
        laptop = enrol(council.registry, "a")
        answer = await council.client.post(
            "/v1/credential", content=content, auth=(laptop.agent, laptop.secret)
        )
        assert answer.status_code == 400
        assert answer.json()["why"].startswith("expected machine")
        assert council.registry.verify(laptop.agent, laptop.secret) is not None


# -- what is deleted ---------------------------------------------------------------


def test_a_laptop_that_is_forgotten_leaves_its_name_nowhere(tmp_path: Path) -> None:
    with opened_registry(tmp_path) as registry:
        erased, unseen = (enrol(registry, device) for device in "ab")
        for laptop in (erased, unseen):
            new = registry.identities.renew(laptop.agent, laptop.secret, "", NOW_MS)
            registry.identities.confirm(laptop.agent, new.secret, NOW_MS)
            registry.admin.set_ring(laptop.agent, "pilot", NOW_MS, "alex")
        registry.admin.forget(erased.agent, NOW_MS, "alex")
        assert registry.admin.forget_unseen(wall_ms() + DAY_MS) == 1
        content = registry_config(tmp_path).path.read_bytes()
        for laptop in (erased, unseen):
            assert laptop.agent.encode() not in content


async def post(
    council: Door, path: str, content: object, who: AgentCredential | None
) -> Any:
    headers = {}
    if who is not None:
        pair = base64.b64encode(f"{who.agent}:{who.secret}".encode()).decode()
        headers["Authorization"] = f"Basic {pair}"
    raw = b"" if content is None else msgspec.json.encode(content)
    return await council.client.post(f"/v1/{path}", content=raw, headers=headers)
