"""What `deploy/` ships is well-formed: units, broker files, the compose file."""

import configparser
import os
import plistlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import services
import yaml
from services import absent, mosquitto, running

from collectors.store.failure import Unanswered
from collectors.store.influx_http import InfluxServer

DEPLOY = Path(__file__).parents[1] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
OF_A_USER = DEPLOY / "agent" / "linux" / "towpath-agent.service"


@pytest.mark.parametrize("unit", [*UNITS, OF_A_USER], ids=lambda unit: unit.parent.name)
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


def test_compose_names_only_files_and_volumes_that_exist() -> None:
    folder = DEPLOY / "compose"
    compose = yaml.safe_load((folder / "compose.yaml").read_text())
    named = set(compose["volumes"])
    # What an operator brings: settings, estate, keys.
    brought = {"towpath.toml", "estate", "tls"}
    for service in compose["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                path = folder / source
                assert path.exists() or path.name in brought, source
            else:
                assert source in named, source
        for needed in service.get("depends_on", ()):
            assert needed in compose["services"]
    example = (folder / ".env.example").read_text()
    for variable in re.findall(r"\$\{(\w+)", (folder / "compose.yaml").read_text()):
        assert f"{variable}=" in example, variable


def test_no_secret_is_in_the_files_that_are_shipped() -> None:
    example = (DEPLOY / "compose" / ".env.example").read_text()
    for line in example.splitlines():
        if "PASSWORD" in line and not line.startswith("#"):
            assert line.endswith("="), line


@pytest.mark.parametrize("place", ["mosquitto/towpath.conf", "compose/mosquitto.conf"])
def test_the_broker_accepts_the_settings_that_are_shipped(
    place: str, tmp_path: Path
) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        absent("openssl is not installed")
    subprocess.run(
        f"{openssl} req -x509 -newkey rsa:2048 -nodes -keyout towpath.key "
        "-out towpath.crt -days 2 -subj /CN=localhost".split(),
        cwd=tmp_path,
        check=True,
        capture_output=True,
        timeout=60,
    )
    (tmp_path / "passwords").touch(0o600)
    (tmp_path / "acl").touch(0o600)
    text = (DEPLOY / place).read_text()
    lines = [
        line
        for line in re.sub(
            r"/etc/mosquitto/certs|/var/lib/towpath/broker|/var/lib/mosquitto/?",
            f"{tmp_path}",
            text,
        ).splitlines()
        # The test's own listener and folder stand in for these.
        if not line.startswith(("listener", "persistence_location", "persistence "))
        and not line.startswith("max_queued_messages")
    ]
    server = mosquitto(tmp_path, "\n".join(lines) + "\n")
    with running(server):
        assert "Error" not in server.log.read_text()


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
    assert "-m probes.cli is-it-me" in script
    assert "-m probes.cli run" in script


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
                with pytest.raises(Unanswered, match=r"not authorized|40[13]"):
                    await grafana.query(database, query)
