"""A mirrored port's minutes: by subnets, and about nobody."""

from __future__ import annotations

import random
import struct
from contextlib import suppress
from ipaddress import ip_network

import pytest
from rtp_captures import STEP_NS, STEP_TICKS, ethernet, finish, ipv4, ipv6, rtp, udp
from structlog.testing import capture_logs

from collectors.batch import batch_samples, check_batch
from collectors.estate import Site
from collectors.rtp import minute_groups
from collectors.rtp.live_capture import LiveCapture
from collectors.rtp.live_streams import LiveStreams
from collectors.rtp.minute_groups import (
    STREAMS_AT_ONCE,
    MinuteGroups,
    SubnetNames,
)
from collectors.rtp.packet_ring import PacketCounts, RingBlock
from collectors.server_measurements import CATALOGUE

HALL = Site(id="hall", name="Hall", subnets=(ip_network("10.1.0.0/16"),))
SBC = ip_network("10.9.0.5")
START_NS = 1_700_000_000_000_000_000


def ring_block(packets, snap=54):
    """A block as the kernel fills it: headers only."""
    parts = []
    for at_ns, frame in packets:
        seconds, rest = divmod(at_ns, 1_000_000_000)
        kept = frame[:snap]
        head = struct.pack(
            "=IIIIIIHHIIHH",
            0,
            seconds,
            rest,
            len(kept),
            len(frame),
            0,
            82,
            96,
            0,
            0,
            0,
            0,
        )
        record = head.ljust(82, b"\0") + kept
        record = record.ljust((len(record) + 15) // 16 * 16, b"\0")
        parts.append(struct.pack("=I", len(record)) + record[4:])
    return bytearray(b"".join(parts)), RingBlock(0, len(packets))


def calls(pairs, packets=600, lost=(), begin=0, dscp=46):
    """A stream for each pair of addresses, interleaved."""
    return [
        (
            START_NS + n * STEP_NS,
            ethernet(ipv4(udp(rtp(n, n * STEP_TICKS, at)), *pair, dscp=dscp)),
        )
        for n in range(begin, begin + packets)
        if n not in lost
        for at, pair in enumerate(pairs)
    ]


def rows_of(packets, least=10, gateways=(), sites=(HALL,), streams=None, groups=None):
    streams = streams or LiveStreams()
    groups = groups or MinuteGroups(SubnetNames(sites, gateways), "eth1", least)
    streams.read_block(*ring_block(packets))
    return finish(
        groups.close_minute(
            [*finish(streams.take_idle()), *streams.streams.values()],
            60_000,
            streams.reports.take_minute(),
        )
    )


def pairs_of(count, source="10.1.1.{}", target="10.2.2.{}"):
    return [(source.format(n), target.format(n)) for n in range(1, count + 1)]


def test_a_row_has_the_streams_of_two_subnets_without_an_address():
    rows = rows_of(calls(pairs_of(10), lost=range(100, 103)))
    (row,) = rows.samples
    assert row.tags == {
        **{"site": "hall", "from_subnet": "10.1.0.0/16"},
        **{"to_subnet": "10.2.2.0/24", "interface": "eth1"},
    }
    assert (row.fields["streams"], row.fields["packets"]) == (10, 5970)
    assert row.fields["loss_ratio"] == pytest.approx(
        30 / row.fields["expected"], abs=1e-5
    )
    assert (row.fields["ef_ratio"], row.fields["jitter_ms"]) == (1.0, 0.0)
    assert row.fields["rated"] == 10
    assert row.fields["mos_estimated"] < 4.41
    assert "10.1.1.1" not in repr(rows)
    (batch,) = batch_samples(rows.samples, "rtp/eth1", 0)
    assert check_batch(batch, CATALOGUE) is batch


@pytest.mark.parametrize(
    "pairs",
    [
        pairs_of(9),
        # Nine telephones that talk to many others are nine all the same.
        [(f"10.1.1.{1 + n % 9}", f"10.2.2.{n}") for n in range(1, 30)],
        [(f"10.1.1.{n}", f"10.2.2.{1 + n % 9}") for n in range(1, 30)],
    ],
)
def test_fewer_addresses_than_a_group_on_either_side_are_counted_and_not_shown(pairs):
    rows = rows_of(calls(pairs, packets=20))
    assert rows.samples == []
    assert rows.streams == rows.withheld == len(pairs)


def test_small_pairs_are_put_together_as_other():
    pairs = [*pairs_of(6), *pairs_of(6, "10.3.3.{}", "10.4.4.{}")]
    rows = rows_of(calls(pairs, packets=20))
    (row,) = rows.samples
    assert (row.tags["from_subnet"], row.tags["to_subnet"]) == ("other", "other")
    assert "site" not in row.tags
    assert (row.fields["streams"], rows.withheld) == (12, 0)


def test_a_gateway_is_no_person():
    pairs = pairs_of(10, target="10.9.0.5")
    assert rows_of(calls(pairs, packets=20)).withheld == 10
    (row,) = rows_of(calls(pairs, packets=20), gateways=[SBC]).samples
    assert row.tags["to_subnet"] == "10.9.0.0/24"


def test_a_single_call_between_gateways_is_not_shown():
    both = [ip_network("10.9.0.5"), ip_network("10.8.0.5")]
    pairs = [("10.8.0.5", "10.9.0.5")]
    assert rows_of(calls(pairs, packets=20), gateways=both).samples == []


def test_a_minute_has_only_what_came_in_it():
    streams = LiveStreams()
    groups = MinuteGroups(SubnetNames([HALL], []), "eth1", 10)
    pairs = pairs_of(10)
    first = rows_of(calls(pairs, 3000), streams=streams, groups=groups)
    second = rows_of(
        calls(pairs, 3000, range(4000, 4300), 3000), streams=streams, groups=groups
    )
    assert first.samples[0].fields["loss_ratio"] == 0
    assert second.samples[0].fields["packets"] == 27_000
    assert second.samples[0].fields["loss_ratio"] == pytest.approx(0.1, abs=1e-6)
    idle = rows_of([], streams=streams, groups=groups)
    assert (idle.samples, idle.streams) == ([], 0)


def test_streams_end_in_their_minute_if_nothing_comes_after_them():
    streams = LiveStreams()
    streams.read_block(*ring_block(calls(pairs_of(2), packets=100)))
    assert finish(streams.take_idle()) == []
    ended = finish(streams.take_idle(START_NS + 60_000_000_000))
    assert [(s.received, s.bursts.packets) for s in ended] == [(100, 100)] * 2
    assert streams.streams == {}


def test_many_streams_are_counted_in_small_parts_and_packets_between_them_once(
    monkeypatch,
):
    counted, part = 0, []

    def count_of(stream, count=minute_groups._counts_of):
        part.append(stream)
        return count(stream)

    monkeypatch.setattr(minute_groups, "_counts_of", count_of)
    streams = LiveStreams()
    groups = MinuteGroups(SubnetNames([HALL], []), "eth1", 10)
    pairs = [(f"10.1.{n // 200}.{n % 200}", "10.2.2.2") for n in range(1000)]
    pairs += [(target, source) for source, target in pairs]
    streams.read_block(*ring_block(calls(pairs, packets=5)))
    parts = groups.close_minute(list(streams.streams.values()), 0, {})
    parts_seen, came = 0, 5
    with suppress(StopIteration):
        while True:
            next(parts)
            parts_seen += 1
            assert len(part) <= STREAMS_AT_ONCE
            counted += len(part)
            part.clear()
            # A packet of each stream comes while the minute is closed.
            streams.read_block(*ring_block(calls(pairs, packets=1, begin=came)))
            came += 1
    assert counted == 2000
    assert parts_seen >= 3 * 2000 // STREAMS_AT_ONCE
    finish(groups.close_minute(list(streams.streams.values()), 60_000, {}))
    counts = groups._before.values()
    assert {(one.packets, one.duplicates) for one in counts} == {(came, 0)}


def test_streams_that_nobody_answers_are_counted_if_others_are_answered():
    there = pairs_of(12)
    back = [(target, source) for source, target in there[:11]]
    rows = rows_of(calls([*there, *back], packets=300))
    one_way = {row.tags["from_subnet"]: row.fields["one_way"] for row in rows.samples}
    assert one_way == {"10.1.0.0/16": 1, "10.2.2.0/24": 0}
    (row,) = rows_of(calls(there, packets=300)).samples
    assert row.fields["one_way"] == 0


def test_unusual_packets_are_followed_as_well():
    streams = LiveStreams()
    for n in range(20):
        six = ethernet(ipv6(udp(rtp(n, ssrc=1)), "2001:db8::1", "2001:db8::2"))
        tagged = ethernet(ipv4(udp(rtp(n, ssrc=2))), 0, (0x8100, 5))
        # Of a large packet, the first fragment has the headers.
        large = udp(rtp(n, ssrc=3, size=1400))[:800]
        first = ethernet(ipv4(large, number=n + 1, fragment=0x2000))
        at_ns = START_NS + n * STEP_NS
        block = [(at_ns, six), (at_ns, tagged), (at_ns, first)]
        streams.read_block(*ring_block(block, snap=78))
    assert sorted(s.key.ssrc for s in streams.streams.values()) == [1, 2, 3]
    assert all(stream.received == 20 for stream in streams.streams.values())


def test_streams_beyond_the_limit_and_nonsense_are_bounded_and_counted():
    streams = LiveStreams(most_streams=5)
    rows_of(calls(pairs_of(8), packets=20), streams=streams)
    assert len(streams.streams) == 5
    assert streams.counts["over_limit"] > 0
    chance = random.Random(9)
    for _ in range(300):
        frame = bytearray(ethernet(ipv4(udp(rtp(1)))))
        for _ in range(5):
            frame[chance.randrange(54)] = chance.randrange(256)
        streams.read_block(*ring_block([(START_NS, bytes(frame))] * 10))
    assert len(streams._candidates) <= 8192
    assert len(streams.streams) <= 5


class Unplugged:
    """A ring whose interface is down."""

    memory = b""

    def missing_interface(self):
        return "it is down"

    def ready_blocks(self):
        return iter(())

    def take_counts(self):
        return PacketCounts(0, 0)


async def test_a_minute_without_its_interface_has_no_row_so_that_silence_is_seen():
    groups = MinuteGroups(SubnetNames([], []), "eth1", 10)
    capture = LiveCapture(Unplugged(), groups, "eth1", None)
    with capture_logs() as logs:
        for _ in range(3):
            capture._check_interface()
    assert [entry["event"] for entry in logs] == ["rtp_interface_lost"]
    capture._down_s = 30.0
    (row,) = await capture._rows(0)
    assert (row.fields["packets"], row.fields["down_s"]) == (0, 30.0)
    capture._down_s = 59.0
    assert await capture._rows(0) == []
