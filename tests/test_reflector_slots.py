"""The reflector's slots: how many tests run at once, for whom, and how fast."""

import asyncio
import os
import random

import httpx2
import pytest
from ndt7_reflector import (
    OFFER,
    QUICK,
    all_of,
    base,
    config,
    nobody_tests,
)
from services import free_port
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from collectors.reflector import ReflectorConfig, ReflectorService
from probes.measure import bandwidth
from probes.wire import ndt7
from probes.wire.failure import Outcome


async def test_idle_connections_keep_neither_others_nor_a_running_test_out():
    few = config(connections=10)
    async with (
        ReflectorService(few, test_seconds=2) as reflector,
        connect(f"{base(reflector)}/ndt/v7/download", **OFFER) as test,
    ):
        running = asyncio.create_task(all_of(test))
        crowd = [
            await asyncio.open_connection(
                "127.0.0.1", reflector.web_port, local_addr=("127.0.0.2", 0)
            )
            for _ in range(40)
        ]
        async with httpx2.AsyncClient(trust_env=False) as client:
            for _ in range(3):
                answer = await client.get(f"{base(reflector, 'http')}/echo")
                assert answer.status_code == 200
        _, sizes, closed = await running
        assert sizes
        assert closed.rcvd.code == 1000
        assert reflector.web_stats.crowded >= 30
        for _, writer in crowd:
            writer.close()


async def test_with_all_places_taken_the_answer_is_busy_until_one_is_free():
    async with ReflectorService(config(tests_at_once=1), test_seconds=30) as reflector:
        url = base(reflector) + ndt7.UPLOAD
        async with connect(url, **OFFER):
            with pytest.raises(InvalidStatus) as refused:
                await connect(url, **OFFER)
            assert refused.value.response.status_code == 503
            result = await bandwidth.measure(base(reflector), **QUICK)
            assert result.outcome is Outcome.BUSY
            assert "down_bps" not in result.values
            assert reflector.web_stats.busy == 2
        await nobody_tests(reflector)
        async with connect(url, **OFFER):
            pass


async def test_a_busy_answer_has_the_time_to_retry():
    busy = config(tests_at_once=1, retry_after_s=100)
    async with ReflectorService(busy, test_seconds=30) as reflector:
        url = base(reflector) + ndt7.UPLOAD
        async with connect(url, **OFFER):
            result = await bandwidth.measure(base(reflector), **QUICK)
    assert result.outcome is Outcome.BUSY
    assert 50 <= result.values["retry_after_s"] <= 150


async def test_one_place_of_a_network_leaves_the_others_to_other_networks():
    several = config(
        addresses=("127.0.0.1", "::1"), web_port=free_port(), tests_at_once=3
    )
    async with ReflectorService(several, test_seconds=30) as reflector:
        url = base(reflector) + ndt7.UPLOAD
        async with connect(url, **OFFER):
            with pytest.raises(InvalidStatus):
                await connect(url, **OFFER)
            async with connect(url.replace("127.0.0.1", "[::1]"), **OFFER):
                assert reflector.web_stats.testing == 2


async def test_a_place_is_free_as_soon_as_the_test_is_over():
    async with ReflectorService(config(tests_at_once=1), test_seconds=0.3) as reflector:
        url = base(reflector)
        rude = await asyncio.open_connection("127.0.0.1", reflector.web_port)
        # A client that never answers the closing handshake.
        rude[1].write(
            b"GET /ndt/v7/upload HTTP/1.1\r\nHost: r\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Protocol: net.measurementlab.ndt.v7\r\n\r\n"
        )
        assert b"101" in await rude[0].readuntil(b"\r\n")
        await nobody_tests(reflector)
        async with connect(url + ndt7.UPLOAD, **OFFER):
            pass
        rude[1].close()


async def test_a_tenth_of_the_line_is_what_all_tests_share():
    # As it comes, a line of 1 Gbit/s: never without a limit.
    assert ReflectorConfig().share_bps == 50e6
    shared = config(tests_at_once=2, line_bps=400e6, tests_bps=0)
    assert shared.share_bps == 20e6
    assert config(tests_at_once=2, line_bps=400e6, tests_bps=10e6).share_bps == 5e6
    async with (
        ReflectorService(shared, test_seconds=1.0) as reflector,
        connect(base(reflector) + ndt7.DOWNLOAD, **OFFER) as link,
    ):
        assert link.response.headers[ndt7.CAP_HEADER] == "20000000"


async def test_a_place_is_freed_when_a_client_vanishes():
    async with ReflectorService(config(tests_at_once=1), test_seconds=30) as reflector:
        link = await connect(base(reflector) + ndt7.DOWNLOAD, **OFFER)
        link.transport.abort()
        await nobody_tests(reflector)


async def test_noise_at_the_web_door_leaves_it_open():
    random.seed(1)
    async with ReflectorService(config()) as reflector:
        idle = await asyncio.open_connection("127.0.0.1", reflector.web_port)
        for _ in range(30):
            _reader, writer = await asyncio.open_connection(
                "127.0.0.1", reflector.web_port
            )
            writer.write(b"GET /ndt/v7/upload HTTP/1.1\r\n" * random.randrange(2))
            writer.write(os.urandom(random.randrange(1, 2000)))
            writer.close()
        async with httpx2.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{reflector.web_port}/echo")
            assert answer.text == "towpath\n"
        idle[1].close()
        assert reflector.web_stats.testing == 0


async def test_leaving_the_reflector_ends_the_tests_that_run():
    async with ReflectorService(config(), test_seconds=60) as reflector:
        link = await connect(base(reflector) + ndt7.UPLOAD, **OFFER)
    _texts, _sizes, closed = await all_of(link)
    assert closed is not None
