"""What `towpath poll` reads and prints."""

from __future__ import annotations

import asyncio
import json
import subprocess
from io import StringIO
from pathlib import Path

import pytest
import services
from bad_answers import Silent
from hypothesis import given
from hypothesis import strategies as st
from recorded_agents import Recorded
from rich.console import Console

from collectors.snmp import CredentialError, credential
from collectors.snmp.polling.device_facts import (
    DeviceFacts,
    HostTarget,
    poll_once,
    poll_targets,
)
from collectors.snmp.polling.facts_json import facts_json
from collectors.snmp.polling.poll_command import (
    WrongTarget,
    credential_from_options,
    parse_host_port,
    poll_file,
    poll_host,
    read_targets,
)
from collectors.snmp.polling.poll_output import print_facts, scaled, unread_sentence
from collectors.snmp.profiles.identity import Identity
from collectors.snmp.profiles.readings import Sensor
from collectors.snmp.session.session import RetryPolicy
from collectors.snmp.tables.if_types import if_type
from collectors.snmp.tables.interfaces import Port
from probes.wire.failure import Outcome
from towpath.demo.simulated_switches import (
    SimulatedNeighbour,
    SimulatedPort,
    SimulatedSwitch,
)

PUBLIC = credential("test", {"community": "public"})
QUICK = RetryPolicy((0.5, 1.0))


def switch() -> SimulatedSwitch:
    ports = [SimulatedPort(n, f"Gi1/0/{n}", alias=f"room {n}") for n in range(1, 4)]
    ports[0].neighbour = SimulatedNeighbour("core-1", "Te1/1", "switch")
    ports[2].link = False
    return SimulatedSwitch("sw-1", ports, location="Cellar")


async def polled(simulated: SimulatedSwitch, version: str = "2c") -> DeviceFacts:
    held = credential("test", {"version": version, "community": "public"})
    async with simulated:
        return await poll_once(
            "127.0.0.1", simulated.port_number, held, name="sw-1", retry_policy=QUICK
        )


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_the_json_has_the_documented_keys(version: str) -> None:
    shown = facts_json(await polled(switch(), version))
    assert shown["ok"] is True
    assert shown["error"] is None
    assert shown["packets"] > 0
    assert shown["identity"]["sys_name"] == "sw-1"
    assert shown["identity"]["sys_location"] == "Cellar"
    assert [port["if_index"] for port in shown["ports"]] == [1, 2, 3]
    port = shown["ports"][2]
    assert port["name"] == port["port"] == "Gi1/0/3"
    assert port["alias"] == "room 3"
    assert port["type"] == "ethernetCsmacd"
    assert port["speed_bps"] == 1_000_000_000
    assert (port["admin"], port["oper"]) == ("up", "down")
    assert port["mac"] == "020000000003"
    assert port["in_octets"] == 0
    assert "duplex" not in port
    (heard,) = shown["neighbours"]
    assert heard["local_if_index"] == 1
    assert heard["remote_name"] == "core-1"
    assert heard["remote_port"] == "Te1/1"
    assert heard["remote_chassis"] == "02:01:00:00:00:01"
    assert heard["capabilities"] == ["bridge"]
    json.dumps(shown)


async def test_a_silent_device_is_an_error_with_a_reason() -> None:
    shown = facts_json(await polled(Silent("silent", 1)))
    assert shown["ok"] is False
    assert shown["error"]["reason"] == "timeout"
    assert shown["ports"] == []


async def test_a_person_sees_tables() -> None:
    out = StringIO()
    print_facts(await polled(switch()), Console(file=out, width=120))
    text = out.getvalue()
    for shown in ("sw-1", "Gi1/0/2", "room 2", "1 Gbit/s", "down", "core-1"):
        assert shown in text


def _shown(facts: DeviceFacts, width: int = 80) -> str:
    out = StringIO()
    print_facts(facts, Console(file=out, width=width))
    return out.getvalue()


