"""Enrolment while tokens are being guessed: real laptops can still enrol."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ingest_council import Door, door, opened_registry, registry_config, wall_ms

from collectors.ingest.enrolment import EnrolmentsBusy, EnrolmentService
from collectors.ingest.registry import Registry
from collectors.ingest.registry_records import EnrolmentRefused
from probes.wire.report import AgentCredential, Enrolment


async def ask(council: Door, token: str, device: str) -> Any:
    body = msgspec.json.encode(Enrolment(token, device))
    return await council.client.post("/v1/enrol", content=body)


async def test_laptops_enrol_from_the_address_that_junk_tokens_come_from(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as council:
        token = council.registry.admin.make_token("depot", 40, 1, wall_ms())

        async def junk(number: int) -> list[int]:
            return [
                (await ask(council, f"tow-junk-{number}-{n}", "x")).status_code
                for n in range(40)
            ]

        junking = asyncio.gather(*(junk(number) for number in range(50)))
        laptops = await asyncio.gather(
            *(ask(council, token, f"laptop-{number}") for number in range(40))
        )
        answers = [status for some in await junking for status in some]
        assert [answer.status_code for answer in laptops] == [200] * 40
        assert len(answers) == 2000
        assert set(answers) == {403, 429}
        # After the first few, the answer no longer reveals that the token is unknown.
        assert answers.count(403) < 100
        # A try in five seconds is allowed.
        more = [await ask(council, f"one-more-{n}", "x") for n in range(30)]
        refused = next(answer for answer in more if answer.status_code == 429)
        assert int(refused.headers["retry-after"]) > 0


async def test_a_junk_token_costs_no_disk(tmp_path: Path) -> None:
    with opened_registry(tmp_path) as registry:
        token = registry.admin.make_token("depot", 1, 1, wall_ms())
        enrolling = EnrolmentService(registry, None, lambda: 0.0)
        other = sqlite3.connect(registry_config(tmp_path).path, isolation_level=None)
        # Whoever touches the file now waits for ten seconds.
        other.execute("BEGIN EXCLUSIVE")
        async with asyncio.timeout(9):
            for number in range(20):
                junk = Enrolment(f"junk-{number}", "x")
                with pytest.raises(EnrolmentRefused, match="not known"):
                    await enrolling.enrol(junk, "192.0.2.7", wall_ms())
            for _ in range(1_000):
                with pytest.raises(EnrolmentsBusy) as many:
                    await enrolling.enrol(junk, "192.0.2.99", wall_ms())
                assert many.value.own
        other.execute("ROLLBACK")
        other.close()
        # The same network, a real token.
        made = await enrolling.enrol(Enrolment(token, "d"), "192.0.2.7", wall_ms())
        assert made.home_site == "depot"


async def test_a_token_that_another_process_has_just_made_is_known(
    tmp_path: Path,
) -> None:
    with opened_registry(tmp_path) as registry:
        enrolling = EnrolmentService(registry, None, lambda: 0.0)
        for number in range(5):
            with Registry(registry_config(tmp_path)) as other:
                token = other.admin.make_token("depot", 1, 1, wall_ms())
            made = await enrolling.enrol(
                Enrolment(token, f"laptop-{number}"), "192.0.2.7", wall_ms()
            )
            assert made.home_site == "depot"


async def test_a_used_up_expired_or_withdrawn_token_is_refused_from_memory(
    tmp_path: Path,
) -> None:
    now_ms = wall_ms()
    with opened_registry(tmp_path) as registry:
        used = registry.admin.make_token("depot", 1, 1, now_ms)
        registry.identities.enrol(Enrolment(used, "first"), now_ms)
        old = registry.admin.make_token("depot", 1, 1, now_ms - 2 * 86_400_000)
        withdrawn = registry.admin.make_token("depot", 1, 1, now_ms)
        for token in registry.admin.tokens():
            if not token.used and token.expires_ms > now_ms:
                assert registry.admin.withdraw_token(token.id, wall_ms(), "test")
        for token, why in (
            (used, "had 1 uses"),
            (old, "expired on"),
            (withdrawn, "was withdrawn"),
        ):
            assert why in registry.refusal_reason(Enrolment(token, "second"), now_ms)
        # Its answer was lost: the same laptop may come again.
        assert registry.refusal_reason(Enrolment(used, "first"), now_ms) == ""


async def test_a_token_gives_no_more_than_its_uses_however_many_ask_at_once(
    tmp_path: Path,
) -> None:
    with (
        opened_registry(tmp_path) as registry,
        Registry(registry_config(tmp_path)) as other,
    ):
        token = registry.admin.make_token("depot", 3, 1, wall_ms())
        # As two DMZ nodes ask one process, and as two processes do.
        services = [EnrolmentService(r, None, lambda: 0.0) for r in (registry, other)]
        asked = [
            services[n % 2].enrol(Enrolment(token, f"d-{n}"), f"192.0.{n}.7", wall_ms())
            for n in range(10)
        ]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(answer, AgentCredential) for answer in answers) == 3
        assert sum(isinstance(answer, EnrolmentRefused) for answer in answers) == 7
        registry.refresh()
        [known] = registry.admin.tokens()
        assert (known.uses, known.used) == (3, 3)


async def test_a_laptop_that_enrols_over_and_over_must_wait(
    tmp_path: Path,
) -> None:
    clock_s = [0.0]
    with opened_registry(tmp_path) as registry:
        enrolling = EnrolmentService(registry, None, lambda: clock_s[0])
        enrolment = Enrolment(
            registry.admin.make_token("depot", 1, 1, wall_ms()), "laptop"
        )
        for _ in range(5):
            await enrolling.enrol(enrolment, "192.0.2.7", wall_ms())
        with pytest.raises(EnrolmentsBusy) as many:
            await enrolling.enrol(enrolment, "192.0.2.7", wall_ms())
        clock_s[0] += many.value.retry_s
        await enrolling.enrol(enrolment, "192.0.2.7", wall_ms())


async def test_an_office_of_hundreds_enrols_from_one_address_at_once(
    tmp_path: Path,
) -> None:
    with opened_registry(tmp_path) as registry:
        enrolling = EnrolmentService(registry, None, lambda: 0.0)
        token = registry.admin.make_token("depot", 300, 1, wall_ms())
        made: list[AgentCredential] = await asyncio.gather(
            *(
                enrolling.enrol(Enrolment(token, f"d{n}"), "192.0.2.7", wall_ms())
                for n in range(300)
            )
        )
    assert len({credential.agent for credential in made}) == 300
