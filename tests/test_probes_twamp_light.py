"""Reflectors and senders of the older kind: TWAMP Light, RFC 5357 appendix I."""

import asyncio
import itertools
import os
import socket
import struct

import pytest
from probe_runs import reflector_at, run_call_path
from udp_echo import echo

from collectors.reflector import ReflectorConfig, ReflectorService
from probes.wire import stamp
from probes.wire.failure import Outcome

RUN = {"packets": 60, "interval_ms": 4, "now_ms": lambda: 0}
NOW = stamp.ntp_of(1_700_000_000_000_000_000)


def light_reflector(sizes, lose=()):
    """Counts from 0, copies the sender's 14 octets and pads to one of `sizes`."""
    lengths = itertools.cycle(sizes)

    def answer(data, count):
        head = struct.pack("!IQHHQ", count, NOW, 1, 0, NOW) + data[:14]
        return [] if count in lose else [head.ljust(next(lengths), b"\0")]

    return answer


@pytest.mark.parametrize("sizes", [(38,), (41,), (44,), (46, 572, 1496), (172,)])
async def test_a_reflector_that_knows_no_stamp_is_measured_each_way(sizes):
    async with echo(light_reflector(sizes, lose={5, 6})) as port:
        found = await run_call_path(reflector_at("127.0.0.1", port), **RUN)
    assert found.outcome is Outcome.OK
    assert (found.values["sent"], found.values["received"]) == (60, 58)
    assert found.values["loss_out_ratio"] == 0
    assert found.values["loss_in_ratio"] == pytest.approx(2 / 60, abs=1e-6)
    assert "jitter_ms" in found.values
    assert "dscp_arrived" not in found.values


def ask(port, packet):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
        caller.connect(("127.0.0.1", port))
        caller.settimeout(5)
        caller.send(packet)
        return caller.recv(4096)


def light_request(number, padding):
    return struct.pack("!IQH", number, NOW, 0x3FFF) + padding


@pytest.mark.parametrize("padding", [27, 29, 30, 158, 520])
async def test_a_light_sender_gets_its_own_size_back_whatever_its_padding(padding):

    config = ReflectorConfig(addresses=("127.0.0.1",), stamp_port=0, web_port=0)
    async with ReflectorService(config) as reflector:
        for noise in (bytes(padding), b"\xff" * padding, os.urandom(padding)):
            asked = light_request(9, noise)
            packet = await asyncio.to_thread(ask, reflector.stamp_port, asked)
            assert len(packet) == len(asked)
            sequence, t3, error, _ssid, t2 = struct.unpack_from("!IQHHQ", packet)
            assert sequence == 0
            assert error & 0xFF
            assert stamp.elapsed_ns(t3, t2) >= 0
            assert packet[24:38] == asked[:14]
            if any(noise[:30]):
                assert packet[44:] == asked[44:]


async def test_a_light_sender_with_random_padding_is_one_session():

    config = ReflectorConfig(addresses=("127.0.0.1",), stamp_port=0, web_port=0)
    async with ReflectorService(config) as reflector:

        def run():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
                caller.connect(("127.0.0.1", reflector.stamp_port))
                caller.settimeout(5)
                for number in range(5):
                    caller.send(light_request(number, os.urandom(100)))
                    yield struct.unpack_from("!I", caller.recv(4096))[0]

        counts = await asyncio.to_thread(lambda: list(run()))
    assert counts == [0, 1, 2, 3, 4]


async def test_a_stateless_reflector_copies_numbers_and_gives_no_directions_away():
    config = ReflectorConfig(
        addresses=("127.0.0.1",), stamp_port=0, web_port=0, stateful=False
    )
    async with ReflectorService(config) as reflector:
        found = await run_call_path(
            reflector_at("127.0.0.1", reflector.stamp_port), **RUN
        )
        assert found.values["received"] == 60

        packet = await asyncio.to_thread(
            ask, reflector.stamp_port, stamp.request(77, NOW, 5)
        )
    assert stamp.read_reply(packet).sequence == 77
