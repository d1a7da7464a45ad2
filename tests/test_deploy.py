"""What `deploy/` ships is well-formed: units, broker files, the agent's files."""

import asyncio
import configparser
import contextlib
import os
import plistlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
from pathlib import Path

import aiomqtt
import pytest
import services
from ingest_council import enrol, opened_registry
from services import Server, mosquitto, running
from waiting import until

from collectors.ingest.broker_client import Login, check_login
from collectors.ingest.broker_files import BrokerFiles, mosquitto_text
from collectors.ingest.certificate import make_certificates
from collectors.ingest.ingest_config import BrokerConfig, MqttConfig
from collectors.store.influx_http import InfluxServer
from collectors.store.store_errors import QueryFailed
from probes.wire.clock import wall_ms
from probes.wire.report import ACKS_TOPIC, REPORTS_TOPIC, AgentCredential

DEPLOY = Path(__file__).parents[1] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
PATHS = sorted((DEPLOY / "systemd").glob("*.path"))
OF_A_USER = DEPLOY / "agent" / "linux" / "towpath-agent.service"


@pytest.mark.parametrize(
    "unit", [*UNITS, *PATHS, OF_A_USER], ids=lambda unit: unit.parent.name
)
def test_systemd_accepts_every_line_of_the_unit(unit: Path, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not here")
    # The programs it names are not installed here: stand-ins that exist.
    text = re.sub(r"/opt/towpath(-agent)?/bin/\S+", "/bin/true", unit.read_text())
    copy = tmp_path / unit.name.replace("@", "@poll")
    copy.write_text(text)
    user = ["--user"] if unit == OF_A_USER else []
    done = subprocess.run(
        [analyze, *user, "verify", "--man=no", str(copy)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    about_it = [line for line in done.stderr.splitlines() if copy.name in line]
    assert about_it == []


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_every_unit_is_hardened(unit: Path) -> None:
    text = unit.read_text()
    for line in (
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "RestrictNamespaces=yes",
        "SystemCallFilter=@system-service",
    ):
        assert line in text.splitlines(), line


BROKER_SETTINGS = ["mosquitto/towpath.conf", "compose/mosquitto.conf"]


def as_shipped(place: str, folder: Path, **changed: str) -> Server:
    """A mosquitto with the settings of `place`, with `folder` for the machine's own
    folders, and its own listener; `changed` settings replace those shipped."""
    certificates = make_certificates(folder / "tls", ("localhost", "127.0.0.1"))
    for name in ("passwords", "acl"):
        (folder / name).touch(0o600)
    text = (DEPLOY / place).read_text()
    for path, own in (
        ("towpath.crt", certificates.certificate),
        ("towpath.key", certificates.private_key),
    ):
        text = re.sub(rf"(/etc/mosquitto/certs|/run/secrets)/{path}", f"{own}", text)
    text = re.sub(
        r"/etc/mosquitto/certs|/var/lib/towpath/broker|/var/lib/mosquitto/?",
        f"{folder}",
        text,
    )
    lines = [
        line
        for line in text.splitlines()
        # The test's own listener and folder stand in for these.
        if not line.startswith(
            ("listener", "persistence_location", "persistence ", "max_queued_messages")
        )
        and line.split(" ")[0] not in changed
    ]
    lines += [f"{name} {value}" for name, value in changed.items()]
    return mosquitto(folder, "\n".join(lines) + "\n")


@pytest.mark.parametrize("place", BROKER_SETTINGS)
def test_the_broker_accepts_the_settings_that_are_shipped(
    place: str, tmp_path: Path
) -> None:
    with running(as_shipped(place, tmp_path)) as server:
        log = server.log.read_text()
    # What a stranger who finds the port does wrong is an error of OpenSSL.
    assert not re.search(r"^(\d+: )?Error", log, re.MULTILINE), log


async def come_and_go(server: Server, folder: Path) -> list[str]:
    """A laptop and others at the broker, in every way that a broker logs; the names and
    addresses that its log may hold after that."""
    trust = ssl.create_default_context(cafile=str(folder / "tls" / "ca.pem"))

    def client(who: AgentCredential) -> aiomqtt.Client:
        return aiomqtt.Client(
            "127.0.0.1",
            server.port,
            username=who.agent,
            password=who.secret,
            identifier=who.agent,
            clean_session=False,
            tls_context=trust,
        )

    with opened_registry(folder) as registry:
        config = BrokerConfig(
            password_file=folder / "passwords", acl_file=folder / "acl"
        )
        own = MqttConfig(
            port=server.port,
            ca_file=folder / "tls" / "ca.pem",
            password_file=folder / "own",
        )
        laptop = enrol(registry, "LAPTOP-1")
        files = BrokerFiles(config, own, registry)
        files.write()
        os.kill(server.pid, signal.SIGHUP)
        async with asyncio.timeout(30):
            while not await files.load():
                os.kill(server.pid, signal.SIGHUP)
        async with client(laptop) as connected:
            await connected.subscribe(f"{ACKS_TOPIC}/{laptop.agent}", qos=1)
            await connected.publish(f"{REPORTS_TOPIC}/{laptop.agent}", b"[]", qos=1)
            # Neither its own topic nor one it may hear.
            await connected.publish(f"{REPORTS_TOPIC}/another", b"[]", qos=1)
            # A second connection of the same laptop ends the first.
            async with client(laptop):
                pass
        for wrong in (
            AgentCredential(laptop.agent, "not its secret"),
            AgentCredential("a-stranger", "guess"),
        ):
            with pytest.raises(aiomqtt.MqttError):
                async with client(wrong):
                    pass
        # Neither TLS nor MQTT; TLS but no MQTT; a session that is broken off.
        for first in (b"GET / HTTP/1.1\r\n\r\n", b""):
            with socket.create_connection(("127.0.0.1", server.port)) as plain:
                plain.sendall(first)
        with (
            socket.create_connection(("127.0.0.1", server.port)) as plain,
            trust.wrap_socket(plain, server_hostname="localhost") as inside,
        ):
            inside.sendall(b"GET / HTTP/1.1\r\n\r\n")
        # More for a laptop that is away than the broker keeps.
        ingest = AgentCredential(own.username, (folder / "own").read_text().strip())
        async with client(ingest) as connected:
            for number in range(40):
                topic = f"{ACKS_TOPIC}/{laptop.agent}"
                await connected.publish(topic, b"%d" % number, qos=1)
        registry.admin.revoke(laptop.agent, wall_ms(), "test")
        files.write()
        os.kill(server.pid, signal.SIGHUP)
        async with asyncio.timeout(20):
            with contextlib.suppress(aiomqtt.MqttError):
                while True:
                    async with client(laptop):
                        pass
    return [laptop.agent, "127.0.0.1", "a-stranger"]


@pytest.mark.service
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("place", BROKER_SETTINGS)
async def test_the_brokers_log_names_neither_a_laptop_nor_its_address(
    place: str, tmp_path: Path
) -> None:
    with running(as_shipped(place, tmp_path)) as server:
        names = await come_and_go(server, tmp_path)
        log = server.log.read_text(errors="replace")
        assert [name for name in names if name in log] == []


@pytest.mark.service
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_the_brokers_log_would_name_them_by_its_own_defaults(
    tmp_path: Path,
) -> None:
    """So that the test above is known to see what it looks for."""
    server = as_shipped(
        BROKER_SETTINGS[0], tmp_path, connection_messages="true", log_type="all"
    )
    with running(server):
        names = await come_and_go(server, tmp_path)
        log = server.log.read_text(errors="replace")
        # It never names a user that it does not know.
        assert [name for name in names if name in log] == names[:2]


@pytest.mark.service
async def test_a_broker_that_cannot_be_signalled_reloads_its_users(
    tmp_path: Path,
) -> None:
    config = BrokerConfig(
        password_file=tmp_path / "passwords", acl_file=tmp_path / "acl", every_s=0.2
    )
    server = mosquitto(tmp_path, mosquitto_text(config))
    server.command = [
        "/bin/sh",
        str(DEPLOY / "mosquitto" / "run-and-reload.sh"),
        str(tmp_path / "mosquitto.conf"),
        str(config.password_file),
    ]
    mqtt = MqttConfig(port=server.port, tls=False, password_file=tmp_path / "own")
    with opened_registry(tmp_path) as registry:
        async with BrokerFiles(config, mqtt, registry) as files:
            with running(server):
                for number in range(3):
                    who = enrol(registry, f"LAPTOP-{number}")
                    await until(files.wait_loaded, "the reload", seconds=60)
                    login = await check_login(mqtt, who.agent, who.secret)
                    assert login is Login.ACCEPTED
    assert await check_login(mqtt, who.agent, who.secret) is Login.AWAY


def test_each_desktop_has_its_is_it_me() -> None:
    """Linux, macOS and Windows open the same page, with the programs of one folder."""
    agent = DEPLOY / "agent"
    entry = configparser.ConfigParser(interpolation=None)
    entry.optionxform = str  # type: ignore[assignment, method-assign]
    entry.read(agent / "linux" / "is-it-me.desktop")
    held = entry["Desktop Entry"]
    assert held["Name"] == "Is it me?"
    assert held["Exec"] == "/opt/towpath-agent/bin/towpath-agent is-it-me"
    assert held["Terminal"] == "false"
    assert all(held[key].endswith(";") for key in ("Categories", "Keywords"))
    (plist,) = (agent / "macos").glob("*.plist")
    launched = plistlib.loads(plist.read_bytes())
    assert launched["Label"] == plist.stem
    assert launched["ProgramArguments"][-1] == "run"
    assert launched["Umask"] == 0o077
    command = agent / "macos" / "is-it-me.command"
    assert os.access(command, os.X_OK)
    assert "towpath-agent is-it-me" in command.read_text()
    script = (agent / "windows" / "install.ps1").read_text()
    assert "-m probes.agent.agent_cli is-it-me" in script
    assert "-m probes.agent.agent_cli run" in script


@pytest.mark.service
async def test_grafanas_user_of_influxdb_reads_the_shared_database_and_no_other(
    tmp_path: Path,
) -> None:
    server = services.influxd(tmp_path)
    services.only_of_1(server)
    config = tmp_path / "influxdb.conf"
    config.write_text(
        config.read_text().replace("[http]", "[http]\n  auth-enabled = true")
    )
    url = f"http://127.0.0.1:{server.port}"
    personal = 'SELECT * FROM "towpath_personal".."call_path"'
    with services.running(server):
        async with InfluxServer(url) as first:
            admin = "CREATE USER admin WITH PASSWORD 'a' WITH ALL PRIVILEGES"
            await first.query("", admin)
        async with InfluxServer(url, "admin:a") as owner:
            await owner.query("", "CREATE USER grafana WITH PASSWORD 'b'")
            statements = (DEPLOY / "compose" / "grafana.iql").read_text()
            for statement in statements.strip().split("; "):
                await owner.query("", statement)
            await owner.query("", "CREATE DATABASE towpath_personal")
            await owner.query("towpath", personal)
        async with InfluxServer(url, "grafana:b") as grafana:
            await grafana.query("towpath", 'SELECT * FROM "device"')
            for database, query in (
                ("towpath", personal),
                ("towpath_personal", 'SELECT * FROM "call_path"'),
                ("towpath", 'DROP MEASUREMENT "device"'),
            ):
                with pytest.raises(QueryFailed, match=r"not authorized|40[13]"):
                    await grafana.query(database, query)
