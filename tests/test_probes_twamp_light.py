"""Reflectors and senders of TWAMP Light, RFC 5357 appendix I."""

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
    """Counts from 0, copies 14 octets of the sender and pads to one of `sizes`."""
    lengths = itertools.cycle(sizes)

    def answer(data, count):
        head = struct.pack("!IQHHQ", count, NOW, 1, 0, NOW) + data[:14]
        return [] if count in lose else [head.ljust(next(lengths), b"\0")]

    return answer


@pytest.mark.parametrize("sizes", [(38,), (41,), (44,), (46, 572, 1496), (172,)])
async def test_a_reflector_without_stamp_is_measured_in_each_direction(sizes):
    async with echo(light_reflector(sizes, lose={5, 6})) as port:
        result = await run_call_path(reflector_at("127.0.0.1", port), **RUN)
    assert result.outcome is Outcome.OK
    assert (result.values["sent"], result.values["received"]) == (60, 58)
    assert result.values["loss_out_ratio"] == 0
    assert result.values["loss_in_ratio"] == pytest.approx(2 / 60, abs=1e-6)
    assert "jitter_ms" in result.values
    assert "dscp_arrived" not in result.values


def exchange(port, packet):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
        caller.connect(("127.0.0.1", port))
        caller.settimeout(5)
        caller.send(packet)
        return caller.recv(4096)


def light_request(number, padding):
    return struct.pack("!IQH", number, NOW, 0x3FFF) + padding


@pytest.mark.parametrize("padding", [27, 29, 30, 158, 520])
async def test_a_reply_has_the_size_of_the_request_for_any_padding(padding):

    config = ReflectorConfig(addresses=("127.0.0.1",), stamp_port=0, web_port=0)
    async with ReflectorService(config) as reflector:
        for noise in (bytes(padding), b"\xff" * padding, os.urandom(padding)):
            request = light_request(9, noise)
            packet = await asyncio.to_thread(exchange, reflector.stamp_port, request)
            assert len(packet) == len(request)
            sequence, t3, error, _ssid, t2 = struct.unpack_from("!IQHHQ", packet)
            assert sequence == 0
            assert error & 0xFF
            assert stamp.elapsed_ns(t3, t2) >= 0
            assert packet[24:38] == request[:14]
            if any(noise[:30]):
                assert packet[44:] == request[44:]


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


async def test_a_stateless_reflector_copies_the_sequence_number():
    config = ReflectorConfig(
        addresses=("127.0.0.1",), stamp_port=0, web_port=0, stateful=False
    )
    async with ReflectorService(config) as reflector:
        result = await run_call_path(
            reflector_at("127.0.0.1", reflector.stamp_port), **RUN
        )
        assert result.values["received"] == 60

        packet = await asyncio.to_thread(
            exchange, reflector.stamp_port, stamp.request(77, NOW, 5)
        )
    assert stamp.read_reply(packet).sequence == 77
