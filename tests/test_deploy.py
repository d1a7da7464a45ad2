"""What `deploy/` ships is well-formed: units, broker files, the compose file."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from services import absent, mosquitto, running

DEPLOY = Path(__file__).parents[1] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_accepts_every_line_of_the_unit(unit: Path, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not here")
    # The programs it names are not installed here: stand-ins that exist.
    text = re.sub(r"/opt/towpath(-agent)?/bin/\S+", "/bin/true", unit.read_text())
    copy = tmp_path / unit.name.replace("@", "@poll")
    copy.write_text(text)
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(copy)],
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
