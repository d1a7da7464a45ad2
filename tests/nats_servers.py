"""Real nats-servers with JetStream on loopback: one, or a cluster of three."""

from __future__ import annotations

import contextlib
import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from services import Server, free_port, program
from waiting import wait_until

_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "towpath"


def nats_program() -> str:
    """The server that `TOWPATH_NATS_SERVER` names, the one in the cache, or Debian's;
    skips the test without any."""
    if named := os.environ.get("TOWPATH_NATS_SERVER"):
        return named
    cached = _CACHE / "nats-server"
    return str(cached) if cached.exists() else program("nats-server")


class NatsServer(Server):
    """One nats-server that can be killed and started again with its data."""

    def __init__(self, binary: str, folder: Path, extra: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.monitor = free_port()
        port = free_port()
        config = folder / "nats.conf"
        config.write_text(
            f"listen: 127.0.0.1:{port}\nhttp: 127.0.0.1:{self.monitor}\n"
            f"jetstream {{ store_dir: {folder / 'data'}, max_file: 1G }}\n"
            f"server_name: {folder.name}\n{extra}"
        )
        super().__init__([binary, "-c", str(config)], folder, port, self._is_healthy)

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def _is_healthy(self) -> bool:
        return self.monitored("healthz").get("status") == "ok"

    def monitored(self, page: str) -> dict[str, object]:
        """A page of its monitoring; empty if it does not answer."""
        url = f"http://127.0.0.1:{self.monitor}/{page}"
        with (
            contextlib.suppress(OSError, ValueError),
            urllib.request.urlopen(url, timeout=1) as answer,
        ):
            return dict(json.load(answer))
        return {}


class NatsCluster:
    """Three servers that replicate: `kill(n)`, `servers[n].start()`."""

    def __init__(self, folder: Path) -> None:
        binary, routes = nats_program(), [free_port() for _ in range(3)]
        urls = ", ".join(f"nats://127.0.0.1:{route}" for route in routes)
        self.servers = [
            NatsServer(
                binary,
                folder / f"n{at + 1}",
                f"cluster {{ name: towpath, listen: 127.0.0.1:{route}, "
                f"routes: [{urls}] }}\n",
            )
            for at, route in enumerate(routes)
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


@contextlib.contextmanager
def running_nats(folder: Path, extra: str = "") -> Iterator[NatsServer]:
    server = NatsServer(nats_program(), folder, extra)
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
