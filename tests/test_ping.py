"""ICMP beside SNMP: echoes that come back, echoes that do not, and what they mean."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polled_switches import RowSink, estate
from waiting import until

from collectors.estate import Device
from collectors.ping import (
    EchoResult,
    Pinger,
    grouped_s,
    open_socket,
    read_reply,
)
from collectors.snmp import Credentials, Poller, SnmpConfig
from collectors.snmp.polling.poll_rows import device_row
from collectors.snmp.tables.device_tags import DeviceTags
from probes.wire.failure import Outcome

TOKEN = b"12345678"


def _allowed(family: int) -> bool:
    sock = open_socket(family)
    if sock is not None:
        sock.close()
    return sock is not None


pings = pytest.mark.skipif(
    not _allowed(socket.AF_INET), reason="this user may send no ICMP"
)
pings_6 = pytest.mark.skipif(
    not _allowed(socket.AF_INET6) or not os.path.exists("/proc/net/if_inet6"),  # noqa: PTH110
    reason="this user may send no ICMPv6",
)


@pings
async def test_a_host_that_is_there_answers_with_a_time() -> None:
    async with Pinger(every_s=0.2, loopback=True) as pinger:
        watched = [pinger.watch(f"127.0.0.{n}") for n in range(1, 51)]
        await until(lambda: pinger.sent >= 3 * len(watched), "three echoes to each")
        found = [target.read_result() for target in watched]
    for echoes in found:
        assert echoes is not None
        assert echoes.sent == echoes.answered >= 2
        assert echoes.rtt_ms is not None
        assert echoes.rtt_ms >= 0
        assert echoes.loss_ratio == 0


@pings_6
async def test_ipv6_is_asked_as_well() -> None:
    async with Pinger(loopback=True) as pinger:
        echoes = await pinger.watch("::1").probe()
    assert echoes is not None
    assert echoes.answered == 1


@pings
async def test_a_host_that_is_not_there_loses_all() -> None:
    # Set aside for documentation (RFC 5737): nobody has it.
    async with Pinger() as pinger:
        echoes = await pinger.watch("192.0.2.77").probe()
    assert echoes is not None
    assert (echoes.answered, echoes.rtt_ms, echoes.loss_ratio) == (0, None, 1.0)


@pings
async def test_who_is_dropped_is_asked_no_more() -> None:
    async with Pinger(every_s=0.1, loopback=True) as pinger:
        watched = pinger.watch("127.0.0.1")
        await asyncio.sleep(0.4)
        pinger.drop(watched)
        await asyncio.sleep(0.1)
        sent = pinger.sent
        await asyncio.sleep(0.3)
        assert pinger.sent == sent


@pings
async def test_ourselves_is_not_asked_in_place_of_a_device() -> None:
    async with Pinger() as pinger:
        watched = pinger.watch("127.0.0.1")
        assert await watched.probe() is None
        assert watched.read_result() is None


async def test_it_can_be_switched_off() -> None:
    async with Pinger(every_s=0, loopback=True) as pinger:
        assert not pinger.available
        assert await pinger.watch("127.0.0.1").probe() is None


@given(st.binary(max_size=64))
def test_any_packet_is_an_echo_of_ours_or_nothing(packet: bytes) -> None:
    assert read_reply(packet, TOKEN) is None or TOKEN in packet


def test_an_answer_is_known_with_and_without_its_ip_header() -> None:
    reply = bytes((0, 0, 0, 0, 0, 1, 0, 2)) + TOKEN + (77).to_bytes(8, "big")
    assert read_reply(reply, TOKEN) == 77
    assert read_reply(b"\x45" + bytes(19) + reply, TOKEN) == 77
    assert read_reply(reply, b"another!") is None
    request = b"\x08" + reply[1:]
    assert read_reply(request, TOKEN) is None


@pytest.mark.parametrize(
    ("outcome", "answered", "echoes", "up", "readable"),
    [
        (Outcome.OK, True, None, 1, 1),
        (Outcome.OK, True, EchoResult(3, 0, None), 1, 1),
        (Outcome.TIMEOUT, False, None, 0, None),
        (Outcome.TIMEOUT, False, EchoResult(3, 0, None), 0, None),
        (Outcome.TIMEOUT, False, EchoResult(3, 1, 2.5), 1, 0),
        (Outcome.UNREACHABLE, False, EchoResult(3, 0, None), 0, None),
        (Outcome.AUTH_FAILED, False, None, 1, 0),
        (Outcome.REFUSED, False, EchoResult(3, 0, None), 1, 0),
        (Outcome.NOT_CONFIGURED, False, None, None, 0),
        (Outcome.NOT_CONFIGURED, False, EchoResult(1, 0, None), None, 0),
        (Outcome.NOT_CONFIGURED, False, EchoResult(1, 1, 3.0), 1, 0),
    ],
)
def test_switch_dead_and_snmp_dead_are_two_things(
    outcome: Outcome,
    answered: bool,
    echoes: EchoResult | None,
    up: int | None,
    readable: int | None,
) -> None:
    place = DeviceTags("a", "hall", "switch", "Switch A")
    row = device_row(place, 0, 0, outcome, answered, echoes)
    assert row.field("up") == [up]
    assert row.field("name") == ["Switch A"]
    assert row.field("readable") == [readable]
    if echoes is not None:
        assert row.field("icmp_loss_ratio") == [echoes.loss_ratio]


@pings
async def test_a_probe_in_a_building_is_a_device_that_is_only_pinged() -> None:
    sink = RowSink()
    held = [
        Device(id=id, site="town-hall", address=address, role="probe", snmp=False)  # type: ignore[arg-type]
        for id, address in (("there", "127.0.0.9"), ("gone", "192.0.2.78"))
    ]
    config = SnmpConfig(period_s=1.0)
    async with Poller(
        config,
        lambda: estate(*held),
        Credentials({}),
        sink,
        pinger=Pinger(loopback=True),
    ):
        await until(
            lambda: (
                sink.rows("device", device="there")
                and sink.rows("device", device="gone")
            ),
            "both",
        )
    there = sink.rows("device", device="there", role="probe")[-1]
    gone = sink.rows("device", device="gone")[-1]
    assert (there["up"], there["outcome"], there["icmp_up"]) == (1, "ok", 1)
    assert (gone["up"], gone["outcome"], gone["icmp_loss_ratio"]) == (0, "timeout", 1)


@given(
    st.floats(0, 1e7), st.floats(0.1, 300), st.integers(0, 20_000), st.integers(2, 50)
)
def test_echoes_leave_in_groups_and_keep_their_interval(
    due_s: float, every_s: float, others: int, times: int
) -> None:
    first_s = grouped_s(due_s, every_s, others)
    assert due_s - every_s - 1e-3 <= first_s <= due_s + 1e-3
    later_s = first_s
    for _ in range(times):
        later_s = grouped_s(later_s + every_s, every_s, others)
    assert later_s == pytest.approx(first_s + times * every_s, abs=1e-3)


def test_the_echoes_of_few_devices_leave_at_once_and_those_of_many_do_not() -> None:
    def leaving(devices: int) -> int:
        due = (at / 97 for at in range(20 * 97))
        return len({grouped_s(at_s, 20.0, devices) % 20.0 for at_s in due})

    assert leaving(20) == 1
    assert leaving(1_000) == 64
