"""Everything wrong at once around a running Towpath: each thing is one clear sentence,
nothing is lost, and nothing else is disturbed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import services
from river import COMMUNITY, Council, Influx, Running, started, towpath
from river_laptops import Laptops, report
from waiting import until

from probes.agent.enrol import enrol
from probes.agent.publish_https import HttpsPublisher
from probes.agent.report_delivery import Receipt
from probes.agent.server_connection import ServerConnection
from probes.agent.spool_rows import SpooledReport
from towpath.demo.simulated_switches import SimulatedPort, SimulatedSwitch

V3 = """createUser towpath SHA-256 "the right one" AES "the right one"
rouser towpath priv
"""
WRONG = {
    "TOWPATH_SNMP_LOCKED_USER": "towpath",
    "TOWPATH_SNMP_LOCKED_AUTH_PASSWORD": "a wrong one",
    "TOWPATH_SNMP_LOCKED_PRIV_PASSWORD": "the right one",
    "TOWPATH_SNMP_SHUT_COMMUNITY": "a wrong one",
}
_DENIED = '{"error": "authorization failed"}'
_GONE = '{"error": "database not found"}'
# How the database answers -> (bytes, what is logged).
MOODS = {
    "401": (
        f"HTTP/1.1 401 X\r\nContent-Length: {len(_DENIED)}\r\n\r\n{_DENIED}",
        "answered 401, the token",
    ),
    "404": (
        f"HTTP/1.1 404 X\r\nContent-Length: {len(_GONE)}\r\n\r\n{_GONE}",
        "database not found",
    ),
    "503": ("HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n", "answered 503, "),
    "half": ("HTTP/1.1 204 No Con", "the connection broke"),
}


class Moody:
    """A TCP proxy before a server: `mood` is empty, and it lets all through, or one of
    `MOODS`, and it answers so itself."""

    def __init__(self, port: int) -> None:
        self._behind, self._mood = port, ""
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Moody:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def turn(self, mood: str) -> None:
        self._mood = mood
        for writer in self._open:
            writer.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._open.add(writer)
        try:
            with contextlib.suppress(OSError, EOFError):
                if self._mood:
                    await reader.readuntil(b"\r\n\r\n")
                    writer.write(MOODS[self._mood][0].encode())
                    await writer.drain()
                    return
                back, there = await asyncio.open_connection("127.0.0.1", self._behind)
                self._open.add(there)
                await asyncio.gather(_pipe(reader, there), _pipe(back, writer))
                self._open.discard(there)
        finally:
            writer.close()
            self._open.discard(writer)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


def device(id: str, port: int, credentials: str, address: str = "127.0.0.1") -> str:
    return f"""
[[devices]]
id = "{id}"
site = "hall"
address = "{address}"
port = {port}
credentials = "{credentials}"
"""


async def newer_report(council: Council, token: str) -> Receipt:
    """The server's answer to a laptop with a future version of the agent."""
    ca, folder = str(council.tls.authority), council.folder / "newer"
    folder.mkdir()
    who = await enrol(council.server, token, folder, ca, "towpath-test")
    made = msgspec.to_builtins(report(who.agent, 1))
    body = msgspec.json.encode({**made, "version": 7})
    async with ServerConnection(
        council.server, who, ca, "towpath-test", request_s=10
    ) as door:
        return await HttpsPublisher(door).send([SpooledReport("r1", 0, body)])


def outcomes_of_polls(influx: Influx) -> dict[str, list[str]]:
    """The outcome of every poll in the database, by device."""
    outcomes: dict[str, list[str]] = {}
    for tags, values in influx.rows(
        "towpath", "SELECT outcome, up, detail FROM device GROUP BY device"
    ):
        outcomes.setdefault(tags["device"], []).append(values[1])
    return outcomes


