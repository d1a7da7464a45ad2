"""Real servers for the tests: each starts unprivileged on a free port, in a folder of
its own, and is stopped at the end. Where one is not installed the test is skipped, and
fails instead where CI=true.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from waiting import wait_until

SHARED = Path(__file__).resolve().parents[2] / "shared"
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def program(name: str) -> str:
    """Where the program is; skips the test without it (fails where CI=true)."""
    path = shutil.which(name, path=_PATH)
    if path is None:
        absent(f"{name} is not installed (make services)")
    assert path is not None
    return path


def absent(what: str) -> None:
    """A visible skip on a laptop, a failure in continuous integration."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


def corpus(*parts: str) -> Path:
    """A path in the corpus of recorded devices beside the checkout, or a skip."""
    path = SHARED.joinpath("corpus", *parts)
    if not path.exists():
        pytest.skip(f"no corpus of recorded devices beside this checkout: {path}")
    return path


def _own_ports() -> Iterator[int]:
    """Ports of this worker of pytest-xdist alone, below those that systems give to
    outgoing connections."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for number in itertools.count(os.getpid()):
        yield 10_000 + worker % 8 * 2_800 + number % 2_800


_OWN_PORTS = _own_ports()
# Several runs of the tests on one machine share it.
_CHOSEN = Path(tempfile.gettempdir(), f"towpath-test-ports-{os.getuid()}")


@functools.cache
def _chosen_ports(_pid: int) -> int:
    return os.open(_CHOSEN, os.O_RDWR | os.O_CREAT, 0o600)


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port that no other process of tests chooses while this one runs: none is taken
    twice between its choice and its server."""
    for port in itertools.islice(_OWN_PORTS, 2_800):
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_INET, kind) as probe,
        ):
            # A byte of the file for each port, freed when the process ends.
            fcntl.lockf(
                _chosen_ports(os.getpid()), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port
            )
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free")


