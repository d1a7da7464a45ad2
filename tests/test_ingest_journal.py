"""Reports through HTTPS into the real journal, and out of it again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import httpx2
import msgspec
from ingest_council import body, door, enrol, opened_registry, report, wall_ms

from collectors.ingest.certificate import make_certificates
from collectors.journal import Journal, JournalConfig, JournalReader
from collectors.server_measurements import CATALOGUE
from probes.wire.report import Receipt


async def read_rows(folder: Path, name: str) -> list[tuple[str, str, int]]:
    rows = []
    async with JournalReader(folder, name) as reader:
        while (chunk := await reader.read(wait_s=0.3)) is not None:
            for batch in chunk.batches:
                agents = batch.tag("agent")
                rows += [
                    (batch.measurement, agent, time_ms)
                    for agent, time_ms in zip(agents, batch.times_ms, strict=True)
                ]
            reader.passed(chunk.positions)
    return rows


async def test_what_is_receipted_is_what_a_reader_gets(tmp_path: Path) -> None:
    journal_config = JournalConfig(folder=tmp_path / "journal")
    async with (
        Journal(journal_config, "ingest", CATALOGUE) as journal,
        door(tmp_path, append=journal) as council,
    ):
        laptop = enrol(council.registry, "LAPTOP-1")
        at_ms = wall_ms() - 60_000
        some = [report(laptop.agent, f"r{n}", time_ms=at_ms + n) for n in range(50)]
        odd = report(laptop.agent, "odd", time_ms=at_ms - 1)
        smell = msgspec.structs.replace(odd.results[0], probe="smell")
        odd = msgspec.structs.replace(odd, results=(*odd.results, smell))
        answer = await council.send(laptop, body(*some, odd))
        receipt = msgspec.json.decode(answer.content, type=Receipt)
        assert len(receipt.accepted) == 51
        rows = await read_rows(tmp_path / "journal", "test")
    assert sorted(rows) == sorted(
        (result.probe, laptop.agent, result.time_ms)
        for each in [*some, odd]
        for result in each.results
        if result.probe != "smell"
    )
    assert journal.stats.dead_rows == 1


_SERVER = """
import asyncio, sys
from pathlib import Path
from collectors.ingest import HttpsIngest, IngestConfig, Registry
from collectors.journal import Journal, JournalConfig
from collectors.server_measurements import CATALOGUE

async def main(folder):
    config = IngestConfig.model_validate_json((folder / "ingest.json").read_text())
    with Registry(config.registry) as registry:
        async with Journal(
            JournalConfig(folder=folder / "journal"), "ingest", CATALOGUE
        ) as journal, HttpsIngest(config, registry, journal) as ingest:
            print(ingest.port, flush=True)
            await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1])))
"""


async def test_killing_the_server_twice_loses_nothing_that_was_receipted(
    tmp_path: Path,
) -> None:
    tls = make_certificates(tmp_path / "tls")
    with opened_registry(tmp_path) as registry:
        laptop = enrol(registry, "LAPTOP-1")
    settings = {
        "registry": {
            "path": str(tmp_path / "agents.sqlite"),
            "key_file": str(tmp_path / "keys" / "pseudonym.key"),
        },
        "https": {
            "host": "127.0.0.1",
            "port": 0,
            "certificate": str(tls.certificate),
            "private_key": str(tls.private_key),
        },
        "limits": {"reports_burst": 1_000_000},
        "aside": str(tmp_path / "aside"),
    }
    (tmp_path / "ingest.json").write_text(json.dumps(settings))
    trust = ssl.create_default_context(cafile=str(tls.authority))
    at_ms = wall_ms() - 600_000
    receipted: set[int] = set()

    async def send_until_killed(port: int) -> None:
        async with httpx2.AsyncClient(
            base_url=f"https://127.0.0.1:{port}",
            auth=(laptop.agent, laptop.secret),
            verify=trust,
            trust_env=False,
        ) as client:
            while True:
                first = len(receipted)
                some = [
                    report(laptop.agent, str(n), time_ms=at_ms + n)
                    for n in range(first, first + 5)
                ]
                answer = await client.post("/v1/reports", content=body(*some))
                receipt = msgspec.json.decode(answer.content, type=Receipt)
                receipted.update(int(id) for id in receipt.accepted)

    for goal in (100, 300):
        server = await asyncio.to_thread(
            lambda: subprocess.Popen(
                [sys.executable, "-c", _SERVER, str(tmp_path)],
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        assert server.stdout is not None
        with server.stdout:
            port = int(await asyncio.to_thread(server.stdout.readline))
            sending = asyncio.create_task(send_until_killed(port))
            async with asyncio.timeout(60):
                while len(receipted) < goal:  # noqa: ASYNC110 (the other end counts)
                    await asyncio.sleep(0.005)
            server.send_signal(signal.SIGKILL)
            await asyncio.to_thread(server.wait, 20)
            with contextlib.suppress(httpx2.TransportError):
                await asyncio.wait_for(sending, 30)
    times = {
        time_ms - at_ms
        for _, _, time_ms in await read_rows(tmp_path / "journal", "test")
    }
    assert len(receipted) >= 300
    assert receipted <= times
