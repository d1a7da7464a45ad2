"""Devices are found politely, told apart, and written as lines of the estate."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
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

from collectors.discovery.address_ranges import WrongNetwork, addresses, spread
from collectors.discovery.discover_output import (
    Chosen,
    DiscoveryReport,
    as_csv,
    as_json,
    as_toml,
)
from collectors.discovery.found_devices import fold, role_of
from collectors.discovery.sweep import Named, Sweep, SweepAnswer, SweepPace, sweep
from collectors.estate import Estate, load
from collectors.snmp import credential
from collectors.snmp.profiles.identity import Identity
from collectors.snmp.session.engine_discovery import engine_id_in
from towpath.demo import snmp_messages
from towpath.demo.simulated_switches import SimulatedSwitch

BIN = Path(sys.executable).parent
PUBLIC: Named = ("public", credential("public", {"community": "public"}))
SCHOOLS: Named = ("schools", credential("schools", {"community": "schools"}))
NET = "127.77.0"


def test_networks_ranges_and_addresses_become_addresses_each_once() -> None:
    found = addresses(["10.1.0.0/30", "10.1.0.2", "10.1.0.8-10.1.0.9", "fd00::5"])
    assert list(map(str, found)) == [
        "10.1.0.1",
        "10.1.0.2",
        "10.1.0.8",
        "10.1.0.9",
        "fd00::5",
    ]
    assert len(addresses(["10.0.0.0/31"])) == 2
    assert len(addresses(["10.0.0.7/24"])) == 254


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("10.0.0.0/8", "16,777,214 addresses are more than 65,536"),
        ("fd00::/64", "cannot be searched address by address"),
        ("10.1.0.0/33", "is no network or address"),
        ("switch-1", "is no range"),
        ("10.0.0.9-10.0.0.1", "is not after the first"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(text: str, says: str) -> None:
    with pytest.raises(WrongNetwork, match=says):
        addresses([text])


def test_the_order_is_spread_and_always_the_same() -> None:
    all_of_them = addresses(["10.1.0.0/24", "10.2.0.0/24"])
    order = spread(all_of_them)
    assert set(order) == set(all_of_them)
    assert order == spread(all_of_them)
    first = {ip_network(f"{address}/24", strict=False) for address in order[:10]}
    assert len(first) == 2


async def test_packets_are_sent_no_faster_than_asked() -> None:
    pace = SweepPace(200.0)
    started = time.monotonic()
    for _ in range(10):
        await pace.take(3)
    # The first goes at once; the 27 before the last take a two-hundredth each.
    assert time.monotonic() - started >= 27 / 200


class Known(SimulatedSwitch):
    """Says its bridge address, and remembers what communities it was asked with."""

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


async def swept(
    agents: Sequence[SimulatedSwitch],
    asked: Sequence[str],
    named: Sequence[Named],
    estate: Estate | None = None,
    site: str = "",
    port: int = 0,
) -> DiscoveryReport:
    port = port or services.free_port(socket.SOCK_DGRAM)
    report = DiscoveryReport(estate or Estate(), port, site)
    how = Sweep(port=port, per_s=5000.0, timeout_s=0.3)
    async with AsyncExitStack() as running:
        for each in agents:
            each.port_number = port
            await running.enter_async_context(each)
        await sweep(how, addresses(asked), Chosen(named, {}), report.add)
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


async def test_a_network_becomes_lines_that_the_estate_takes(tmp_path: Path) -> None:
    agents = [
        Known("SW-1.example.gov.uk", 8, address=f"{NET}.1"),
        Known("SW-1.example.gov.uk", 8, address=f"{NET}.2"),
        Known("yard", 8, address=f"{NET}.20", location="Depot, yard"),
        Known("lost", 8, address=f"{NET}.21"),
        Known("other", 8, address=f"{NET}.22", community="secret"),
    ]
    report = await swept(agents, [f"{NET}.0/27"], [PUBLIC], ESTATE)
    found = report.lines()
    assert [(e["id"], e["site"], e["address"]) for e in found.entries] == [
        ("sw-1", "hall", f"{NET}.1"),
        ("yard", "depot", f"{NET}.20"),
    ]
    assert [e["id"] for e in found.homeless] == ["lost"]
    assert found.entries[0]["credentials"] == "public"
    assert f"also at {NET}.2" in found.notes["sw-1"][0]
    estate = tmp_path / "estate.toml"
    sites = as_toml(found) + (
        f'[[sites]]\nid = "hall"\nname = "H"\nsubnets = ["{NET}.0/28"]\n'
        '[[sites]]\nid = "depot"\nname = "D"\n'
    )
    estate.write_text(sites)
    assert [d.id for d in load(estate).devices] == ["sw-1", "yard"]
    assert "lost" in sites
    assert (
        as_csv(found)
        .splitlines()[1]
        .startswith(f"sw-1,SW-1.example.gov.uk,hall,{NET}.1")
    )
    said = "\n".join(report.summary(30, found))
    assert "30 of 30 addresses asked" in said
    assert "2 new devices" in said
    assert f"{NET}.21 (lost) wants a site: " in said
    assert json.loads(as_json(report, found))["asked"] == 30


async def test_nobody_is_asked_with_a_community_that_was_not_configured() -> None:
    agent = Known("sw", 2, address=f"{NET}.1", community="hidden")
    await swept([agent], [f"{NET}.1"], [SCHOOLS])
    assert set(agent.communities) == {b"schools"}
    # Once, and once more for a lost packet.
    assert len(agent.communities) <= 2


async def test_a_device_the_estate_has_is_not_written_again() -> None:
    agent = Known("sw", 2, address=f"{NET}.9")
    port = services.free_port(socket.SOCK_DGRAM)
    device = ESTATE.devices[0].model_copy(update={"port": port})
    estate = ESTATE.model_copy(update={"devices": (device,)})
    report = await swept([agent], [f"{NET}.9"], [PUBLIC], estate, port=port)
    found = report.lines()
    assert [id for id, _ in found.known] == ["old"]
    assert not found.entries


async def test_an_agent_that_takes_none_of_the_credentials_is_said_apart(
    tmp_path: Path,
) -> None:
    server = services.snmpd(tmp_path / "snmpd")
    wrong_user = credential(
        "x", {"user": "nobody", "auth_password": "not the password"}
    )
    with services.running(server):
        report = await swept([], ["127.0.0.1"], [("x", wrong_user)], port=server.port)
        assert [each.address for each in report.strangers()] == ["127.0.0.1"]
        assert any("no credential fits: 127.0.0.1" in s for s in _said(report))
        report = await swept(
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


def _said(report: DiscoveryReport) -> list[str]:
    return report.summary(1, report.lines())


def test_credentials_of_the_most_specific_subnet_are_tried_first() -> None:
    by_subnet = {
        ip_network("10.0.0.0/8"): ("public",),
        ip_network("10.2.0.0/16"): ("schools",),
    }
    tried = Chosen([("core", PUBLIC[1]), PUBLIC, SCHOOLS], by_subnet)

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
def test_two_addresses_of_one_device_are_one(
    first: dict[str, object], second: dict[str, object], one: bool
) -> None:
    found = fold([answer("10.0.0.1", **first), answer("10.0.0.2", **second)])
    assert len(found) == (1 if one else 2)


def test_two_devices_of_one_name_have_ids_of_their_own() -> None:
    report = DiscoveryReport(Estate(), 161, "")
    report.add(answer("10.0.0.1", serial="a"))
    report.add(answer("10.0.0.2", serial="b"))
    ids = [entry["id"] for entry in report.lines().homeless]
    assert ids == ["sw-10-0-0-1", "sw-10-0-0-2"]


@pytest.mark.parametrize(
    ("descr", "vendor", "bridge_ports", "role"),
    [
        ("FortiGate-60F", "fortinet", 0, "firewall"),
        ("Cisco Adaptive Security Appliance Version 9.12", "cisco", 0, "firewall"),
        ("Cisco IOS Software, C2960X Software", "cisco", 52, "switch"),
        (
            "Cisco IOS Software, C2700 Software (AIR-AP2702I)",
            "cisco",
            2,
            "access_point",
        ),
        ("APC Web/SNMP Management Card", "apc", 0, "ups"),
        ("MikroTik Router RB4011", "mikrotik", 0, "router"),
        ("", None, 0, "other"),
    ],
)
def test_a_role_is_guessed_from_what_it_says(
    descr: str, vendor: str | None, bridge_ports: int, role: str
) -> None:
    identity = Identity(sys_descr=descr, vendor=vendor)
    said = SweepAnswer("10.0.0.1", identity=identity, bridge_ports=bridge_ports)
    assert role_of(said) == role


@given(st.binary(max_size=80))
def test_whatever_comes_back_is_read_without_harm(data: bytes) -> None:
    engine = engine_id_in(data)
    assert engine is None or len(engine) <= len(data)
    assert engine_id_in(b"\x30" + data) is not None


def towpath(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / "towpath"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={k: v for k, v in os.environ.items() if not k.startswith("TOWPATH")},
        check=False,
    )


def test_without_a_credential_nothing_is_asked() -> None:
    ended = towpath("discover", f"{NET}.0/30")
    assert ended.returncode == 2
    assert "there is no credential to try" in ended.stderr


def test_guessing_is_said_and_nothing_found_ends_with_one() -> None:
    ended = towpath(
        "discover", f"{NET}.8", "--guess", "--port", "7", "--timeout", "0.1"
    )
    assert ended.returncode == 1
    assert "also trying the communities public and private" in ended.stderr
    assert ended.stdout == ""


def test_broken_off_it_prints_what_was_found() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        # Hears all of 127/8, and says nothing.
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
            # What a shell starts in the background would not hear of it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        for _ in range(400):
            listener.recv(2048)
        work.send_signal(signal.SIGINT)
        out, err = work.communicate(timeout=60)
    assert work.returncode == 130, err
    assert "then it was stopped" in err
    assert 0 < json.loads(out)["asked"] < 2046