@pytest.mark.service
@pytest.mark.timeout(300)
async def test_each_fault_is_logged_once_and_disturbs_nothing_else(
    tmp_path: Path,
) -> None:
    council = Council(tmp_path)
    database = services.influxd(tmp_path / "influxd")
    locked = services.snmpd(tmp_path / "snmpd", V3)
    influx = Influx(database.port)
    ports = [SimulatedPort(1, "Gi1/0/1")]
    good = SimulatedSwitch("good", ports, community=COMMUNITY)
    shut = SimulatedSwitch("shut", ports, community="the right one")
    collector = Running(council, more_env=WRONG)
    async with Moody(database.port) as before, good, shut:
        council.write_settings(
            store=f'kind = "influxdb"\nurl = "http://127.0.0.1:{before.port}"\n'
            "flush_s = 0.3"
        )
        estate = council.estate.read_text() + "".join(
            device(*each)
            for each in (
                ("good", good.port_number, "river"),
                ("shut", shut.port_number, "shut"),
                ("locked", locked.port, "locked"),
            )
        )
        council.estate.write_text(estate)
        async with (
            started(database, locked, collector),
            Laptops(council, https=3) as laptops,
        ):
            await laptops.more(5)
            for mood in MOODS:
                went_on = collector.count("reader_goes_on")
                waited = collector.count("reader_waits")
                before.turn(mood)
                says = MOODS[mood][1]
                await until(
                    lambda s=says, n=waited: any(  # type: ignore[misc]
                        s in line for line in collector.lines("reader_waits")[n:]
                    ),
                    f"a word about {mood}",
                )
                # Reports are durable, and receipted, without a database. (A broken
                # connection may have been logged, and have ended, meanwhile.)
                await laptops.more(10)
                before.turn("")
                await until(
                    lambda n=went_on: collector.count("reader_goes_on") > n,  # type: ignore[misc]
                    f"the end of {mood}",
                    60,
                )
            lines = collector.lines("reader_waits")
            # The broken connection is a reason of its own, where there was one.
            assert len(lines) <= 2 * len(MOODS), lines
            assert len(lines) == len(set(lines))

            # A report of a version to come is refused by its name, beside the others.
            receipt = await newer_report(council, council.token())
            assert receipt.accepted == ()
            (refusal,) = receipt.refused
            assert refusal.why == (
                "version: the report has version 7, this server reads 1"
            )

            # A bad row in the estate keeps the last good one.
            council.estate.write_text(
                estate + device("bad", 161, "river", "10.0.0.256")
            )
            await until(lambda: collector.count("estate_refused") == 1, "a refusal")
            (line,) = collector.lines("estate_refused")
            assert "devices[4].address is '10.0.0.256', expected an IP address" in line
            await laptops.more(10)
            polls = good.requests
            await until(lambda: good.requests >= polls + 4, "polls of the good device")

            await laptops.finish()
            total = laptops.receipts
            await until(
                lambda: sum(map(len, influx.numbers().values())) >= total,
                f"{total} reports in the database",
            )
            numbers = influx.numbers()
            for laptop in laptops.all:
                assert sorted(laptop.receipted) == sorted(numbers[laptop.agent])
            # A silent device is polled less often on a busy machine.
            await until(
                lambda: min(map(len, outcomes_of_polls(influx).values())) > 3,
                "polls of every device",
            )
            outcomes = outcomes_of_polls(influx)
    assert {id: set(lines) for id, lines in outcomes.items()} == {
        "good": {"ok"},
        "shut": {"timeout"},
        "locked": {"auth_failed"},
    }
    # The wrong ones are asked again and again, and take no turn of the good one's.
    polls_of = {id: len(lines) for id, lines in outcomes.items()}
    assert polls_of["good"] >= max(polls_of.values()) - 1, polls_of
    assert min(polls_of.values()) > 3, polls_of
    # Each was logged once.
    assert collector.count("device_not_polled") == 2
    assert collector.count("Traceback") == 0


@contextlib.contextmanager
def taken(kind: socket.SocketKind) -> Iterator[int]:
    """A port of 127.0.0.1 that another program uses."""
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            holder.listen(1)
        yield int(holder.getsockname()[1])


@pytest.mark.parametrize("door", ["web", "https", "metrics"])
async def test_a_port_in_use_is_one_sentence_and_ends_with_one(
    tmp_path: Path, door: str
) -> None:
    council = Council(tmp_path)
    with taken(socket.SOCK_STREAM) as port:
        if door == "web":
            council.web = port
        elif door == "https":
            council.https = port
        council.write_settings()
        if door == "metrics":
            text = council.settings.read_text()
            text = text.replace("[metrics]\nport = 0", f"[metrics]\nport = {port}")
            council.settings.write_text(text)
        done = await asyncio.to_thread(towpath, "run", "-c", council.settings)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if "timestamp=" not in line]
    assert len(lines) == 1, lines
    (line,) = lines
    assert str(port) in line
    assert "in use" in line
    assert "Errno" not in line
    # What had started was stopped again: the next start has nothing to wait for.
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("option", "kind"),
    [("--stamp-port", socket.SOCK_DGRAM), ("--web-port", socket.SOCK_STREAM)],
)
def test_a_reflector_whose_port_is_in_use_names_the_port(
    option: str, kind: socket.SocketKind, tmp_path: Path
) -> None:
    file = tmp_path / "reflector.toml"
    free = services.free_port(), services.free_port(socket.SOCK_DGRAM)
    file.write_text(
        f'addresses = ["127.0.0.1"]\nweb_port = {free[0]}\nstamp_port = {free[1]}\n'
    )
    with taken(kind) as port:
        done = towpath("reflector", "-c", file, option, str(port))
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if "timestamp=" not in line]
    assert str(port) in line
    assert "in use" in line
    assert "Errno" not in line
