"""What far ends say of the streams of a mirrored port, in RTCP."""

from __future__ import annotations

import random

import pytest
from rtp_captures import (
    STEP_NS,
    ethernet,
    finish,
    ipv4,
    receiver_report,
    sender_report,
    source_description,
    udp,
    voip_metrics,
)
from test_rtp_filter import kept
from test_rtp_minutes import HALL, START_NS, calls, pairs_of, ring_block

from collectors.batch import batch_samples, check_batch
from collectors.rtp.live_streams import LiveStreams
from collectors.rtp.minute_groups import MinuteGroups, SubnetNames
from collectors.server_measurements import CATALOGUE

PAIRS = pairs_of(12)
NAME = "ada@council.example"


class Port:
    """A mirrored port on which twelve people speak to twelve for six seconds. What is
    sent afterwards is cut as the kernel does."""

    def __init__(self):
        self.streams = LiveStreams()
        self.groups = MinuteGroups(SubnetNames([HALL], []), "eth1", 10)
        self.streams.read_block(*ring_block(calls(PAIRS, packets=300)))

    def send(self, at_ms, source, target, rtcp):
        frame = ethernet(ipv4(udp(rtcp, 5001, 4001), source, target))
        self.streams.read_block(
            *ring_block([(START_NS + int(at_ms * 1e6), frame)], kept(frame))
        )

    def answer(self, at_ms, about, rtcp):
        """From the receiver of the stream `about` to its sender."""
        self.send(at_ms, *PAIRS[about][::-1], rtcp)

    def row(self):
        minute = self.streams.reports.take_minute()
        streams = self.streams.streams.values()
        (row,) = finish(self.groups.close_minute(streams, 60_000, minute)).samples
        return row.fields


def test_loss_and_jitter_that_far_ends_report_are_in_the_row_of_their_streams():
    port = Port()
    for about in range(12):
        for at_ms, lost, highest in ((1000, 7, 50), (6000, 17, 250)):
            rtcp = receiver_report(99, about, lost, 0, 0, highest, jitter=80)
            port.answer(at_ms, about, rtcp + source_description(99, NAME))
            # A port that is mirrored in both directions.
            port.answer(at_ms + 1, about, rtcp)
    fields = port.row()
    assert (fields["reported"], fields["reported_expected"]) == (12, 2400)
    assert fields["reported_loss_ratio"] == pytest.approx(0.05)
    assert (fields["reported_timed"], fields["reported_jitter_ms"]) == (24, 10.0)
    assert fields["loss_ratio"] == 0
    assert {"rtt_ms", "reported_mos"}.isdisjoint(fields)
    assert port.streams.take_counts()["rtcp"] == 48


def test_the_round_trip_is_from_the_port_to_the_far_end_and_back():
    port = Port()
    for about, pair in enumerate(PAIRS):
        port.send(1000, *pair, sender_report(about, 50, 0x12345678))
        rtcp = receiver_report(99, about, 0, 0x12345678, 0.5)
        port.answer(1540, about, rtcp)
        # An answer to a report that did not pass, or before it came, says nothing.
        port.answer(1600, about, receiver_report(99, about, 0, 0x999, 0.5))
        port.answer(1700, about, receiver_report(99, about, 0, 0x12345678, 0.9))
    fields = port.row()
    assert fields["round_trips"] == 12
    assert fields["rtt_ms"] == pytest.approx(40, abs=0.1)


def test_what_telephones_measured_themselves_is_in_the_row():
    port = Port()
    for about in range(12):
        head = receiver_report(99, about, 0, 0, 0) + source_description(99, NAME)
        port.answer(2000, about, head + voip_metrics(99, about))
    fields = port.row()
    assert (fields["extended_reports"], fields["reported_rated"]) == (12, 12)
    assert fields["reported_mos"] == pytest.approx(3.9)
    assert fields["reported_discard_ratio"] == pytest.approx(5 / 256, abs=1e-6)


def test_figures_of_too_few_reporting_telephones_are_left_out_of_a_row_of_many():
    port = Port()
    for about in range(9):
        for highest in (50, 90):
            port.answer(highest, about, receiver_report(9, about, 0, 0, 0, highest))
    fields = port.row()
    assert fields["streams"] == 12
    assert not [name for name in fields if name.startswith(("reported", "rtt"))]
    assert Port().row()["reported"] == 0


