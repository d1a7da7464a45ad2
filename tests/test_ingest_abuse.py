"""Bodies and clients that would cost the HTTPS server too much, or are unreadable."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from ingest_council import body, door, enrol, receipt, report, wall_ms
from waiting import until

from probes.wire.report import MAX_BODY_BYTES, AgentCredential

DAY_MS = 86_400_000


async def test_bodies_nobody_can_read_are_charged_like_all_others(
    tmp_path: Path,
) -> None:
    limits = {
        "requests_per_s": 0.01,
        "requests_burst": 4,
        "bytes_per_s": 1,
        "bytes_burst": 5_000,
    }
    async with door(tmp_path, limits=limits) as council:
        noisy, large, calm = (enrol(council.registry, f"L{n}") for n in range(3))
        junk = [await council.send(noisy, b"junk") for _ in range(5)]
        assert [answer.status_code for answer in junk] == [400] * 4 + [429]
        # What a body takes unpacked counts as well, and so does one never read.
        packed = gzip.compress(b"[" + b" " * 4_000 + b"]")
        for status in (200, 429):
            answer = await council.send(large, packed, content_encoding="gzip")
            assert answer.status_code == status
        answer = await council.send(large, b"x" * 1_000)
        assert answer.status_code == 429
        assert receipt(await council.send(calm, body(report(calm.agent, "r1"))))
        assert council.ingest.stats.reasons == {"unreadable": 4, "agent_rate": 3}


async def test_gzip_is_taken_and_a_bomb_is_not(tmp_path: Path) -> None:
    async with door(tmp_path) as council:
        laptop = enrol(council.registry, "LAPTOP-1")
        content = body(report(laptop.agent, "r1"))
        half = len(content) // 2
        packed = gzip.compress(content[:half]) + gzip.compress(content[half:])
        answer = await council.send(laptop, packed, content_encoding="gzip")
        assert receipt(answer).accepted == ("r1",)
        bomb = gzip.compress(b"[" + b" " * 60_000_000 + b"]", 6)
        assert len(bomb) < MAX_BODY_BYTES
        for poison, status in [
            (bomb, 413),
            (packed[:-9], 400),
            (b"\x1f\x8b" + b"\x00" * 40, 400),
            (content, 400),
            (zlib.compress(content), 400),
            (packed + b"tail", 400),
        ]:
            answer = await council.send(laptop, poison, content_encoding="gzip")
            assert answer.status_code == status, answer.text
            assert answer.json()["why"]
        answer = await council.send(laptop, content, content_encoding="br")
        assert answer.status_code == 415
        assert council.ingest.stats.reasons == {
            "too_large": 1,
            "unreadable": 5,
            "coding": 1,
        }


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{}", 400),
        (b"[", 400),
        (b"null", 400),
        (b"[" * 400_000, 400),
        (b'[{"id":' + b"[" * 300_000 + b"]" * 300_000 + b"}]", 400),
        (b"\xff\xfe", 400),
        (b"[" + b"0," * 600 + b"0]", 413),
        (b" " * (MAX_BODY_BYTES + 1), 413),
    ],
)
async def test_a_body_that_is_no_list_of_reports_gets_one_sentence(
    tmp_path: Path, content: bytes, status: int
) -> None:
    async with door(tmp_path) as council:
        laptop = enrol(council.registry, "LAPTOP-1")
        answer = await council.send(laptop, content)
        assert answer.status_code == status, answer.text
        assert len(answer.json()["why"]) < 400
        receipt(await council.send(laptop, body(report(laptop.agent, "r1"))))


async def test_a_body_in_chunks_is_taken_within_the_same_bound(tmp_path: Path) -> None:
    async def chunks(content: bytes) -> AsyncIterator[bytes]:
        for at in range(0, len(content), 50_000):
            yield content[at : at + 50_000]

    async with door(tmp_path) as council:
        laptop = enrol(council.registry, "LAPTOP-1")
        auth = (laptop.agent, laptop.secret)
        good = body(*(report(laptop.agent, f"r{n}") for n in range(300)))
        answer = await council.client.post(
            "/v1/reports", content=chunks(good), auth=auth
        )
        assert len(receipt(answer).accepted) == 300
        try:
            answer = await council.client.post(
                "/v1/reports", content=chunks(b" " * 3_000_000), auth=auth
            )
        except httpx2.TransportError:
            # The connection may be closed before all of it was sent.
            pass
        else:
            assert answer.status_code == 413
        assert council.ingest.stats.reasons == {"too_large": 1}


async def test_too_many_at_once_are_asked_to_come_back(tmp_path: Path) -> None:
    async with door(tmp_path, limits={"in_flight": 2}) as council:
        laptops = [enrol(council.registry, f"LAPTOP-{n}") for n in range(3)]
        council.append.open.clear()
        held = [
            asyncio.create_task(council.send(who, body(report(who.agent, "r1"))))
            for who in laptops[:2]
        ]
        await until(lambda: council.append.calls == 2)
        answer = await council.send(laptops[2], body(report(laptops[2].agent, "r1")))
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        council.append.open.set()
        for connection in held:
            receipt(await connection)
        assert council.ingest.stats.turned_away == 1


async def test_one_agent_cannot_send_without_end(tmp_path: Path) -> None:
    limits = {"reports_per_s": 0.01, "reports_burst": 5}
    async with door(tmp_path, limits=limits) as council:
        noisy = enrol(council.registry, "LAPTOP-1")
        calm = enrol(council.registry, "LAPTOP-2")
        five = body(*(report(noisy.agent, f"r{n}") for n in range(5)))
        receipt(await council.send(noisy, five))
        answer = await council.send(noisy, body(report(noisy.agent, "r6")))
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 90
        receipt(await council.send(calm, body(report(calm.agent, "r1"))))


async def test_slow_silent_and_vanishing_clients_are_let_go_and_hurt_nobody(
    tmp_path: Path,
) -> None:
    async with door(tmp_path, https={"upload_s": 0.5, "header_s": 0.5}) as council:
        laptop = enrol(council.registry, "LAPTOP-1")
        trust = ssl.create_default_context(cafile=str(council.certificates.authority))

        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            return await asyncio.open_connection(
                "127.0.0.1", council.ingest.port, ssl=trust
            )

        auth = httpx2.BasicAuth(laptop.agent, laptop.secret)._auth_header
        head = (
            "POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n"
            f"Authorization: {auth}\r\n\r\n["
        ).encode()
        silent, slow, gone = await connect(), await connect(), await connect()
        slow[1].write(head)
        gone[1].write(head)
        await gone[1].drain()
        gone[1].transport.abort()
        dribble = await connect()
        dribble[1].write(b"POST /v1/rep")
        receipt(await council.send(laptop, body(report(laptop.agent, "r1"))))
        async with asyncio.timeout(20):
            assert b" 408 " in await slow[0].readline()
            assert await silent[0].read() == b""
            assert await dribble[0].read() == b""
        receipt(await council.send(laptop, body(report(laptop.agent, "r2"))))
        assert not council.ingest._uploads
        for _, writer in (silent, slow, dribble):
            writer.close()


async def test_a_burst_is_counted_to_the_last_report(tmp_path: Path) -> None:
    async with door(tmp_path) as council:
        laptops = [enrol(council.registry, f"LAPTOP-{n}") for n in range(10)]
        at_ms = wall_ms() - 1000

        async def send(who: AgentCredential, first: int) -> int:
            some = [
                report(who.agent, f"r{first + n}", time_ms=at_ms - first - n)
                for n in range(50)
            ]
            for _ in range(100):
                answer = await council.send(who, body(*some))
                if answer.status_code == 200:
                    return len(receipt(answer).accepted)
                assert answer.status_code == 503
                await asyncio.sleep(0.05)
            pytest.fail("never let in")

        counts = await asyncio.gather(
            *(send(who, 50 * n) for who in laptops for n in range(4))
        )
        assert sum(counts) == 2000 == council.ingest.stats.accepted
    assert len(council.append.rows()) == 4000