def answers_tcp(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def serves(port: int) -> bool:
    """Whether the server reads what it accepts: it ends a connection that begins with
    nonsense. A port accepts before its server has set up its signals."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as link:
            link.sendall(bytes(64))
            link.recv(1024)
            return True
    except ConnectionResetError:
        return True
    except OSError:
        return False


class Server:
    """One server process that can be killed and started again on the same port."""

    def __init__(
        self,
        command: list[str],
        folder: Path,
        port: int,
        ready: Callable[[], bool],
        env: dict[str, str] | None = None,
    ) -> None:
        self.command, self.folder, self.port = command, folder, port
        self.token, self.org = "", "-"
        self._ready, self._env = ready, env
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def launch(self) -> None:
        """Starts the process without waiting until it is ready."""
        self._process = self._open({**os.environ, **(self._env or {})})

    def start(self, wait_s: float = 60) -> None:
        self.launch()
        # Also on a machine with much else to do.
        wait_until(self._alive_and_ready, f"{self.command[0]} (see {self.log})", wait_s)

    def _open(self, env: dict[str, str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _alive_and_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            pytest.fail(
                f"{self.command[0]} ended with {self._process.returncode}:\n"
                + self.log.read_text(errors="replace")[-2000:]
            )
        return self._ready()

    def kill(self) -> None:
        """kill -9, as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process = None


@contextlib.contextmanager
def running(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.stop()


def alertmanager(folder: Path) -> Server:
    """A real Alertmanager that notifies nobody."""
    binary = program("prometheus-alertmanager")
    port = free_port()
    config = folder / "alertmanager.yml"
    config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    command = [
        binary,
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]

    def ready() -> bool:
        with contextlib.suppress(OSError):
            url = f"http://127.0.0.1:{port}/-/ready"
            with urllib.request.urlopen(url, timeout=1) as answer:
                return bool(answer.status == 200)
        return False

    return Server(command, folder, port, ready)


def influxd(folder: Path) -> Server:
    """InfluxDB 1.6.7 from Debian, or the one `TOWPATH_INFLUXD` names: 1.x or 2.x."""
    binary = os.environ.get("TOWPATH_INFLUXD") or program("influxd")
    folder.mkdir(parents=True, exist_ok=True)
    port, rpc = free_port(), free_port()
    if _is_2(binary):
        return Influx2(binary, folder, port)
    (folder / "influxdb.conf").write_text(
        f"""reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
[monitor]
  store-enabled = false
"""
    )
    return Server(
        [binary, "-config", str(folder / "influxdb.conf")],
        folder,
        port,
        lambda: answers_tcp(port),
    )


class Influx2(Server):
    """InfluxDB 2.x with an organisation and a token that may do everything."""

    def __init__(self, binary: str, folder: Path, port: int) -> None:
        command = [binary, "--http-bind-address", f"127.0.0.1:{port}"]
        command += ["--reporting-disabled", "--log-level", "warn"]
        for kind in ("bolt", "sqlite", "engine"):
            command += [f"--{kind}-path", str(folder / kind)]
        super().__init__(command, folder, port, lambda: answers_tcp(port))
        self.token, self.org = "a-token-of-the-tests", "council"

    def start(self, wait_s: float = 60) -> None:
        is_new = not (self.folder / "bolt").exists()
        super().start(wait_s)
        if is_new:
            wanted = {"username": "admin", "password": "secret word", "bucket": "first"}
            urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/api/v2/setup",
                json.dumps(wanted | {"org": self.org, "token": self.token}).encode(),
                timeout=30,
            ).close()


def only_of_1(server: Server) -> None:
    """Skips what only an InfluxDB 1.x has: users, retention policies."""
    if isinstance(server, Influx2):
        pytest.skip("InfluxDB 2.x has no such thing")


def _is_2(binary: str) -> bool:
    done = subprocess.run([binary, "version"], capture_output=True, check=False)
    return b" 2." in done.stdout or b" v2." in done.stdout


def mosquitto(folder: Path, extra: str = "allow_anonymous true\n") -> Server:
    """A mosquitto broker on 127.0.0.1; `extra` is added to its configuration."""
    binary = program("mosquitto")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    (folder / "mosquitto.conf").write_text(
        f"""listener {port} 127.0.0.1
persistence true
persistence_location {folder}/
max_queued_messages 10000
{extra}"""
    )
    if os.geteuid() == 0:
        # mosquitto leaves root for its own user, who must be able to write here.
        with (folder / "mosquitto.conf").open("a") as conf:
            conf.write("user root\n")
    return Server(
        [binary, "-c", str(folder / "mosquitto.conf")],
        folder,
        port,
        lambda: serves(port),
    )


def snmpd(folder: Path, config: str = "rocommunity public 127.0.0.1\n") -> Server:
    """net-snmp's agent on 127.0.0.1 over UDP, without the machine's own settings."""
    binary = program("snmpd")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port(socket.SOCK_DGRAM)
    (folder / "snmpd.conf").write_text(config)
    command = [binary, "-f", "-Lo", "-C", "-c", str(folder / "snmpd.conf")]
    command += ["-p", str(folder / "snmpd.pid"), f"udp:127.0.0.1:{port}"]
    # What it keeps (engine, boots, users) goes into an snmpd.conf of its own.
    kept = str(folder / "kept")
    env = {"SNMP_PERSISTENT_DIR": kept, "MIBS": "", "SNMPCONFPATH": str(folder)}

    def ready() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return True
        return False

    return Server(command, folder, port, ready, env)


def coturn(folder: Path, *options: str) -> Server:
    """coturn on 127.0.0.1 over UDP and TCP, STUN and TURN, without a database."""
    binary = program("turnserver")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [binary, "-n", "--listening-ip=127.0.0.1", f"--listening-port={port}"]
    command += ["--no-tls", "--no-dtls", "--no-cli", "--log-file=stdout"]
    command += ["--realm=towpath.test", f"--userdb={folder}/turn.sqlite"]
    command += [f"--pidfile={folder}/turn.pid", "--lt-cred-mech", *options]
    return Server(command, folder, port, lambda: answers_tcp(port))
