"""A small council for the ingest tests: a registry, enrolled laptops, reports."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiomqtt
import httpx2
import msgspec
from append_doubles import ListAppend

from collectors.ingest.certificate import Certificates, make_certificates
from collectors.ingest.https_ingest import HttpsIngest
from collectors.ingest.ingest_config import HttpsConfig, IngestConfig, RegistryConfig
from collectors.ingest.registry import Registry
from collectors.ingest.registry_file import UPDATES
from probes.agent.spool_rows import SpooledReport
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


def registry_config(folder: Path) -> RegistryConfig:
    return RegistryConfig(
        path=folder / "agents.sqlite", key_file=folder / "keys" / "pseudonym.key"
    )


@contextlib.contextmanager
def opened_registry(folder: Path) -> Iterator[Registry]:
    with Registry(registry_config(folder)) as registry:
        yield registry


def enrol(registry: Registry, device: str, site: str = "town-hall") -> AgentCredential:
    now_ms = wall_ms()
    token = registry.admin.make_token(site, 1, 1, now_ms)
    return registry.identities.enrol(Enrolment(token, device), now_ms)


def make_older(path: Path, format: int) -> None:
    """Makes of a registry's file one as that earlier format would have left it."""
    older = path.with_suffix(".older")
    with contextlib.closing(sqlite3.connect(older)) as file:
        for number, statements in UPDATES.items():
            if number <= format:
                file.executescript(statements)
        file.execute("ATTACH ? AS newer", (str(path),))
        tables = file.execute(
            "SELECT name FROM main.sqlite_master WHERE type = 'table'"
        ).fetchall()
        for (table,) in tables:
            rows = file.execute(f"SELECT name FROM pragma_table_info('{table}')")
            columns = ", ".join(f'"{name}"' for (name,) in rows)
            file.execute(f"DELETE FROM main.{table}")
            file.execute(
                f"INSERT INTO main.{table} ({columns})"
                f" SELECT {columns} FROM newer.{table}"
            )
        file.execute(f"PRAGMA user_version = {format}")
        file.commit()
    older.replace(path)


def report(
    agent: str, id: str, *, time_ms: int | None = None, **changes: Any
) -> Report:
    at_ms = wall_ms() if time_ms is None else time_ms
    results = (
        Result("call_path", 1, at_ms, Outcome.OK, "hq", {"rtt_ms": 21.5}, 9000),
        Result("name_lookup", 1, at_ms, Outcome.TIMEOUT, "resolver"),
    )
    made = Report(
        1, id, agent, at_ms, "towpath-agent 0.1.0", Whereabouts("home"), results
    )
    return msgspec.structs.replace(made, **changes)


def receipt(answer: httpx2.Response) -> Receipt:
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=Receipt)


def body(*reports: Report) -> bytes:
    return msgspec.json.encode(reports)


def as_spooled(made: Report) -> SpooledReport:
    """The report as it waits on a laptop."""
    return SpooledReport(made.id, made.sent_ms, msgspec.json.encode(made))


class Door:
    """A running `HttpsIngest` with what a test wants to look at beside it."""

    def __init__(
        self,
        ingest: HttpsIngest,
        registry: Registry,
        append: ListAppend,
        client: httpx2.AsyncClient,
        certificates: Certificates,
    ) -> None:
        self.ingest, self.registry, self.append = ingest, registry, append
        self.client, self.certificates = client, certificates

    async def send(self, who: AgentCredential, content: bytes, **headers: str) -> Any:
        return await self.client.post(
            "/v1/reports",
            content=content,
            auth=(who.agent, who.secret),
            headers={name.replace("_", "-"): text for name, text in headers.items()},
        )


@contextlib.asynccontextmanager
async def door(
    folder: Path, https: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[Door]:
    certificates = settings.pop("certificates", None) or make_certificates(
        folder / "tls"
    )
    deps = {
        name: settings.pop(name)
        for name in ("estate", "incidents", "wait_for_broker", "versions", "now_ms")
        if name in settings
    }
    append = settings.pop("append", None) or ListAppend()
    config = IngestConfig(
        registry=registry_config(folder),
        https=HttpsConfig(
            certificate=certificates.certificate,
            private_key=certificates.private_key,
            **{"host": "127.0.0.1", "port": 0, **(https or {})},
        ),
        aside=folder / "aside",
        **settings,
    )
    trust = ssl.create_default_context(cafile=str(certificates.authority))
    with Registry(config.registry) as registry:
        async with (
            HttpsIngest(config, registry, append, **deps) as ingest,
            httpx2.AsyncClient(
                base_url=f"https://127.0.0.1:{ingest.port}",
                verify=trust,
                timeout=30,
                trust_env=False,
            ) as client,
        ):
            yield Door(ingest, registry, append, client, certificates)


def mqtt_connection(port: int, who: AgentCredential, **settings: Any) -> aiomqtt.Client:
    return aiomqtt.Client(
        "127.0.0.1",
        port,
        username=who.agent,
        password=who.secret,
        identifier=who.agent,
        clean_session=False,
        **settings,
    )


async def deliver(port: int, who: AgentCredential, waiting: dict[str, Report]) -> None:
    """What an agent does: sends until each report is in a receipt, come what may."""
    while waiting:
        with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
            async with mqtt_connection(port, who, timeout=2) as client:
                await client.subscribe(f"{ACKS_TOPIC}/{who.agent}", qos=1)
                receiving = asyncio.create_task(_forget_receipted(client, waiting))
                try:
                    while waiting:
                        some = list(waiting.values())[:20]
                        topic = f"{REPORTS_TOPIC}/{who.agent}"
                        await client.publish(topic, body(*some), qos=1, timeout=2)
                        await asyncio.wait([receiving], timeout=0.05)
                        if receiving.done():
                            break
                finally:
                    receiving.cancel()
                    with contextlib.suppress(asyncio.CancelledError, aiomqtt.MqttError):
                        await receiving
        await asyncio.sleep(0.05)


async def _forget_receipted(client: aiomqtt.Client, waiting: dict[str, Report]) -> None:
    async for message in client.messages:
        receipt = msgspec.json.decode(message.payload, type=Receipt)
        for id in receipt.accepted:
            waiting.pop(id, None)