async def test_ports_without_anything_are_listed_in_a_line_and_others_are_rows() -> (
    None
):
    ports = [SimulatedPort(n, f"Gi1/0/{n}") for n in range(1, 13)]
    for port in ports[2:]:
        port.link = False
    ports[5].alias = "printer"
    text = _shown(await polled(SimulatedSwitch("sw-1", ports)))
    assert "Down (9): Gi1/0/3, Gi1/0/4, Gi1/0/5, Gi1/0/7" in text
    rows = {line.split()[0]: line for line in text.splitlines() if line.split()}
    assert "printer" in rows["Gi1/0/6"]
    assert "1 Gbit/s" in rows["Gi1/0/1"]
    assert max(map(len, text.splitlines())) <= 80


def test_sensors_that_are_not_normal_come_first_and_normal_states_are_a_line() -> None:
    facts = DeviceFacts("sw", "10.0.0.1:161", identity=Identity(sys_name="sw"))
    facts.sensors = [
        Sensor("temperature", "Intake", "1", "1", 24.56, "C", high=45.0),
        Sensor("state", "Fan 10", "2", "2", 1, state="ok", severity="ok"),
        Sensor("state", "Fan 2", "3", "3", 3, state="failed", severity="critical"),
    ]
    text = _shown(facts)
    assert text.index("Fan 2") < text.index("Intake")
    assert "24.56 °C  at most 45" in text
    assert "Normal: Fan 10 (ok)" in text


@given(st.text(max_size=30))
def test_text_from_a_device_is_shown_and_is_never_markup(content: str) -> None:
    facts = DeviceFacts(
        "sw", "10.0.0.1:161", identity=Identity(sys_name=f"[/]{content}")
    )
    facts.ports = [Port(1, f"[bold]{content}", True, alias=content)]
    facts.sensors = [
        Sensor("state", content, "1", "1", 1, state=content, severity="warning")
    ]
    text = _shown(facts, 200)
    assert "[/]" in text
    assert "[bold]" in text


async def test_many_are_polled_at_once_and_one_that_fails_is_one_line() -> None:
    polled_facts: list[DeviceFacts] = []
    async with switch() as good, Silent("bad", 1) as bad:
        targets = [
            HostTarget(name, "127.0.0.1", simulated.port_number, PUBLIC)
            for name, simulated in (("good", good), ("bad", bad), ("again", good))
        ]
        failed = await poll_targets(
            targets, polled_facts.append, 2, RetryPolicy((0.3,))
        )
    assert failed == 1
    assert {facts.name: facts.ok for facts in polled_facts} == {
        "good": True,
        "bad": False,
        "again": True,
    }


def test_the_command_prints_json_and_its_exit_code_is_the_outcome(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = services.snmpd(tmp_path / "snmpd")
    with services.running(server):
        held = credential_from_options({"community": "public", "version": None})
        host = f"localhost:{server.port}"
        assert poll_host(host, held, as_json=True) == 0
        shown = json.loads(capsys.readouterr().out)
        assert shown["identity"]["vendor"] == "linux"
        assert "softwareLoopback" in {port["type"] for port in shown["ports"]}
        file = tmp_path / "targets.csv"
        file.write_text(
            "name,address,port,version,community\n"
            f"one,127.0.0.1,{server.port},2c,public\n"
            f"two,127.0.0.1,{server.port},1,public\n"
        )
        assert poll_file(file) == 0
        lines = capsys.readouterr().out.splitlines()
    assert {json.loads(line)["name"] for line in lines} == {"one", "two"}
    assert poll_host(host, held, timeout_s=0.1, tries=1) == 1
    assert "refused" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("switch", ("switch", 161)),
        ("10.0.0.1:1161", ("10.0.0.1", 1161)),
        ("fd00::1", ("fd00::1", 161)),
        ("[fd00::1]:1161", ("fd00::1", 1161)),
    ],
)
def test_a_host_may_have_a_port(text: str, expected: tuple[str, int]) -> None:
    assert parse_host_port(text) == expected


