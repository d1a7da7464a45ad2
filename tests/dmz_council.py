"""A council with a DMZ node: its own nats-server in the DMZ with mutual TLS, the
node, and the inside that opens all connections."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
from documents import blocks, text_of
from ingest_council import body, report
from nats_authority import Authority
from nats_servers import NatsServer, nats_program

from collectors.batch import Batch
from collectors.ingest.certificate import make_certificates
from collectors.ingest.ingest_config import RegistryConfig
from collectors.ingest.registry import Registry
from collectors.journal import JournalReader
from collectors.journal.journal_config import JournalConfig
from probes.wire.clock import wall_ms
from probes.wire.report import AgentCredential
from towpath.config import TowpathConfig, read

PREFIX = "towpath"
# What the document tells to allow the two.
_CONF = next(
    block for block in blocks(text_of("docs/operator.md"), "conf") if "CN=node" in block
)
USERS = _CONF[_CONF.index("authorization") :]
ESTATE = """
[[sites]]
id = "hall"
name = "Town Hall of Planted"
subnets = ["10.20.0.0/16"]
[[devices]]
id = "planted-switch"
address = "10.20.0.2"
site = "hall"
"""


class DmzCouncil:
    """Folders `dmz` (server and node) and `inside`, their settings, and what a test
    looks at."""

    def __init__(self, folder: Path, binary: str) -> None:
        self.folder = folder
        (folder / "authority").mkdir()
        self.authority = Authority(folder / "authority", "dmz")
        certificate, key = self.authority.issue("server")
        tls = (
            f"tls {{ cert_file: {certificate}, key_file: {key}, "
            f"ca_file: {self.authority.file}, verify_and_map: true }}\n"
        )
        self.server = NatsServer(binary, folder / "dmz" / "nats", tls + USERS)
        self.https = make_certificates(folder / "dmz" / "https")

    def nats(self, name: str) -> str:
        certificate, key = self.authority.issue(name)
        return (
            f'servers = ["{self.server.url.replace("nats:", "tls:")}"]\n'
            f'ca_file = "{self.authority.file}"\nprefix = "{PREFIX}"\n'
            f'certificate = "{certificate}"\nprivate_key = "{key}"\n'
        )

    def node(self, more: str = "", port: int = 0) -> TowpathConfig:
        return read(self.node_file(more, port))

    def node_file(self, more: str = "", port: int = 0) -> Path:
        home = self.folder / "dmz" / "node"
        home.mkdir(exist_ok=True)
        (home / "estate.toml").write_text("")
        file = home / "towpath.toml"
        file.write_text(
            'state = "state"\nestate = "estate.toml"\n[metrics]\nport = 0\n'
            '[journal]\nkind = "nats"\n[ingest]\ndmz = true\n'
            f'[ingest.https]\nhost = "127.0.0.1"\nport = {port}\n'
            f'certificate = "{self.https.certificate}"\n'
            f'private_key = "{self.https.private_key}"\n'
            f"[nats]\n{self.nats('node')}{more}"
        )
        return file

    def inside(self) -> TowpathConfig:
        home = self.folder / "inside"
        home.mkdir(exist_ok=True)
        (home / "estate.toml").write_text(ESTATE)
        file = home / "towpath.toml"
        file.write_text(
            'state = "state"\nestate = "estate.toml"\n[metrics]\nport = 0\n'
            "[ingest.policy]\nreport_s = 120\n"
            f"[ingest.dmz_nodes.dmz]\n{self.nats('inside')}"
        )
        return read(file)

    @property
    def registry_config(self) -> RegistryConfig:
        state = self.folder / "inside" / "state"
        return RegistryConfig(
            path=state / "agents.sqlite", key_file=state / "keys" / "pseudonym.key"
        )

    @contextlib.contextmanager
    def registry(self) -> Iterator[Registry]:
        """The registry inside, as `towpath fleet` opens it beside the role."""
        with Registry(self.registry_config) as registry:
            yield registry

    async def pulled(self) -> list[Batch]:
        """Every batch about laptops in the journal inside."""
        folder = self.folder / "inside" / "state" / "journal"
        config = JournalConfig(folder=folder)
        batches: list[Batch] = []
        async with JournalReader(config.folder, "test") as reader:
            while chunk := await reader.read(wait_s=0.1):
                batches += chunk.batches
        return [b for b in batches if not b.measurement.startswith("self_")]

    async def pulled_times(self, agent: str) -> list[int]:
        """The times of a laptop's rows of one probe, sorted."""
        return sorted(
            time_ms
            for batch in await self.pulled()
            if batch.measurement == "call_path"
            for name, time_ms in zip(batch.tag("agent"), batch.times_ms, strict=True)
            if name == agent
        )

    @contextlib.asynccontextmanager
    async def laptop(self, port: int) -> AsyncIterator[Laptop]:
        trust = ssl.create_default_context(cafile=str(self.https.authority))
        async with httpx2.AsyncClient(
            base_url=f"https://127.0.0.1:{port}",
            verify=trust,
            timeout=30,
            trust_env=False,
        ) as client:
            yield Laptop(client)


class Laptop:
    """What an agent asks over HTTPS."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client

    async def enrol(self, token: str, device: str, machine: str = "") -> Any:
        wish = {"token": token, "device": device, "machine": machine}
        return await self.client.post("/v1/enrol", json=wish)

    async def report(
        self, who: AgentCredential, id: str, time_ms: int | None = None
    ) -> Any:
        made = report(who.agent, id, time_ms=wall_ms() if time_ms is None else time_ms)
        auth = (who.agent, who.secret)
        return await self.client.post("/v1/reports", content=body(made), auth=auth)


@contextlib.contextmanager
def dmz_council(folder: Path, binary: str = "") -> Iterator[DmzCouncil]:
    council = DmzCouncil(folder, binary or nats_program())
    council.server.start()
    try:
        yield council
    finally:
        council.server.kill()
