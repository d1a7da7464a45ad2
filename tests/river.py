"""A council for tests of the whole: its settings on free ports, and `towpath run` as a
child process that can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import services
from shaped_path import ShapedPath
from warm_command import WarmCommand, run_to_end

from collectors.ingest import Registry
from collectors.ingest.broker_files import mosquitto_text
from collectors.ingest.certificate import make_certificates
from collectors.ingest.ingest_config import BrokerConfig
from probes.wire.clock import wall_ms
from towpath.config import TowpathConfig, read

REPOSITORY = Path(__file__).resolve().parents[1]
TOWPATH = [sys.executable, "-m", "towpath.cli"]
COMMUNITY = "river"
WEBHOOK_KEY = "a key of the tests"


def environment() -> dict[str, str]:
    """This environment without settings of Towpath, and the devices' community."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith("TOWPATH_")}
    return {
        **kept,
        "TOWPATH_SNMP_RIVER_COMMUNITY": COMMUNITY,
        "PYTHONPATH": str(REPOSITORY),
        "no_proxy": "127.0.0.1,localhost",
    }


def towpath(
    *arguments: str | Path, more_env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """One `towpath` command to its end."""
    env = {**environment(), **(more_env or {})}
    return run_to_end([str(each) for each in arguments], env, 100)


class Running(services.Server):
    """`towpath run` as a child; ready when it logs so (again)."""

    def __init__(
        self,
        council: Council,
        roles: str = "",
        before: Sequence[str] = (),
        more_env: dict[str, str] | None = None,
    ) -> None:
        folder = council.folder / "runs" / (roles or "all").replace(",", "-")
        folder.mkdir(parents=True, exist_ok=True)
        self._words = ["run", "-c", str(council.settings)]
        if roles:
            self._words += ["--role", roles]
        command = [*before, *TOWPATH, *self._words]
        env = {**environment(), **(more_env or {})}
        super().__init__(command, folder, 0, self._runs, env)
        self._starts, self._is_warm = 0, not before

    def _runs(self) -> bool:
        return self.count("towpath_runs") > self._starts

    def count(self, event: str) -> int:
        """How often the log has `event`, over all starts."""
        return len(self.lines(event)) if self.log.exists() else 0

    def lines(self, event: str) -> list[str]:
        """The lines of the log that have `event`, over all starts."""
        return [
            line
            for line in self.log.read_text(errors="replace").splitlines()
            if event in line
        ]

    def start(self) -> None:
        self._starts = self.count("towpath_runs")
        super().start()

    def _open(self, env: dict[str, str]) -> Any:
        if self._is_warm:
            return WarmCommand(self._words, env, self.log)
        return super()._open(env)

    def signal(self, which: signal.Signals) -> None:
        os.kill(self.pid, which)

    def code(self, seconds: float = 30) -> int:
        """Waits for its end; its exit code."""
        assert self._process is not None
        code = self._process.wait(seconds)
        self._process = None
        return code


class Council:
    """Settings, certificates and ports. Nothing runs until a test starts it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.https, self.web = services.free_port(), services.free_port()
        self.traps = services.free_port(socket.SOCK_DGRAM)
        self.tls = make_certificates(folder / "tls")
        self.settings = folder / "towpath.toml"
        self.estate = folder / "estate.toml"
        self.write_estate()

    def write_estate(self, devices: dict[str, int] | None = None) -> None:
        """One site, and `devices` (id → UDP port on 127.0.0.1)."""
        text = '[[sites]]\nid = "hall"\nname = "Town Hall"\n'
        for id, port in (devices or {}).items():
            text += f"""
[[devices]]
id = "{id}"
site = "hall"
role = "switch"
address = "127.0.0.1"
port = {port}
credentials = "river"
"""
        self.estate.write_text(text)

    def write_settings(
        self,
        more: str = "",
        *,
        store: str = 'kind = "embedded"\nflush_s = 0.5',
        ingest: str = "",
        journal: str = "",
    ) -> None:
        self.settings.write_text(
            f"""council = "Wrenford"
self_s = 2

[journal]
{journal}

[snmp]
period_s = 1
timeout_s = 0.5
budget_s = 0.9
tries = 1

[traps]
host = "127.0.0.1"
port = {self.traps}

[ingest]
limits = {{ reports_per_s = 1000, reports_burst = 100000 }}

[ingest.https]
host = "127.0.0.1"
port = {self.https}
certificate = "tls/server.pem"
private_key = "tls/server.key"

[ingest.policy]
teams_relay = {{ host = "" }}
cadence_s = {{ vpn = 1, agent = 1, web = 0, name_lookup = 0, call_path = 0 }}
report_s = 10
{ingest}

[store]
{store}

[web]
port = {self.web}

[metrics]
port = 0
{more}"""
        )

    @property
    def config(self) -> TowpathConfig:
        return read(self.settings)

    def token(self) -> str:
        with Registry(self.config.ingest.registry) as registry:
            return registry.admin.make_token("hall", 1000, 1, wall_ms())

    @property
    def server(self) -> str:
        return f"https://localhost:{self.https}"

    def mosquitto(self) -> services.Server:
        """A broker with TLS and the users and rules that Towpath writes; start it
        after Towpath. `broker_settings` is what Towpath must be told of it."""
        folder = self.folder / "broker"
        files = BrokerConfig(
            password_file=folder / "passwords",
            acl_file=folder / "acl",
            pid_file=folder / "mosquitto.pid",
        )
        listener = f"certfile {self.tls.certificate}\nkeyfile {self.tls.private_key}\n"
        return services.mosquitto(folder, listener + mosquitto_text(files))

    def broker_settings(self, port: int) -> str:
        return f"""
[ingest.mqtt]
host = "localhost"
port = {port}
ca_file = "tls/ca.pem"
password_file = "broker/own-password"
retry_max_s = 2

[ingest.broker]
password_file = "broker/passwords"
acl_file = "broker/acl"
pid_file = "broker/mosquitto.pid"
every_s = 0.5
"""


def answer(url: str) -> tuple[int, str]:
    """Status and text of a GET; (0, why) where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return int(response.status), response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


class Influx:
    """Questions to a running influxd, in InfluxQL, past everything that is tested."""

    def __init__(self, port: int) -> None:
        self._port = port

    def rows(self, database: str, query: str) -> list[tuple[dict[str, str], list[Any]]]:
        """(tags, values) of every row; values begin with the time in ms."""
        text = urllib.parse.urlencode({"db": database, "q": query, "epoch": "ms"})
        status, said = answer(f"http://127.0.0.1:{self._port}/query?{text}")
        assert status == 200, said
        results = json.loads(said)["results"]
        assert "error" not in results[0], said
        return [
            (series.get("tags", {}), values)
            for series in results[0].get("series", [])
            for values in series["values"]
        ]

    def numbers(self) -> dict[str, list[int]]:
        """The numbers of the reports that are there, by agent."""
        found: dict[str, list[int]] = {}
        query = "SELECT sent FROM call_path GROUP BY *"
        for tags, (_, sent) in self.rows("towpath_personal", query):
            found.setdefault(tags["agent"], []).append(sent)
        return found


_RELAY = """
import select, socket, sys
outside = socket.socket(fileno=int(sys.argv[1]))
inside = {}
agent = ("127.0.0.1", int(sys.argv[2]))
while True:
    for ready in select.select([outside, *inside.values()], [], [])[0]:
        try:
            if ready is outside:
                data, who = outside.recvfrom(65536)
                if who not in inside:
                    inside[who] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    inside[who].connect(agent)
                inside[who].send(data)
            else:
                data = ready.recv(65536)
                outside.sendto(data, next(w for w, s in inside.items() if s is ready))
        except OSError:
            pass
"""


class Relay:
    """Datagrams between a port out here and an agent in a namespace: a socket made out
    here, used by a process in there."""

    def __init__(self, path: ShapedPath, agent_port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        handle = self._socket.fileno()
        self._process = subprocess.Popen(
            path.near(sys.executable, "-c", _RELAY, str(handle), str(agent_port)),
            pass_fds=(handle,),
        )

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(10)
        self._socket.close()


@contextlib.asynccontextmanager
async def started(*servers: services.Server) -> AsyncIterator[None]:
    """Starts servers in this order, stops them in the other, beside an event loop."""
    async with contextlib.AsyncExitStack() as stack:
        for server in servers:
            await asyncio.to_thread(server.start)
            stack.push_async_callback(asyncio.to_thread, server.stop)
        yield
