"""The servers around Towpath in the demo: switches, a VPN gateway, a broker, a beacon,
and a receiver of pages. All of them really listen."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import msgspec
import structlog

from alerts.notify.webhook import verify_signature
from collectors.ingest.certificate import Certificates
from probes.wire.clock import wall_ms
from towpath.demo.demo_council import (
    CHAMBER_PORT,
    CHAMBER_SWITCH,
    LIBRARY_LINE_PORT,
    SWITCHES,
    Switch,
)
from towpath.demo.simulated_switches import (
    SimulatedNeighbour,
    SimulatedPort,
    SimulatedSwitch,
)

_log = structlog.get_logger()
_LINE_PORTS = range(43, 48)
_UPLINK = 24
_START_S, _ANSWER_S = 60.0, 5.0


def free_ports(kind: socket.SocketKind, count: int) -> list[int]:
    """`count` different free ports of 127.0.0.1."""
    with contextlib.ExitStack() as held:
        probes = [
            held.enter_context(socket.socket(socket.AF_INET, kind))
            for _ in range(count)
        ]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def own_address() -> str:
    """This machine's address in its network; 127.0.0.1 if it has none.

    Connecting a UDP socket selects the address and sends nothing.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # RFC 5737: an address for documentation.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def build_switch(switch: Switch, port: int) -> SimulatedSwitch:
    """A simulated switch with the traffic of a working day."""
    dice = random.Random(switch.id)
    ports = [_port(switch, n, dice) for n in range(1, switch.ports + 1)]
    return SimulatedSwitch(
        switch.id,
        ports,
        port=port,
        community="demo",
        description=f"Towpath demo {switch.role}: {switch.name}",
        location=switch.name,
    )


def _port(switch: Switch, number: int, dice: random.Random) -> SimulatedPort:
    core = switch.id == "core-1"
    name = f"GigabitEthernet1/0/{number}"
    if core and number in _LINE_PORTS:
        made = SimulatedPort(number, name, alias=f"WAN WB-{number:04d}")
        share = {43: 0.31, 44: 0.12, 45: 0.42, 46: 0.0005, 47: 0.38}[number]
        contract_bps = {43: 1e8, 44: 1e8, 45: 1e9, 46: 2e8, 47: 2e8}[number]
        made.set_rate(share * contract_bps, 0.35 * share * contract_bps)
        return made
    if not core and number == _UPLINK:
        to = SimulatedNeighbour(switch.parent, "GigabitEthernet1/0/41")
        made = SimulatedPort(number, name, alias=f"to {switch.parent}", neighbour=to)
        made.set_rate(dice.uniform(2e7, 9e7), dice.uniform(5e6, 3e7))
        return made
    if core and number in (41, 42):
        to = SimulatedNeighbour(
            f"hall-access-{number - 40}", f"GigabitEthernet1/0/{_UPLINK}"
        )
        made = SimulatedPort(number, name, alias=f"to {to.name}", neighbour=to)
        made.set_rate(dice.uniform(5e6, 3e7), dice.uniform(2e7, 9e7))
        return made
    if (switch.id, name) == (CHAMBER_SWITCH, CHAMBER_PORT):
        # A committee is streamed.
        made = SimulatedPort(number, name, alias="Council chamber")
        made.set_rate(6e6, 2e5)
        return made
    used = dice.random() < 0.7
    made = SimulatedPort(number, name, alias=f"desk {number}" if used else "", up=used)
    made.set_rate(dice.uniform(1e4, 4e6), dice.uniform(1e4, 2e6))
    return made


class _TlsServer:
    """A TLS server; subclasses answer its connections."""

    def __init__(
        self, port: int, certificates: Certificates, address: str = "127.0.0.1"
    ) -> None:
        self._port, self._certificates = port, certificates
        self._address = address

    async def __aenter__(self) -> Self:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(
            self._certificates.certificate, self._certificates.private_key
        )
        self._server = await asyncio.start_server(
            self._serve, self._address, self._port, ssl=context
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError, TimeoutError, EOFError):
            async with asyncio.timeout(5):
                await self._answer(reader, writer)
        writer.close()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        raise NotImplementedError


class VpnGatewayServer(_TlsServer):
    """The TLS port of the VPN gateway: a handshake, then silence."""

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.read(1)


