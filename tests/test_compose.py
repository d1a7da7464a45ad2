"""The image and the compose file: hardened, pinned, and with settings that Towpath
reads."""

from __future__ import annotations

import http.server
import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest
import services
import yaml
from deployments import (
    DEPLOY,
    ROOT,
    TRAPS_PORT,
    check_files,
    check_nats,
    metric_ports,
    role_of,
)
from river import towpath

from collectors.ingest.certificate import make_certificates
from towpath import ask_health
from towpath.config import ROLES, read, written_folders

FOLDER = DEPLOY / "compose"
TEXT = (FOLDER / "compose.yaml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
CLUSTER: dict[str, Any] = yaml.safe_load((FOLDER / "nats-server.yaml").read_text())
JOURNAL: dict[str, Any] = yaml.safe_load((FOLDER / "nats-journal.yaml").read_text())
SETTINGS = FOLDER / "config" / "towpath.toml"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
# What reaches the machine's network, and what only this machine reaches.
PUBLISHED = {
    "poll": ["${TRAPS_ADDRESS:-0.0.0.0}:162:1162/udp"],
    "ingest": ["${INGEST_ADDRESS:-0.0.0.0}:443:8443"],
    "web": ["127.0.0.1:8080:8080"],
    "calls": ["127.0.0.1:8446:8446"],
    "grafana": ["127.0.0.1:3000:3000"],
    "mosquitto": ["${INGEST_ADDRESS:-0.0.0.0}:8883:8883"],
}


def test_compose_itself_would_read_the_file() -> None:
    assert int(check_files("compose", FOLDER / "compose.yaml")) == len(SERVICES)
    together = check_files(
        "compose", FOLDER / "compose.yaml", FOLDER / "nats-journal.yaml"
    )
    assert int(together) == len(SERVICES)
    names = [f"NATS_HOST_{number}=n{number}" for number in (1, 2, 3)]
    alone = check_files(
        "compose", FOLDER / "nats-server.yaml", variables=["NATS_NAME=nats-1", *names]
    )
    assert alone == "1"


def test_every_service_is_hardened_limited_and_watched() -> None:
    for name, service in [*SERVICES.items(), *CLUSTER["services"].items()]:
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "cap_add" not in service, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        limits = service["deploy"]["resources"]["limits"]
        assert limits.keys() == {"cpus", "memory", "pids"}, name
        # Towpath's image brings its own.
        assert "healthcheck" in service or role_of(service["command"]), name


def test_images_have_exact_versions_and_one_is_for_all_roles() -> None:
    example = (FOLDER / ".env.example").read_text().splitlines()
    services = [*SERVICES.values(), *CLUSTER["services"].values()]
    for image in (service["image"] for service in services):
        # Another one, such as one with a digest, can be given.
        given = re.fullmatch(r"\$\{(\w+_IMAGE):-(\S+:\d+\.\d+\.\d+(-\w+)*)\}", image)
        assert given is not None, image
        assert f"{given[1]}={given[2]}" in example
    assert re.findall(r"^(?:FROM|ARG) (\S+)", DOCKERFILE, re.MULTILINE) == [
        "PYTHON=python:3.11.14-slim-bookworm",
        "${PYTHON}",
        "${PYTHON}",
    ]
    roles = {role_of(s["command"]): s["image"] for s in SERVICES.values()}
    assert roles.keys() - {""} == set(ROLES)
    assert len({image for role, image in roles.items() if role}) == 1


def test_every_role_reaches_the_journal_in_nats_and_shows_its_certificate() -> None:
    ours = {name for name, s in SERVICES.items() if role_of(s["command"])}
    assert JOURNAL["services"].keys() == ours
    for name, service in JOURNAL["services"].items():
        assert service["networks"] == SERVICES["nats"]["networks"], name
        assert set(service["secrets"]) <= (
            COMPOSE["secrets"].keys() | JOURNAL["secrets"].keys()
        )


def test_every_place_that_towpath_writes_to_is_on_a_volume() -> None:
    places = written_folders(read(SETTINGS))
    assert {"state", "journal", "alerts", "agents"} <= places.keys()
    for name, service in SERVICES.items():
        if not role_of(service["command"]):
            continue
        mounts = [volume.split(":") for volume in service["volumes"]]
        written = {Path(m[1]) for m in mounts if "ro" not in m[2:]}
        for place in places.values():
            assert written & {place, *place.parents}, (name, place)
        assert any(mount.startswith("/tmp:") for mount in service["tmpfs"]), name


def test_only_what_must_be_is_reachable_from_outside() -> None:
    published = {n: s["ports"] for n, s in SERVICES.items() if "ports" in s}
    assert published == PUBLISHED
    for name in ("influxdb", "nats"):
        networks = SERVICES[name]["networks"]
        internal = [COMPOSE["networks"][n]["internal"] for n in networks]
        assert internal in ([True], ["${JOURNAL_ON_THIS_MACHINE:-true}"])
    # Ingest, which strangers reach, has no way to the database.
    assert "database" not in SERVICES["ingest"]["networks"]
    assert SERVICES["ingest"]["secrets"] == ["towpath.crt", "towpath.key"]


def test_files_volumes_networks_and_variables_that_are_named_exist() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (FOLDER / source).exists(), source
            else:
                assert source in COMPOSE["volumes"], source
        assert set(service["networks"]) <= COMPOSE["networks"].keys(), name
        assert set(service.get("secrets", ())) <= COMPOSE["secrets"].keys(), name
        for needed, how in service.get("depends_on", {}).items():
            assert needed in SERVICES
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[needed]
    example = (FOLDER / ".env.example").read_text()
    both = TEXT + (FOLDER / "nats-server.yaml").read_text()
    for variable in re.findall(r"(?<!\$)\$\{(\w+)", both):
        assert f"{variable}=" in example, variable


def test_no_secret_is_in_the_files() -> None:
    assert not re.search(r"(PASSWORD|TOKEN)(?!__FILE)\w*: (?!http)", TEXT)
    assert (FOLDER / "secrets" / ".gitignore").read_text().splitlines()[1] == "*"
    assert "PASSWORD" not in (FOLDER / ".env.example").read_text()


def test_towpath_accepts_the_settings_and_opens_the_ports_that_are_published(
    tmp_path: Path,
) -> None:
    config = read(SETTINGS)
    assert config.traps.port == TRAPS_PORT
    assert config.ingest.https is not None
    assert (config.ingest.https.host, config.ingest.https.port) == ("0.0.0.0", 8443)
    assert (config.web.host, config.web.port) == ("0.0.0.0", 8080)
    exposed = re.search(r"^EXPOSE (.*)$", DOCKERFILE, re.MULTILINE)
    assert exposed is not None
    notices = config.calls.notifications.port
    assert exposed[1].split() == ["8443", "8080", f"{notices}", "1162/udp", "9468-9474"]
    ports = metric_ports(SETTINGS.read_text()).values()
    assert set(ports) < set(ask_health.DEFAULT_PORTS)
    # As in the container, but for the places of secrets and state.
    keys = make_certificates(tmp_path, ("localhost",))
    text = SETTINGS.read_text().replace("/var/lib/towpath", f"{tmp_path}/state")
    for name, path in (("crt", keys.certificate), ("key", keys.private_key)):
        text = text.replace(f"/run/secrets/towpath.{name}", f"{path}")
    text = text.replace("/run/secrets", f"{tmp_path}")
    (tmp_path / "towpath.toml").write_text(text)
    (tmp_path / "estate.toml").write_text((SETTINGS.parent / "estate.toml").read_text())
    (tmp_path / "store-token").write_text("towpath:x")
    (tmp_path / "towpath-snmp.toml").write_text('[default]\ncommunity = "x"\n')
    credentials = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    done = towpath("check", "-c", tmp_path / "towpath.toml", more_env=credentials)
    assert done.returncode == 0, done.stderr


def test_the_image_is_built_from_the_lock_without_tools_root_or_scapy() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert "--require-hashes" in DOCKERFILE
    assert "deploy/server.lock" in DOCKERFILE
    assert not re.search(r"\b(gcc|build-essential|hatchling)\b", last)
    assert "USER 10001:10001" in last
    # A step that fails ends the build.
    assert not re.search(r";|\|\|", last)
    assert '["/opt/towpath/bin/python", "-m", "towpath.ask_health"]' in last
    assert "org.opencontainers.image.licenses" in last
    lock = (DEPLOY / "server.lock").read_text()
    assert "scapy" not in lock
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text()
    for copied in re.findall(r"^COPY ([^-\s].*) \S+$", DOCKERFILE, re.MULTILINE):
        for source in copied.split():
            assert (ROOT / source).exists(), source
            assert f"!{source}\n" in allowed, source
    assert "!capture" not in allowed


def test_build_kit_reads_the_image_s_file_and_warns_of_nothing(tmp_path: Path) -> None:
    stages = len(re.findall(r"^FROM ", DOCKERFILE, re.MULTILINE))
    assert int(check_files("dockerfile", DEPLOY / "Dockerfile")) == stages
    (tmp_path / "Dockerfile").write_text(f"{DOCKERFILE}MAINTAINER nobody\n")
    with pytest.raises(AssertionError, match="MaintainerDeprecated"):
        check_files("dockerfile", tmp_path / "Dockerfile")


def answering(status: int, reasons: list[str]) -> http.server.HTTPServer:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps({"reasons": reasons}).encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


def test_the_health_check_asks_every_process_that_answers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    nobody = str(services.free_port())
    with answering(200, []) as well, answering(503, ["store: down"]) as unwell:
        ports = [str(server.server_port) for server in (well, unwell)]
        assert ask_health.main([ports[0], nobody]) == 0
        assert ask_health.main([*ports, nobody]) == 1
        assert "store: down" in capsys.readouterr().out
        for server in (well, unwell):
            server.shutdown()
    assert ask_health.main([nobody]) == 1
    assert "no process answers" in capsys.readouterr().out


def test_nats_accepts_its_settings(tmp_path: Path) -> None:
    text = (FOLDER / "nats.conf").read_text()
    assert check_nats(text, "/run/secrets", tmp_path) == ""
    wrong = text.replace("verify: true", "verify: perhaps")
    assert "verify" in check_nats(wrong, "/run/secrets", tmp_path)
    of_three = (FOLDER / "nats-cluster.conf").read_text()
    assert check_nats(of_three, "/run/secrets", tmp_path) == ""