@pytest.mark.parametrize("text", ["", "a:b", "a:0", "a:70000", ":161"])
def test_a_host_that_is_not_valid_is_reported(text: str) -> None:
    with pytest.raises(WrongTarget, match="HOST"):
        parse_host_port(text)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a,b\n1,2\n", "no column address, name"),
        ("name,address,port\nx,127.0.0.1,99999\n", "targets.csv:2: port '99999'"),
        ("name,address,version\nx,127.0.0.1,9\n", "version '9'"),
        ("name,address\nx,\n", "no address"),
    ],
)
def test_a_wrong_line_of_the_targets_is_named(
    tmp_path: Path, content: str, says: str
) -> None:
    file = tmp_path / "targets.csv"
    file.write_text(content)
    with pytest.raises(WrongTarget, match="targets") as caught:
        read_targets(file)
    assert says in str(caught.value)


def test_the_options_of_the_command_make_a_credential() -> None:
    assert credential_from_options({}).community == "public"
    assert (
        credential_from_options({"user": "u", "auth_password": "p" * 8}).auth
        == "sha256"
    )
    with pytest.raises(CredentialError, match="needs a user"):
        credential_from_options({"version": "3"})


def test_numbers_are_shown_as_people_say_them() -> None:
    assert scaled(1_234_567) == "1.23 M"
    assert scaled(12) == "12 "
    assert if_type(6) == "ethernetCsmacd"
    assert if_type(161) == "ieee8023adLag"
    assert if_type(9999) == "9999"


@pytest.mark.service
async def test_the_simulated_switch_is_understood_by_other_tools() -> None:
    walk = services.program("snmpbulkwalk")
    async with switch() as simulated:
        outputs = {}
        for options in (["-v2c"], ["-v2c", "-Cr50"], ["-v1"]):
            program = services.program("snmpwalk") if "-v1" in options else walk
            asked = [
                *options,
                "-c",
                "public",
                "-On",
                f"127.0.0.1:{simulated.port_number}",
            ]
            done = await asyncio.to_thread(
                subprocess.run,
                [program, *asked, "1.3.6.1.2.1.31.1.1.1"],
                capture_output=True,
                text=True,
                timeout=30,
                check=True,
                env={"MIBS": "", "PATH": "/usr/bin:/bin"},
            )
            outputs[tuple(options)] = done.stdout.splitlines()
    assert len({tuple(rows) for rows in outputs.values()}) == 1
    rows = outputs[("-v2c",)]
    assert len(rows) == 30
    assert '.1.3.6.1.2.1.31.1.1.1.1.2 = STRING: "Gi1/0/2"' in rows


@pytest.mark.corpus
def test_recorded_devices_have_the_ports_they_are_known_to_have() -> None:
    recordings = services.corpus("recordings")
    expected = services.corpus("expected")
    checked = 0

    async def poll(file: Path) -> DeviceFacts:
        async with Recorded(file) as agent:
            return await poll_once(
                "127.0.0.1", agent.port_number, PUBLIC, name=file.stem
            )

    for file in sorted(recordings.glob("*.snmprec"))[::6]:
        known = json.loads((expected / f"{file.stem}.json").read_text())
        wanted = {
            port["ifIndex"]
            for port in known.get("ports", ())
            if not port.get("not_in_ref") and not port.get("ref_index_only")
        }
        try:
            facts = asyncio.run(poll(file))
        except (UnicodeDecodeError, ValueError) as error:
            pytest.fail(f"{file.name}: {error!r}")
        assert facts.ok, (file.name, facts.detail)
        if "ports" in known["reference_modules"]:
            assert wanted <= {port.if_index for port in facts.ports}, file.name
            checked += len(wanted)
        shown = json.dumps(facts_json(facts), ensure_ascii=False)
        assert "\ufffd" not in shown
    assert checked > 100


def test_a_device_that_refuses_a_credential_did_answer() -> None:
    refused = unread_sentence("10.0.0.1:161", Outcome.AUTH_FAILED, "no user 'x'")
    silent = unread_sentence("10.0.0.1:161", Outcome.TIMEOUT, "no answer")
    assert refused == "10.0.0.1:161 could not be read: no user 'x' (auth_failed)"
    assert silent == "10.0.0.1:161 did not answer: no answer (timeout)"
