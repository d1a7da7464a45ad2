"""Devices are found at a gentle pace, distinguished, and written as estate entries."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from ipaddress import ip_address, ip_network
from pathlib import Path

import msgspec
import pytest
import services
from hypothesis import given
from hypothesis import strategies as st
from towpath_command import BIN, towpath

from collectors.discovery.address_ranges import InvalidNetwork, parse_addresses, shuffle
from collectors.discovery.discover_output import (
    CredentialOrder,
    DiscoveryReport,
    as_csv,
    as_json,
    as_toml,
)
from collectors.discovery.found_devices import group_answers, guess_role
from collectors.discovery.sweep import (
    NamedCredential,
    SweepAnswer,
    SweepPace,
    SweepSettings,
    sweep,
)
from collectors.estate import Estate, load
from collectors.snmp import credential
from collectors.snmp.profiles.identity import Identity
from collectors.snmp.session.engine_discovery import engine_id_of_message
from towpath.demo import snmp_messages
from towpath.demo.simulated_switches import SimulatedSwitch

PUBLIC: NamedCredential = ("public", credential("public", {"community": "public"}))
SCHOOLS: NamedCredential = ("schools", credential("schools", {"community": "schools"}))
NET = "127.77.0"


def test_networks_ranges_and_addresses_become_addresses_each_once() -> None:
    addresses = parse_addresses(
        ["10.1.0.0/30", "10.1.0.2", "10.1.0.8-10.1.0.9", "fd00::5"]
    )
    assert list(map(str, addresses)) == [
        "10.1.0.1",
        "10.1.0.2",
        "10.1.0.8",
        "10.1.0.9",
        "fd00::5",
    ]
    assert len(parse_addresses(["10.0.0.0/31"])) == 2
    assert len(parse_addresses(["10.0.0.7/24"])) == 254


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10.0.0.0/8", "16,777,214 addresses are more than 65,536"),
        ("fd00::/64", "cannot be searched address by address"),
        ("10.1.0.0/33", "is not a network or address"),
        ("switch-1", "is not a range"),
        ("10.0.0.9-10.0.0.1", "is not after the first"),
    ],
)
def test_a_network_that_cannot_be_searched_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidNetwork, match=message):
        parse_addresses([text])


def test_the_order_is_shuffled_and_always_the_same() -> None:
    addresses = parse_addresses(["10.1.0.0/24", "10.2.0.0/24"])
    order = shuffle(addresses)
    assert set(order) == set(addresses)
    assert order == shuffle(addresses)
    first = {ip_network(f"{address}/24", strict=False) for address in order[:10]}
    assert len(first) == 2


async def test_packets_are_sent_no_faster_than_the_limit() -> None:
    pace = SweepPace(200.0)
    started = time.monotonic()
    for _ in range(10):
        await pace.wait(3)
    # The first goes at once; each of the 27 before the last takes 1/200 s.
    assert time.monotonic() - started >= 27 / 200


class BridgeSwitch(SimulatedSwitch):
    """Has a bridge address, and records the communities of its requests."""

    bridge = bytes.fromhex("020000aa0001")

    def rebuild(self) -> None:
        super().rebuild()
        row = (1, 3, 6, 1, 2, 1, 17, 1, 1, 0)
        self._values[snmp_messages.oid_content(row)] = lambda: snmp_messages.octets(
            self.bridge
        )
        self.communities: list[bytes] = []

    def answer(self, data: bytes) -> list[bytes]:
        with suppress(snmp_messages.Malformed):
            self.communities.append(snmp_messages.decode(data).community)
        return super().answer(data)


async def run_sweep(
    agents: Sequence[SimulatedSwitch],
    networks: Sequence[str],
    credentials: Sequence[NamedCredential],
    estate: Estate | None = None,
    site: str = "",
    port: int = 0,
) -> DiscoveryReport:
    port = port or services.free_port(socket.SOCK_DGRAM)
    report = DiscoveryReport(estate or Estate(), port, site)
    settings = SweepSettings(port=port, per_s=5000.0, timeout_s=0.3)
    async with AsyncExitStack() as running:
        for agent in agents:
            agent.port_number = port
            await running.enter_async_context(agent)
        order = CredentialOrder(credentials, {})
        await sweep(settings, parse_addresses(networks), order, report.add)
    return report


ESTATE = Estate.model_validate(
    {
        "sites": [
            {"id": "hall", "name": "Hall", "subnets": [f"{NET}.0/28"]},
            {"id": "depot", "name": "Depot", "locations": ["(?i)depot"]},
        ],
        "devices": [{"id": "old", "site": "hall", "address": f"{NET}.9", "port": 1}],
    }
)


async def test_a_network_becomes_entries_that_the_estate_loads(tmp_path: Path) -> None:
    agents = [
        BridgeSwitch("SW-1.example.gov.uk", 8, address=f"{NET}.1"),
        BridgeSwitch("SW-1.example.gov.uk", 8, address=f"{NET}.2"),
        BridgeSwitch("yard", 8, address=f"{NET}.20", location="Depot, yard"),
        BridgeSwitch("lost", 8, address=f"{NET}.21"),
        BridgeSwitch("other", 8, address=f"{NET}.22", community="secret"),
    ]
    report = await run_sweep(agents, [f"{NET}.0/27"], [PUBLIC], ESTATE)
    entries = report.estate_lines()
    assert [(e["id"], e["site"], e["address"]) for e in entries.entries] == [
        ("sw-1", "hall", f"{NET}.1"),
        ("yard", "depot", f"{NET}.20"),
    ]
    assert [e["id"] for e in entries.without_site] == ["lost"]
    assert entries.entries[0]["credentials"] == "public"
    assert f"also at {NET}.2" in entries.notes["sw-1"][0]
    estate = tmp_path / "estate.toml"
    sites = as_toml(entries) + (
        f'[[sites]]\nid = "hall"\nname = "H"\nsubnets = ["{NET}.0/28"]\n'
        '[[sites]]\nid = "depot"\nname = "D"\n'
    )
    estate.write_text(sites)
    assert [d.id for d in load(estate).devices] == ["sw-1", "yard"]
    assert "lost" in sites
    assert (
        as_csv(entries)
        .splitlines()[1]
        .startswith(f"sw-1,SW-1.example.gov.uk,hall,{NET}.1")
    )
    text = "\n".join(report.summary(30, entries))
    assert "30 of 30 addresses queried" in text
    assert "2 new devices" in text
    assert f"{NET}.21 (lost) has no site: " in text
    assert "[" not in text
    assert json.loads(as_json(report, entries))["asked"] == 30


async def test_no_agent_is_tried_with_a_community_that_is_not_configured() -> None:
    agent = BridgeSwitch("sw", 2, address=f"{NET}.1", community="hidden")
    await run_sweep([agent], [f"{NET}.1"], [SCHOOLS])
    assert set(agent.communities) == {b"schools"}
    # Once, and once more for a lost packet.
    assert len(agent.communities) <= 2


async def test_a_device_the_estate_has_is_not_written_again() -> None:
    agent = BridgeSwitch("sw", 2, address=f"{NET}.9")
    port = services.free_port(socket.SOCK_DGRAM)
    device = ESTATE.devices[0].model_copy(update={"port": port})
    estate = ESTATE.model_copy(update={"devices": (device,)})
    report = await run_sweep([agent], [f"{NET}.9"], [PUBLIC], estate, port=port)
    entries = report.estate_lines()
    assert [id for id, _ in entries.known] == ["old"]
    assert not entries.entries


async def test_an_agent_that_no_credential_fits_is_listed_apart(
    tmp_path: Path,
) -> None:
    server = services.snmpd(tmp_path / "snmpd")
    wrong_user = credential(
        "x", {"user": "nobody", "auth_password": "not the password"}
    )
    with services.running(server):
        report = await run_sweep(
            [], ["127.0.0.1"], [("x", wrong_user)], port=server.port
        )
        assert [answer.address for answer in report.without_credential()] == [
            "127.0.0.1"
        ]
        assert any("no credential fits: 127.0.0.1" in text for text in summary(report))
        assert any("has no user 'nobody'" in text for text in summary(report))
        report = await run_sweep(
            [],
            ["127.0.0.1"],
            [("x", wrong_user), PUBLIC],
            port=server.port,
            site="hall",
        )
    (answer,) = report.answers
    assert answer.credential == "public"
    assert len(answer.engine_id) >= 10
    assert "127.0.0.1" in answer.own_addresses


def summary(report: DiscoveryReport) -> list[str]:
    return report.summary(1, report.estate_lines())


def test_credentials_of_the_most_specific_subnet_are_tried_first() -> None:
    by_subnet = {
        ip_network("10.0.0.0/8"): ("public",),
        ip_network("10.2.0.0/16"): ("schools",),
    }
    tried = CredentialOrder([("core", PUBLIC[1]), PUBLIC, SCHOOLS], by_subnet)

    def names(address: str) -> list[str]:
        return [name for name, _ in tried(ip_address(address))]

    assert names("10.2.0.1") == ["schools", "public", "core"]
    assert names("10.3.0.1") == ["public", "core", "schools"]
    assert names("192.0.2.1") == ["core", "public", "schools"]


def answer(address: str, name: str = "sw", **more: object) -> SweepAnswer:
    identity = Identity(sys_name=name, sys_object_id="1.3.6.1.4.1.9.1.1")
    return msgspec.structs.replace(
        SweepAnswer(address, credential="public", identity=identity), **more
    )


@pytest.mark.parametrize(
    ("first", "second", "one"),
    [
        ({"serial": "A1"}, {"serial": "A1"}, True),
        ({"engine_id": "80000009030011"}, {"engine_id": "80000009030011"}, True),
        ({"engine_id": "8000000900000000"}, {"engine_id": "8000000900000000"}, False),
        ({"own_addresses": ("10.0.0.2",)}, {}, True),
        ({"bridge_address": "020000aa0001"}, {"bridge_address": "020000aa0001"}, True),
        ({"bridge_address": "000000000000"}, {"bridge_address": "000000000000"}, False),
        # Clones: one engine id, two bridges.
        (
            {"engine_id": "80000009030011", "bridge_address": "020000aa0001"},
            {"engine_id": "80000009030011", "bridge_address": "020000aa0002"},
            False,
        ),
        ({}, {}, False),
    ],
)
def test_two_addresses_of_one_device_are_one_device(
    first: dict[str, object], second: dict[str, object], one: bool
) -> None:
    devices = group_answers([answer("10.0.0.1", **first), answer("10.0.0.2", **second)])
    assert len(devices) == (1 if one else 2)


def test_two_devices_of_one_name_have_ids_of_their_own() -> None:
    report = DiscoveryReport(Estate(), 161, "")
    report.add(answer("10.0.0.1", serial="a"))
    report.add(answer("10.0.0.2", serial="b"))
    ids = [entry["id"] for entry in report.estate_lines().without_site]
    assert ids == ["sw-10-0-0-1", "sw-10-0-0-2"]


@pytest.mark.parametrize(
    ("descr", "vendor", "bridge_ports", "role"),
    [
        ("Cisco Adaptive Security Appliance Version 9.12", "cisco", 0, "firewall"),
        ("Cisco IOS Software, C2960X Software", "cisco", 52, "switch"),
        (
            "Cisco IOS Software, C2700 Software (AIR-AP2702I)",
            "cisco",
            2,
            "access_point",
        ),
        ("MikroTik Router RB4011", "mikrotik", 0, "router"),
        ("", None, 0, "other"),
    ],
)
def test_a_role_is_guessed_from_vendor_and_description(
    descr: str, vendor: str | None, bridge_ports: int, role: str
) -> None:
    identity = Identity(sys_descr=descr, vendor=vendor)
    answer = SweepAnswer("10.0.0.1", identity=identity, bridge_ports=bridge_ports)
    assert guess_role(answer) == role


@given(st.binary(max_size=80))
def test_any_bytes_of_an_answer_are_read_without_harm(data: bytes) -> None:
    engine = engine_id_of_message(data)
    assert engine is None or len(engine) <= len(data)
    assert engine_id_of_message(b"\x30" + data) is not None


def test_without_a_credential_nothing_is_sent() -> None:
    ended = towpath("discover", f"{NET}.0/30")
    assert ended.returncode == 2
    assert "there is no credential to try" in ended.stderr


def test_guessing_is_announced_and_finding_nothing_ends_with_one() -> None:
    ended = towpath(
        "discover", f"{NET}.8", "--guess", "--port", "7", "--timeout", "0.1"
    )
    assert ended.returncode == 1
    assert "also trying the communities public and private" in ended.stderr
    assert ended.stdout == ""


def test_an_interrupted_sweep_prints_its_answers_so_far() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        # Receives for all of 127/8 and never answers.
        listener.bind(("", 0))
        listener.settimeout(60)
        port = str(listener.getsockname()[1])
        work = subprocess.Popen(
            [
                str(BIN / "towpath"),
                *("discover", "127.88.0.0/21", "--port", port, "--community", "public"),
                *("--per-second", "200", "--timeout", "0.1", "--json"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A process in the background of a shell ignores SIGINT otherwise.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        for _ in range(400):
            listener.recv(2048)
        work.send_signal(signal.SIGINT)
        out, err = work.communicate(timeout=60)
    assert work.returncode == 130, err
    assert "then stopped" in err
    assert 0 < json.loads(out)["asked"] < 2046
