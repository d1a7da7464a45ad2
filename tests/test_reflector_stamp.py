"""The STAMP reflector over real sockets."""

import asyncio
import os
import random
import socket
import sys

import pytest
from probe_runs import reflector_at, run_call_path
from waiting import until

from collectors.reflector import ReflectorConfig, ReflectorService
from probes.wire import stamp
from probes.wire.failure import Outcome

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


def config(**more):
    defaults = {"addresses": ("127.0.0.1",), "stamp_port": 0, "web_port": 0}
    return ReflectorConfig(**(defaults | more))


class Caller:
    """A sender that can be as rude as a test likes."""

    def __init__(self, port, host="127.0.0.1"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.channel = socket.socket(family, socket.SOCK_DGRAM)
        self.channel.setblocking(False)
        self.channel.connect((host, port))

    async def ask(self, packet, seconds=5.0):
        self.channel.send(packet)
        async with asyncio.timeout(seconds):
            return await asyncio.get_running_loop().sock_recv(self.channel, 4096)

    async def silent(self, packet):
        with pytest.raises(TimeoutError):
            await self.ask(packet, seconds=0.2)

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.channel.close()


async def test_a_reply_has_the_size_of_its_request_and_counts():
    async with ReflectorService(config()) as reflector:
        with Caller(reflector.stamp_port) as caller:
            for count, size in enumerate((44, 48, 172, 1472)):
                asked = stamp.request(90 + count, 7, 5, tlvs=stamp.request_tlvs(size))
                packet = await caller.ask(asked)
                reply = stamp.read_reply(packet)
                assert len(packet) == size
                assert reply.sequence == count
                assert reply.sender_sequence == 90 + count
                assert (reply.t1_ntp, reply.ssid) == (7, 5)
                assert stamp.elapsed_ns(reply.t3_ntp, reply.t2_ntp) >= 0


async def test_sessions_of_one_sender_count_apart():
    async with ReflectorService(config()) as reflector:
        with Caller(reflector.stamp_port) as caller:
            for ssid, count in ((1, 0), (1, 1), (2, 0), (1, 2)):
                packet = await caller.ask(stamp.request(0, 0, ssid))
                assert stamp.read_reply(packet).sequence == count


@linux
async def test_the_reflector_returns_ttl_and_dscp_as_they_arrived():
    async with ReflectorService(config(addresses=("127.0.0.1", "::1"))) as reflector:
        for host in ("127.0.0.1", "::1"):
            with Caller(reflector.stamp_port, host) as caller:
                tclass = (socket.IPPROTO_IPV6, socket.IPV6_TCLASS)
                tos = (socket.IPPROTO_IP, socket.IP_TOS)
                caller.channel.setsockopt(*(tclass if ":" in host else tos), 34 << 2)
                asked = stamp.request(0, 0, 1, tlvs=stamp.request_tlvs(172, 46))
                reply = stamp.read_reply(await caller.ask(asked))
                assert reply.dscp_arrived == 34
                assert reply.sender_ttl == 64


@linux
async def test_a_reply_has_the_dscp_it_was_asked_for():
    async with ReflectorService(config()) as reflector:
        with Caller(reflector.stamp_port) as caller:
            caller.channel.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
            caller.channel.send(
                stamp.request(0, 0, 1, tlvs=stamp.request_tlvs(172, 46))
            )
            async with asyncio.timeout(30):
                while True:
                    try:
                        _packet, told, _f, _a = caller.channel.recvmsg(2048, 64)
                        break
                    except BlockingIOError:
                        await asyncio.sleep(0.01)
            assert told == [(socket.IPPROTO_IP, socket.IP_TOS, bytes([46 << 2]))]


async def test_what_is_too_short_to_be_answered_in_kind_gets_no_answer():
    async with ReflectorService(config()) as reflector:
        with Caller(reflector.stamp_port) as caller:
            await caller.silent(bytes(40))
        assert reflector.stamp_stats.unread == 1
        assert reflector.stamp_stats.reflected == 0


async def test_noise_gets_no_more_than_it_sent_and_the_reflector_goes_on():
    random.seed(1)
    sent = answered = 0
    async with ReflectorService(config()) as reflector:
        with Caller(reflector.stamp_port) as caller:
            for _ in range(300):
                noise = os.urandom(random.randrange(0, 300))
                caller.channel.send(noise)
                sent += len(noise)
                await asyncio.sleep(0)
            asked = stamp.request(1, 1, 1)
            async with asyncio.timeout(10):
                while True:
                    packet = await caller.ask(asked)
                    if packet[24:36] == asked[0:12]:
                        break
                    answered += len(packet)
        assert answered <= sent
        assert reflector.stamp_stats.unsent == 0


async def test_one_source_gets_its_rate_and_no_more():
    async with ReflectorService(config(source_packets_per_s=5)) as reflector:
        stats = reflector.stamp_stats
        with Caller(reflector.stamp_port) as caller:
            for n in range(50):
                caller.channel.send(stamp.request(n, 0, 1))
            await until(lambda: stats.reflected + stats.limited == 50, "all of them")
        assert stats.reflected >= 5
        assert stats.limited > 0


async def test_unlisted_senders_get_no_answer_if_there_is_an_allow_list():
    async with ReflectorService(config(allow=("192.0.2.0/24",))) as reflector:
        with Caller(reflector.stamp_port) as caller:
            await caller.silent(stamp.request(0, 0, 1))
        assert reflector.stamp_stats.not_allowed == 1


async def test_many_calls_at_once_all_see_a_clean_path():
    async with ReflectorService(config(source_packets_per_s=10_000)) as reflector:
        results = await asyncio.gather(
            *(
                run_call_path(
                    reflector_at("127.0.0.1", reflector.stamp_port),
                    packets=50,
                    interval_ms=20,
                )
                for _ in range(8)
            )
        )
    assert [result.outcome for result in results] == [Outcome.OK] * 8
    assert [result.values["loss_ratio"] for result in results] == [0.0] * 8


async def test_a_reflector_that_dies_in_the_middle_is_loss_not_an_error():
    async with ReflectorService(config()) as reflector:
        port = reflector.stamp_port
        run = asyncio.create_task(
            run_call_path(reflector_at("127.0.0.1", port), packets=200, interval_ms=5)
        )
        while reflector.stamp_stats.reflected < 50:  # noqa: ASYNC110 - a counter
            await asyncio.sleep(0.01)
    result = await run
    assert result.outcome is Outcome.OK
    assert result.values["sent"] == 200
    assert 50 <= result.values["received"] < 200


async def test_a_port_in_use_fails_at_the_start_and_nothing_stays_open():
    async with ReflectorService(config()) as reflector:
        taken = reflector.stamp_port
        with pytest.raises(OSError, match="in use"):
            async with ReflectorService(config(stamp_port=taken)):
                pass