def test_rows_with_reports_are_as_the_catalogue_says():
    port = Port()
    for about, pair in enumerate(PAIRS):
        port.send(900, *pair, sender_report(about, 50, 0x10000))
        for at_ms, highest in ((1000, 50), (1500, 70)):
            rtcp = receiver_report(9, about, 0, 0x10000, 0.01, highest)
            port.answer(at_ms, about, rtcp + voip_metrics(9, about))
    minute = port.streams.reports.take_minute()
    streams = port.streams.streams.values()
    rows = finish(port.groups.close_minute(streams, 60_000, minute))
    names = {field.name for field in CATALOGUE.measurement("rtp_media").fields}
    # Six seconds are too few for an estimate.
    assert names - {"mos_estimated", "poor_ratio"} == set(rows.samples[0].fields)
    (batch,) = batch_samples(rows.samples, "rtp/eth1", 0)
    assert check_batch(batch, CATALOGUE) is batch


@pytest.mark.parametrize(
    "rtcp",
    [
        # SRTCP: what is behind the first eight octets is encrypted, and longer.
        sender_report(3, 9, 9)[:8] + random.Random(4).randbytes(20 + 14),
        sender_report(3, 9, 9)
        + receiver_report(3, 0, 1, 0, 0)
        + b"\0\0\0\1"
        + bytes(10),
        # More lost than was sent; a delay since no report; ten seconds of jitter.
        sender_report(3, 9, 9) + receiver_report(3, 0, 101, 0, 0, highest=99),
        sender_report(3, 9, 9) + receiver_report(3, 0, 0, 0, 1.5),
        sender_report(3, 9, 9) + receiver_report(3, 0, 0, 0, 0, jitter=2_000_000),
    ],
)
def test_encrypted_and_impossible_reports_are_counted_and_never_believed(rtcp):
    port = Port()
    port.send(1000, *PAIRS[3], rtcp)
    # Of a sender that no stream has, it may be anything.
    port.send(1000, "10.7.7.7", "10.1.1.1", rtcp)
    counts = port.streams.take_counts()
    assert (counts["rtcp"], counts["rtcp_unread"]) == (0, 1)
    assert port.row()["reported"] == 0


def test_reports_about_streams_of_others_or_that_began_anew_are_not_mixed_in():
    port = Port()
    # The stream 1 goes to the second address, not to the first.
    port.answer(1000, 0, receiver_report(9, 1, 0, 0, 0))
    assert port.row()["reported"] == 0
    for about in range(12):
        for highest, lost in ((500, 30), (20, 0), (60, 4)):
            port.answer(highest, about, receiver_report(9, about, lost, 0, 0, highest))
    port.streams.read_block(*ring_block(calls(PAIRS, packets=300, begin=300)))
    fields = port.row()
    assert fields["reported_expected"] == 12 * 40
    assert fields["reported_loss_ratio"] == pytest.approx(0.1)


def test_streams_that_are_over_are_forgotten_with_their_reports():
    port = Port()
    for about, pair in enumerate(PAIRS):
        port.send(1000, *pair, sender_report(about, 50, 7))
    finish(port.streams.take_idle(START_NS + 300 * STEP_NS + 60_000_000_000))
    reports = port.streams.reports
    assert not reports._received
    assert not reports._sent
    assert not reports._heard


def test_no_rtcp_however_damaged_raises_or_has_a_name_read():
    port = Port()
    whole = [
        sender_report(1, 9, 7) + source_description(1, NAME) + voip_metrics(1, 0),
        receiver_report(2, 3, 5, 7, 0.1) + source_description(2, NAME),
        receiver_report(2, 3, 5, 7, 0.1) + voip_metrics(2, 3),
    ]
    chance = random.Random(17)
    for _ in range(3000):
        data = bytearray(chance.choice(whole))
        for _ in range(chance.randrange(5)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        rtcp = bytes(data[: chance.randrange(1, len(data) + 1)])
        source, target = chance.choice(PAIRS)
        if chance.randrange(2):
            source, target = target, source
        port.send(chance.randrange(5000), source, target, rtcp)
    fields = port.row()
    assert 0 <= fields.get("reported_loss_ratio", 0) <= 1
    reports = port.streams.reports
    held = repr([(heard.last, heard.middles) for heard in reports._heard.values()])
    assert NAME not in held
    assert all(len(heard.middles) <= 4 for heard in reports._heard.values())