class BeaconServer(_TlsServer):
    """Answers that the laptop is in the Town Hall.

    It listens on the machine's own address: an answer from 127.0.0.1 proves no place.
    """

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = msgspec.json.encode({"site": "town-hall"})
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        await writer.drain()


class OnCall:
    """The on-call person: receives signed webhook posts and keeps the pages."""

    def __init__(
        self, port: int, key: str, on_page: Callable[[dict[str, Any]], None]
    ) -> None:
        self._port, self._key, self._on_page = port, key, on_page
        self.pages: list[dict[str, Any]] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            async with asyncio.timeout(10):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                headers = {
                    name.strip().lower(): value.strip()
                    for name, _, value in (
                        line.partition(":") for line in head.split("\r\n")[1:]
                    )
                }
                body = await reader.readexactly(int(headers["content-length"]))
            signature = headers.get("towpath-signature", "")
            now_ms = wall_ms()
            good = verify_signature(signature, body, self._key, now_ms)
            if good:
                page = msgspec.json.decode(body)
                # Pages are delivered at least once; the id shows a repetition.
                if page["id"] not in {known["id"] for known in self.pages}:
                    self.pages.append(page)
                    self._on_page(page)
            status = "204 No Content" if good else "401 Unauthorized"
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
        except (OSError, TimeoutError, ValueError, KeyError, EOFError) as error:
            _log.warning("demo_webhook_failed", error=repr(error))
        finally:
            writer.close()


class Mosquitto:
    """The installed mosquitto, with TLS and the users and ACL that Towpath wrote."""

    def __init__(self, port: int, folder: Path, certificates: Certificates) -> None:
        self._port, self._folder = port, folder
        self._certificates = certificates
        self.pid_file = folder / "mosquitto.pid"

    @staticmethod
    def program() -> str | None:
        return shutil.which("mosquitto") or shutil.which(
            "mosquitto", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"
        )

    async def __aenter__(self) -> Self:
        program = self.program()
        assert program is not None
        settings = self._folder / "mosquitto.conf"
        settings.write_text(
            f"""listener {self._port} 127.0.0.1
certfile {self._certificates.certificate}
keyfile {self._certificates.private_key}
allow_anonymous false
password_file {self._folder}/passwords
acl_file {self._folder}/acl
pid_file {self.pid_file}
max_queued_messages 1000
message_size_limit 1000000
"""
        )
        if os.geteuid() == 0:
            with settings.open("a") as file:
                file.write("user root\n")
        log_file = self._folder / "mosquitto.log"
        log = log_file.open("wb")
        self._process = await asyncio.create_subprocess_exec(
            program, "-c", str(settings), stdout=log, stderr=log
        )
        log.close()
        try:
            async with asyncio.timeout(_START_S):
                while not await self._listens():
                    if self._process.returncode is not None:
                        raise OSError(f"mosquitto ended: {_last_line(log_file)}")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            await self.__aexit__()
            raise OSError(
                f"mosquitto does not listen: {_last_line(log_file)}"
            ) from None
        return self

    async def _listens(self) -> bool:
        """Whether this broker answers there, by its certificate."""
        trust = ssl.create_default_context(cafile=str(self._certificates.authority))
        try:
            async with asyncio.timeout(_ANSWER_S):
                _, writer = await asyncio.open_connection(
                    "127.0.0.1", self._port, ssl=trust, server_hostname="localhost"
                )
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await self._process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "its log is empty")


class Switches:
    """All switches of the council. The library's line can be cut and repaired."""

    def __init__(self, ports: dict[str, int]) -> None:
        self.by_id = {
            switch.id: build_switch(switch, ports[switch.id]) for switch in SWITCHES
        }
        self._beyond = [s.id for s in SWITCHES if s.site == "library"]

    async def __aenter__(self) -> Self:
        for switch in self.by_id.values():
            await switch.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for switch in self.by_id.values():
            await switch.__aexit__(None, None, None)

    def cut_library(self) -> None:
        """Takes the line's port down; the switches behind it stop answering."""
        self.by_id["core-1"].take_down(LIBRARY_LINE_PORT)
        for id in self._beyond:
            self.by_id[id].cut_off = True

    def mend_library(self) -> None:
        for id in self._beyond:
            self.by_id[id].cut_off = False
        self.by_id["core-1"].bring_up(LIBRARY_LINE_PORT)
