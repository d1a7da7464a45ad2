"""Real nats-servers with JetStream on loopback: one, or a cluster of three."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from services import Server, free_port, program
from waiting import wait_until

from collectors.nats.journal_streams import JournalStreams
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.nats_errors import NATS_FAILURES

_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "towpath"

# Of the settings in the block `jetstream`: nothing acknowledged is lost at a power cut.
SYNCED = "sync_interval: always"
# The servers of a cluster, and where they are if each has a namespace (NAMESPACES).
HOSTS = {"n1": "10.9.0.1", "n2": "10.9.0.2", "n3": "10.9.0.3"}
NAMESPACES = """set -e
mount -t tmpfs none /run
ip link set lo up
ip link add br0 type bridge
ip addr add 10.9.0.254/24 dev br0; ip link set br0 up
for n in 1 2 3; do
  ip netns add n$n; ip link add v$n type veth peer name e0 netns n$n
  ip link set v$n master br0 up
  ip -n n$n addr add 10.9.0.$n/24 dev e0; ip -n n$n link set e0 up
  ip -n n$n link set lo up
done
exec "$@"
"""


def nats_program() -> str:
    """The server that `TOWPATH_NATS_SERVER` names, the one in the cache, or Debian's;
    skips the test without any."""
    if named := os.environ.get("TOWPATH_NATS_SERVER"):
        return named
    cached = _CACHE / "nats-server"
    return str(cached) if cached.exists() else program("nats-server")


def can_sync() -> bool:
    """Whether the server knows `SYNCED`: not before 2.10."""
    return not is_version_2_9(nats_program())


def is_version_2_9(server: str) -> bool:
    """Whether the program is of Debian's version, which has faults and lacks settings
    of later ones."""
    version = subprocess.check_output([server, "--version"], text=True)
    return " v2.9." in version


def run_in_namespaces(*arguments: str, **environment: str) -> str:
    """Runs this Python with the modules of the tests, where each server can have a
    namespace (NAMESPACES). Fails the test if it fails; returns what it prints."""
    program("nft")
    command = [program("unshare"), "--user", "--map-root-user", "--net", "--mount"]
    command += ["sh", "-c", NAMESPACES, "sh", sys.executable]
    here = Path(__file__).parent
    path = f"{here.parent}{os.pathsep}{here}"
    done = subprocess.run(
        [*command, *arguments],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout[-4000:])
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


class NatsServer(Server):
    """One nats-server that can be killed and started again with its data."""

    def __init__(
        self,
        binary: str,
        folder: Path,
        extra: str = "",
        namespace: str = "",
        jetstream: str = "",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.host = HOSTS.get(namespace, "127.0.0.1")
        self.monitor = free_port()
        port = free_port()
        config = folder / "nats.conf"
        config.write_text(
            f"listen: {self.host}:{port}\nhttp: {self.host}:{self.monitor}\n"
            f"jetstream {{ store_dir: {folder / 'data'}, max_file: 1G\n{jetstream} }}\n"
            f"server_name: {folder.name}\n{extra}"
        )
        within = ["ip", "netns", "exec", namespace] if namespace else []
        command = [*within, binary, "-c", str(config)]
        super().__init__(command, folder, port, self._is_healthy)

    @property
    def url(self) -> str:
        return f"nats://{self.host}:{self.port}"

    def _is_healthy(self) -> bool:
        return self.monitored("healthz").get("status") == "ok"

    def monitored(self, page: str) -> dict[str, object]:
        """A page of its monitoring; empty if it does not answer."""
        url = f"http://{self.host}:{self.monitor}/{page}"
        with (
            contextlib.suppress(OSError, ValueError),
            urllib.request.urlopen(url, timeout=1) as answer,
        ):
            return dict(json.load(answer))
        return {}


class NatsCluster:
    """Three servers that replicate, on loopback or each in a namespace."""

    def __init__(self, folder: Path, namespaces: bool = False) -> None:
        binary, names = nats_program(), tuple(HOSTS)
        hosts = tuple(HOSTS.values()) if namespaces else ("127.0.0.1",) * 3
        routes = [f"{host}:{free_port()}" for host in hosts]
        urls = ", ".join(f"nats://{route}" for route in routes)
        self.servers = [
            NatsServer(
                binary,
                folder / name,
                f"cluster {{ name: towpath, listen: {route}, routes: [{urls}] }}\n",
                name if namespaces else "",
            )
            for name, route in zip(names, routes, strict=True)
        ]

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(server.url for server in self.servers)

    def start(self) -> None:
        for server in self.servers:
            server.launch()
        for server in self.servers:
            wait_until(server._is_healthy, f"a healthy cluster (see {server.log})", 60)

    def leader(self) -> NatsServer:
        """The server that leads JetStream's own group."""
        name = ""

        def is_known() -> bool:
            nonlocal name
            for server in self.servers:
                meta = server.monitored("jsz").get("meta_cluster")
                if isinstance(meta, dict) and meta.get("leader"):
                    name = str(meta["leader"])
            return bool(name)

        wait_until(is_known, "a leader of the cluster")
        return self.named(name)

    def named(self, name: str) -> NatsServer:
        return next(s for s in self.servers if s.folder.name == name)

    def stop(self) -> None:
        for server in self.servers:
            server.kill()


async def stream_leader(connection: NatsConnection, log: str) -> str:
    """The name of the server that leads the stream of a log. Just after a fault the
    servers may not know it yet, or not answer in time."""
    stream = JournalStreams(connection).stream(log)
    async with asyncio.timeout(90):
        while True:
            with contextlib.suppress(*NATS_FAILURES):
                info = await connection.jetstream.stream_info(stream)
                if info.cluster is not None and info.cluster.leader:
                    return str(info.cluster.leader)
            await asyncio.sleep(0.3)


def as_towpath(server: NatsServer, folder: Path, password: str = "right") -> NatsConfig:
    """For a server that has a user `towpath` with the password `right`."""
    path = folder / "password"
    path.write_text(f"{password}\n")
    path.chmod(0o600)
    return NatsConfig(servers=(server.url,), user="towpath", password_file=path)


@contextlib.contextmanager
def running_nats(
    folder: Path, extra: str = "", jetstream: str = ""
) -> Iterator[NatsServer]:
    server = NatsServer(nats_program(), folder, extra, jetstream=jetstream)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextlib.contextmanager
def running_cluster(folder: Path) -> Iterator[NatsCluster]:
    cluster = NatsCluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
