"""The HTTP server's limits on connections, handshakes and time, and who is affected."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from served_http import GET_IN, closed, exchange, served
from waiting import until

from collectors.http import (
    CannotServe,
    Endpoint,
    HttpRefusal,
    HttpServer,
    ServerLimits,
)
from collectors.http.connection import Connection
from collectors.http.protocol import (
    HttpProtocol,
)


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Awaitable[None]], None]:
    return request.param  # type: ignore[no-any-return]


def test_silent_slow_and_idle_peers_are_closed_in_time_and_counted(
    run: Any, tmp_path: Path
) -> None:
    async def attack() -> None:
        async with served(tmp_path, head_s=0.3, idle_s=0.4) as running:
            silent = await running.silent()
            quiet, dribbling, idle = [await running.connect() for _ in range(3)]
            dribbling[1].write(b"GET /in/a HT")
            assert (await exchange(idle, GET_IN % b"a")).startswith(b"HTTP/1.1 200")
            for streams in (silent, quiet, dribbling, idle):
                assert await closed(streams)
            await until(lambda: running.server.connections == 0)
            assert running.refused == {
                HttpRefusal.HANDSHAKE: 1,
                HttpRefusal.SLOW_HEAD: 2,
            }

    run(attack())


def test_strangers_never_take_the_slots_of_signed_in_agents(
    run: Any, tmp_path: Path
) -> None:
    async def attack() -> None:
        limits = {"connections": 12, "strangers": 6, "strangers_per_address": 6}
        async with served(tmp_path, **limits) as running:
            known = [await running.connect() for _ in range(6)]
            for number, streams in enumerate(known):
                answer = await exchange(streams, GET_IN % b"%d" % number)
                assert answer.startswith(b"HTTP/1.1 200")
            crowd = [await running.silent("127.0.0.2") for _ in range(20)]
            crowd += [await running.connect("127.0.0.3") for _ in range(20)]
            assert running.server.strangers <= 6
            # Signed-in agents go on, and a new one gets in.
            for number, streams in enumerate(known):
                answer = await exchange(streams, GET_IN % b"%d" % number)
                assert answer.startswith(b"HTTP/1.1 200")
            known[0][1].close()
            await until(lambda: running.server.connections <= 11)
            newcomer = await running.connect("127.0.0.4")
            answer = await exchange(newcomer, GET_IN % b"new")
            assert answer.startswith(b"HTTP/1.1 200")
            assert running.refused.total() >= 34
            for streams in (*known, *crowd, newcomer):
                streams[1].close()

    run(attack())


async def test_500_laptops_behind_one_address_are_not_shut_out_by_silent_ones(
    tmp_path: Path,
) -> None:
    limits = {"connections": 120, "strangers": 30, "strangers_per_address": 20}
    async with served(tmp_path, **limits, handshakes_per_s=2_000) as running:
        crowd = [await running.silent() for _ in range(40)]
        gate = asyncio.Semaphore(10)

        async def laptop(number: int) -> bool:
            async with gate:
                streams = await running.connect()
                answer = await exchange(streams, GET_IN % b"laptop-%d" % number)
                streams[1].close()
                return answer.startswith(b"HTTP/1.1 200")

        assert all(await asyncio.gather(*map(laptop, range(500))))
        assert running.refused[HttpRefusal.ADDRESS_FULL] >= 20
        for _, writer in crowd:
            writer.close()


async def test_a_flood_of_handshakes_does_not_delay_other_addresses(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, handshakes_per_s=20) as running:
        crowd = [asyncio.create_task(running.connect("127.0.0.3")) for _ in range(80)]
        await asyncio.wait(crowd, return_when=asyncio.FIRST_COMPLETED)
        streams = await running.connect("127.0.0.2")
        assert b" 200 " in await exchange(streams, GET_IN % b"x")
        waiting = [task for task in crowd if not task.done()]
        # Most of the 80 still wait.
        assert len(waiting) > 40
        for task in crowd:
            task.cancel()
        done = await asyncio.gather(*crowd, return_exceptions=True)
        for result in (*done, streams):
            if isinstance(result, tuple):
                result[1].close()


async def test_only_the_answers_to_refused_requests_are_delayed() -> None:
    async with served(refusals_per_s=0.7) as running:
        refused = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
        crowd = [await running.connect() for _ in range(12)]
        asked = [asyncio.create_task(exchange(streams, refused)) for streams in crowd]
        done, _ = await asyncio.wait(asked, timeout=0.1)
        honest = await running.connect()
        assert b" 200 " in await exchange(honest, GET_IN % b"a")
        assert len(done) < 12
        assert all(b" 404 " in answer for answer in await asyncio.gather(*asked))
        for streams in (*crowd, honest):
            streams[1].close()


async def test_one_name_has_few_connections_and_busy_ones_are_kept() -> None:
    async with served(per_name=2, connections=20, strangers=10) as running:
        waiting = await running.connect()
        waiting[1].write(b"GET /wait/a HTTP/1.1\r\nHost: x\r\n\r\n")
        resting, third = await running.connect(), await running.connect()
        assert b" 200 " in await exchange(resting, GET_IN % b"a")
        await until(lambda: running.server.strangers == 1)
        assert b" 200 " in await exchange(third, GET_IN % b"a")
        assert await closed(resting)
        assert running.refused == {HttpRefusal.AGENT_FULL: 1}
        running.go_on.set()
        assert (await exchange(waiting, b"")).endswith(b"waited")
        for streams in (waiting, third):
            streams[1].close()


def test_a_peer_that_does_not_read_its_answer_is_closed(run: Any) -> None:
    async def attack() -> None:
        async with served(answer_s=0.3, linger_s=0.2) as running:
            reader, writer = await running.connect()
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(lambda: running.refused[HttpRefusal.SLOW_READER] == 1)
            await until(lambda: running.server.connections == 0)
            writer.close()

    run(attack())


async def test_if_no_file_is_left_a_stranger_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Full(socket.socket):
        left = 0

        def accept(self) -> Any:
            if Full.left:
                Full.left -= 1
                raise OSError(24, "Too many open files")
            return super().accept()

    listening = HttpServer._listen

    def listen(server: HttpServer) -> socket.socket:
        made = listening(server)
        return Full(fileno=made.detach())

    monkeypatch.setattr(HttpServer, "_listen", listen)
    async with served() as running:
        stranger, known = await running.connect(), await running.connect()
        assert b" 200 " in await exchange(known, GET_IN % b"a")
        Full.left = 1
        newcomer = await running.connect()
        assert b" 200 " in await exchange(newcomer, GET_IN % b"b")
        assert await closed(stranger)
        assert running.refused == {HttpRefusal.NO_FILES: 1}
        assert b" 200 " in await exchange(known, GET_IN % b"a")
        for streams in (known, newcomer):
            streams[1].close()


def test_a_closed_connection_leaves_no_objects_behind(run: Any, tmp_path: Path) -> None:
    async def come_and_go() -> None:
        gc.collect()
        gc.disable()
        try:
            async with served(tmp_path) as running:
                for _ in range(5):
                    streams = await running.connect()
                    assert b" 200 " in await exchange(streams, GET_IN % b"a")
                    streams[1].close()
                    silent = await running.silent()
                    silent[1].close()
                await until(lambda: running.server.connections == 0)
                await asyncio.sleep(0)
                left = [type(o) for o in gc.get_objects()]
            assert HttpProtocol not in left
            assert Connection not in left
        finally:
            gc.enable()

    run(come_and_go())


async def test_a_port_in_use_is_an_error_that_names_the_setting() -> None:
    async with served() as running:
        second = HttpServer(
            None,
            Endpoint("127.0.0.1", running.server.port, "web.port"),
            ServerLimits(),
        )
        with pytest.raises(CannotServe, match=r"cannot listen.*\(web\.port\)"):
            await second.start()


async def test_connections_stay_below_the_limit_of_open_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("collectors.http.server.raise_file_limit", lambda: 20)
    async with served(connections=4000, strangers=4000) as running:
        crowd = [await running.connect() for _ in range(30)]
        await until(lambda: running.refused[HttpRefusal.NO_PLACE] == 20)
        assert running.server.connections == 10
        for _, writer in crowd:
            writer.close()
