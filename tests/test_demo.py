"""`towpath demo` as a newcomer runs it: a process of its own, on real ports, to its
end."""

from __future__ import annotations

import csv
import json
import os
import re
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import yaml
from river import answer, environment
from services import absent, free_port
from waiting import wait_until
from warm_command import run_to_end

from collectors.ingest.certificate import make_certificates
from probes.agent.settings import Mqtt
from towpath.demo.demo_council import SWITCHES
from towpath.demo.simulated_laptops import Fleet, fleet
from towpath.demo.story import StoryState, missing_parts
from towpath.demo.town import Mosquitto

COMMAND = [sys.executable, "-m", "towpath.cli", "demo"]


def _follow_grafana_steps(said: str) -> None:
    """Does with what the demo printed as a Grafana with the provisioned files does."""
    printed = re.search(r"export INFLUX_URL=(\S+) INFLUX_TOKEN=(\S+)", said)
    assert printed, said
    url, token = printed.groups()
    mounted = dict(re.findall(r"-v (\S+):(\S+)", said))
    folders = {target: Path(source) for source, target in mounted.items()}
    provisioning = folders["/etc/grafana/provisioning"]
    text = (provisioning / "datasources" / "towpath.yaml").read_text()
    text = text.replace("$INFLUX_URL", url).replace("$INFLUX_TOKEN", token)
    (source,) = yaml.safe_load(text)["datasources"]
    header = source["secureJsonData"]["httpHeaderValue1"]
    assert f"the custom HTTP header Authorization with {header}" in said
    (folder,) = yaml.safe_load(
        (provisioning / "dashboards" / "towpath.yaml").read_text()
    )["providers"]
    boards = folder["options"]["path"].replace(
        "/var/lib/grafana/dashboards", str(folders["/var/lib/grafana/dashboards"])
    )
    texts = [path.read_text() for path in Path(boards).glob("*.json")]
    assert len(texts) >= 5
    assert any('"text": "Central Library"' in text for text in texts)

    def ask(query: str) -> list[list[object]]:
        body = urllib.parse.urlencode({"q": query}).encode()
        address = f"{source['url']}/query?db={source['database']}&epoch=ms"
        request = urllib.request.Request(address, body, {"Authorization": header})
        with urllib.request.urlopen(request, timeout=20) as reply:
            (result,) = json.load(reply)["results"]
        return [row for one in result.get("series", ()) for row in one["values"]]

    wait_until(lambda: ["device"] in ask("SHOW measurements"), "rows of devices", 60)
    devices = 'SHOW TAG VALUES FROM "device" WITH KEY = "device"'
    wait_until(lambda: len(ask(devices)) == len(SWITCHES), "every device", 60)


@pytest.mark.timeout(300)
def test_the_demo_finds_names_and_resolves_its_fault_and_shows_it(
    tmp_path: Path,
) -> None:
    port, keep = free_port(), tmp_path / "kept"
    log = tmp_path / "said"
    with log.open("wb") as out:
        demo = subprocess.Popen(
            # No longer than the story takes.
            [*COMMAND, "--for", "1s", "--port", str(port), "--keep", str(keep)],
            stdout=out,
            stderr=out,
            env={**environment(), "COLUMNS": "300"},
        )
    try:
        page = f"http://127.0.0.1:{port}/"

        def shown(text: str) -> bool:
            return text in answer(page)[1]

        wait_until(lambda: shown("Central Library"), "the status page", 60)
        wait_until(lambda: "Token " in log.read_text(), "the steps for Grafana", 60)
        _follow_grafana_steps(log.read_text())
        wait_until(
            lambda: shown("the primary line of Severn Telecom is down"),
            "the cause on the status page",
            120,
        )
        wait_until(lambda: demo.poll() is not None, "its end", 180)
    finally:
        demo.kill()
        demo.wait(10)
    said = log.read_text()
    assert demo.returncode == 0, said
    assert "7 of 7 switches answer over SNMP; 48 of 48 laptops report" in said
    (paged,) = re.findall(r"PAGE .*", said)
    assert "Central Library: the primary line of Severn Telecom is down" in paged
    assert "2 devices" in paged
    assert len(re.findall(r"RESOLVED", said)) == 1
    assert len(re.findall(r"\byes\b", said)) == 6
    assert " NO " not in said
    assert "Traceback" not in said
    # The report shows calls, home beside offices, whatever the time of day.
    with next((keep / "reports").glob("*calls*.csv")).open(newline="") as file:
        calls = {row["group"]: row for row in csv.DictReader(file)}
    for place in ("office", "home"):
        assert int(calls[place]["test calls (rounded to 5)"]) > 0, calls[place]
        assert calls[place]["poor calls (ratio of calls)"] != ""
    assert calls["leisure"]["note"] == "no laptop with the agent"
    # The report has one incident: the devices behind the line are counted with it.
    with next((keep / "reports").glob("*incidents*.csv")).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1, rows
    assert "primary line" in " ".join(rows[0].values())
    assert (keep / "towpath.toml").exists()


def test_a_text_that_is_no_duration_is_reported() -> None:
    done = run_to_end(["demo", "--for", "soon"], os.environ, 60)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "soon" in line


def test_the_verdict_names_who_is_missing_and_why() -> None:
    laptops = fleet(12)
    for laptop in laptops:
        laptop.agent, laptop.trouble = f"agent-{laptop.number}", ""
    laptops[5].trouble = "its report was not accepted: the broker refused it"
    laptops[6].agent, laptops[6].trouble = "", "it could not enrol: no answer"
    everyone = Fleet(laptops, "", {}, "", Mqtt(), Path())
    reporting = frozenset(f"agent-{n}" for n in range(48) if n not in {5, 6, 7})
    devices = frozenset(switch.id for switch in SWITCHES)
    lines = frozenset({"a", "b", "c", "d", "e"})
    assert missing_parts(
        StoryState(devices - {"depot-1"}, reporting, lines - {"e"}), everyone
    ) == [
        "these switches do not answer: depot-1",
        "traffic on 4 of 5 lines: a, b, c, d",
        "laptop 5 (mqtt): its report was not accepted: the broker refused it",
        "laptop 6 (https): it could not enrol: no answer",
        "laptop 7 (https): its reports are accepted but not in the store yet",
    ]
    # Somebody else's reports, such as this machine's own agent's, stand in for nobody.
    others = reporting | {"own", "other", "third"}
    assert len(missing_parts(StoryState(devices, others, lines), everyone)) == 3
    assert missing_parts(
        StoryState(devices, reporting | {"agent-5", "agent-7"}, lines), everyone
    )
    assert missing_parts(StoryState(devices, frozenset(), lines), everyone)[
        -1
    ].endswith("and 43 more laptops")


def test_a_demo_that_cannot_write_fails_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    kept = str(tmp_path / "file" / "kept")
    done = run_to_end(["demo", "--for", "1s", "--keep", kept], os.environ, 60)
    assert done.returncode == 1
    assert "could not start" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


async def test_a_port_in_use_ends_the_start_of_the_broker_with_its_reason(
    tmp_path: Path,
) -> None:
    if Mosquitto.program() is None:
        absent("mosquitto is not installed")
    certificates = make_certificates(tmp_path / "tls", ("localhost",))
    for name in ("passwords", "acl"):
        (tmp_path / name).touch(0o600)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=r"mosquitto ended: .*[Aa]ddress"):
            async with Mosquitto(port, tmp_path, certificates):
                pass
