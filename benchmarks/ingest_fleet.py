"""Shared by the ingest benchmarks: a server in a separate process, enrolled laptops,
and clients that cost as little as possible, so that the figures describe the server."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import psutil
from services import free_port

from collectors.file_limit import raise_file_limit
from collectors.ingest.broker_files import acl_text, password_text
from collectors.ingest.certificate import make_certificates
from collectors.ingest.ingest_config import (
    HttpsConfig,
    IngestConfig,
    LimitsConfig,
    MqttConfig,
    PolicyConfig,
    RegistryConfig,
    ServiceConfig,
)
from collectors.ingest.mosquitto_hash import mosquitto_hash
from collectors.ingest.registry import Registry
from probes.wire.clock import wall_ms
from probes.wire.failure import Outcome
from probes.wire.report import (
    ACKS_TOPIC,
    REPORTS_TOPIC,
    AgentCredential,
    Enrolment,
    Receipt,
    Report,
    Result,
    Whereabouts,
)
from probes.wire.sample import Value

BROKER_SETTINGS = Path(__file__).parents[1] / "deploy" / "mosquitto" / "towpath.conf"
_SERVICES = tuple(
    ServiceConfig(name=name, url=f"https://{name}.example/")
    for name in ("mail", "maps")
)
_CALL: dict[str, Value] = {
    "rtt_ms": 31.5,
    "jitter_ms": 2.25,
    "loss_ratio": 0.01,
    "mos_estimated": 4.1,
}
_WEB: dict[str, Value] = {
    "connect_ms": 20.5,
    "tls_ms": 41.0,
    "first_byte_ms": 80.25,
    "status": 200,
}


class Fleet(msgspec.Struct):
    """A folder with settings, certificates and `laptops` enrolled."""

    folder: Path
    laptops: list[AgentCredential]
    trust: ssl.SSLContext
    broker_port: int
    broker: str | None


def make_fleet(folder: Path, laptops: int, **limits: Any) -> Fleet:
    """Enrols the laptops and writes the files that server and broker need. `limits` are
    those of `ingest.limits`."""
    tls = make_certificates(folder / "tls")
    broker = shutil.which("mosquitto", path="/usr/bin:/usr/sbin:/usr/local/sbin")
    port = free_port()
    password = folder / "own-password"
    password.write_text("own")
    mqtt = MqttConfig(
        host="localhost", port=port, ca_file=tls.authority, password_file=password
    )
    config = IngestConfig(
        registry=RegistryConfig(path=folder / "agents.sqlite", key_file=folder / "key"),
        https=HttpsConfig(
            host="127.0.0.1",
            port=0,
            certificate=tls.certificate,
            private_key=tls.private_key,
        ),
        mqtt=None if broker is None else mqtt,
        limits=LimitsConfig(**limits),
        policy=PolicyConfig(services=_SERVICES, names=("dns",)),
        aside=folder / "aside",
    )
    with Registry(config.registry) as registry:
        now_ms = wall_ms()
        token = registry.admin.make_token("bench", laptops, 1, now_ms)
        enrolled = [
            registry.identities.enrol(Enrolment(token, f"laptop-{number}"), now_ms)
            for number in range(laptops)
        ]
        users = [("towpath-ingest", mosquitto_hash("own")), *registry.broker_users()]
    (folder / "laptops.json").write_bytes(msgspec.json.encode(enrolled))
    (folder / "passwords").write_text(password_text(users))
    (folder / "acl").write_text(acl_text(["towpath-ingest"]))
    (folder / "ingest.json").write_text(config.model_dump_json())
    return Fleet(folder, enrolled, _trust(folder), port, broker)


def read_fleet(folder: Path) -> Fleet:
    """Reads a fleet that another process made; without its broker."""
    laptops = msgspec.json.decode(
        (folder / "laptops.json").read_bytes(), type=list[AgentCredential]
    )
    return Fleet(folder, laptops, _trust(folder), 0, None)


def _trust(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(folder / "tls" / "ca.pem"))


def bodies(agent: str, per_body: int, at_s: int) -> Iterator[bytes]:
    """Yields bodies for ever. Each report has its own id and times, and five results.
    The first was made `at_s` seconds ago."""
    at_ms = wall_ms() - at_s * 1000
    number = 0
    while True:
        reports = []
        for _ in range(per_body):
            number += 1
            now_ms = at_ms + number
            results = (
                Result("call_path", 1, now_ms, Outcome.OK, "hq", _CALL, 90_000),
                Result("name_lookup", 1, now_ms, Outcome.OK, "dns", {"lookup_ms": 9.5}),
                Result("web", 1, now_ms, Outcome.OK, "mail", _WEB, 6_000),
                Result("web", 1, now_ms, Outcome.TIMEOUT, "maps"),
                Result("vpn", 1, now_ms, Outcome.OK, "", {"up": 1}),
            )
            here = Whereabouts("home", "", "wifi", "up")
            reports.append(
                Report(1, f"b{at_s}-{number}", agent, now_ms, "bench 1", here, results)
            )
        yield msgspec.json.encode(reports)


def some_bodies(agent: str, per_body: int, at_s: int, count: int) -> list[bytes]:
    return list(islice(bodies(agent, per_body, at_s), count))


class LaptopConnection:
    """A persistent HTTPS connection of one laptop."""

    def __init__(
        self,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        who: AgentCredential,
    ) -> None:
        self._reader, self._writer = streams
        pair = base64.b64encode(f"{who.agent}:{who.secret}".encode()).decode()
        self._head = (
            "POST /v1/reports HTTP/1.1\r\nHost: bench\r\n%s"
            f"Authorization: Basic {pair}\r\nContent-Length: %d\r\n\r\n"
        )

    async def ask(self, body: bytes, headers: str = "") -> tuple[int, bytes]:
        """Sends a request; returns status and content of the response."""
        self._writer.write((self._head % (headers, len(body))).encode() + body)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        return int(head[9:12]), await self._reader.readexactly(length)

    async def post(self, body: bytes) -> Receipt:
        status, answer = await self.ask(body)
        if status != 200:
            raise RuntimeError(f"{status} {answer!r}")
        return msgspec.json.decode(answer, type=Receipt)

    def close(self) -> None:
        self._writer.close()


async def connect(
    port: int,
    trust: ssl.SSLContext | None,
    who: AgentCredential,
    source: str = "127.0.0.1",
) -> LaptopConnection:
    streams = await asyncio.open_connection(
        "127.0.0.1", port, ssl=trust, local_addr=(source, 0)
    )
    return LaptopConnection(streams, who)


@contextlib.asynccontextmanager
async def open_connections(
    port: int, trust: ssl.SSLContext, laptops: list[AgentCredential]
) -> AsyncIterator[list[LaptopConnection]]:
    made = [await connect(port, trust, who) for who in laptops]
    try:
        yield made
    finally:
        for line in made:
            line.close()


async def mqtt_session(
    port: int, trust: ssl.SSLContext, who: AgentCredential, body: bytes
) -> int:
    """Connects one laptop, subscribes, publishes one body and waits for its receipt.
    Returns the number of accepted reports. MQTT 3.1.1 written by hand, because a
    library would cost more than the server."""
    reader, writer = await asyncio.open_connection("localhost", port, ssl=trust)

    def text(value: str) -> bytes:
        return len(value.encode()).to_bytes(2, "big") + value.encode()

    def packet(kind: int, content: bytes) -> bytes:
        size, left = bytearray(), len(content)
        while True:
            left, digit = divmod(left, 128)[0], left % 128
            size.append(digit | (0x80 if left else 0))
            if not left:
                return bytes([kind]) + bytes(size) + content

    async def receive() -> tuple[int, bytes]:
        kind = (await reader.readexactly(1))[0]
        size = shift = 0
        while True:
            digit = (await reader.readexactly(1))[0]
            size |= (digit & 0x7F) << shift
            shift += 7
            if not digit & 0x80:
                return kind & 0xF0, await reader.readexactly(size)

    flags = b"\x04\xc2\x00\x3c"
    hello = text("MQTT") + flags + text(who.agent) + text(who.agent) + text(who.secret)
    receipts = f"{ACKS_TOPIC}/{who.agent}"
    writer.write(packet(0x10, hello))
    kind, answer = await receive()
    if kind != 0x20 or answer[1]:
        raise RuntimeError(f"the broker refused a laptop: {answer!r}")
    writer.write(packet(0x82, b"\x00\x01" + text(receipts) + b"\x00"))
    topic = text(f"{REPORTS_TOPIC}/{who.agent}")
    writer.write(packet(0x32, topic + b"\x00\x02" + body))
    try:
        async with asyncio.timeout(60):
            while True:
                kind, content = await receive()
                if kind == 0x30:
                    start = 2 + int.from_bytes(content[:2], "big")
                    receipt = msgspec.json.decode(content[start:], type=Receipt)
                    return len(receipt.accepted)
    finally:
        writer.write(b"\xe0\x00")
        writer.close()


class Usage:
    """CPU seconds and memory of a process."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)

    def cpu_s(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def rss_mb(self) -> float:
        return float(self._process.memory_info().rss) / 1e6


class Running(msgspec.Struct):
    """The running server: its port, and its CPU and memory."""

    port: int
    usage: Usage


@contextlib.contextmanager
def server(
    fleet: Fleet, append: str = "journal", http: str = "ours"
) -> Iterator[Running]:
    """Starts the server. `append`: `journal`, or `null` for the cost of the server
    alone. `http`: `ours`, or `h11` for uvicorn's own server with h11, as a peer."""
    raise_file_limit()
    command = [sys.executable, "-m", "benchmarks.ingest_server", str(fleet.folder)]
    process = subprocess.Popen(
        [*command, append, http],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith("{"):
                yield Running(json.loads(line)["port"], Usage(process.pid))
                return
        raise RuntimeError("the server did not start")
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


@contextlib.contextmanager
def mosquitto(fleet: Fleet) -> Iterator[Usage]:
    """Starts a broker with the settings that we ship, on its own port and folder."""
    assert fleet.broker is not None
    folder = fleet.folder
    text = BROKER_SETTINGS.read_text()
    for shipped, here in {
        "listener 8883": f"listener {fleet.broker_port}\nuser root",
        "/etc/mosquitto/certs/towpath.crt": str(folder / "tls" / "server.pem"),
        "/etc/mosquitto/certs/towpath.key": str(folder / "tls" / "server.key"),
        "/var/lib/towpath/broker/passwords": str(folder / "passwords"),
        "/var/lib/towpath/broker/acl": str(folder / "acl"),
        "/var/lib/mosquitto/": f"{folder}/",
    }.items():
        assert shipped in text, shipped
        text = text.replace(shipped, here)
    conf = folder / "mosquitto.conf"
    conf.write_text(text)
    with (folder / "mosquitto.log").open("wb") as log:
        process = subprocess.Popen(
            [fleet.broker, "-c", str(conf)], stdout=log, stderr=log
        )
        try:
            yield Usage(process.pid)
        finally:
            process.terminate()
            process.wait(10)
