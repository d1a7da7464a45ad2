"""`rtp_media`: one minute of the streams on a mirrored port, by pairs of subnets. Pure.

A row is about at least `least` addresses on each side, so about no person; a gateway is
nobody's telephone and needs no others beside it. Pairs with fewer are put together as
`other`; if they are too few even so, they are only counted. Addresses are in no row.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address, ip_network
from itertools import islice
from typing import NamedTuple, TypeVar

from collectors.estate import Site
from collectors.ip_networks import Address, Network, NetworkTable, is_in
from collectors.rtp.far_reports import ReportedCounts
from collectors.rtp.live_calls import LiveCalls
from collectors.rtp.loop_parts import Parts
from collectors.rtp.reported_figures import reported_fields
from collectors.rtp.rtp_codecs import PayloadFormat, equipment
from collectors.rtp.rtp_figures import LEAST_FOR_MOS
from collectors.rtp.rtp_stream import VIDEO_HZ, RtpStream
from collectors.rtp.sip_messages import format_of
from probes.wire.mos import estimate
from probes.wire.sample import Sample, Value

OTHER = "other"
_IPV4_BITS, _IPV6_BITS = 24, 64
_EF, _POOR_MOS, _ONE_WAY_PACKETS = 46, 3.6, 250
# Streams in one part of the work: some milliseconds.
STREAMS_AT_ONCE = 200


class _Counts(NamedTuple):
    """What a stream had counted at the end of a minute."""

    packets: int = 0
    expected: int = 0
    lost: int = 0
    timed: int = 0
    jitter_sum_ms: float = 0.0
    late: int = 0
    reordered: int = 0
    duplicates: int = 0
    marked_ef: int = 0


class Subnet(NamedTuple):
    """A subnet and its site, if it is the estate's."""

    name: str
    site: str = ""


class _End(NamedTuple):
    """An end of streams: its subnet, and its address, unless that is a gateway's and so
    of no one person."""

    subnet: Subnet
    person: bytes | None


class SubnetNames:
    """Finds the subnet of an address: the estate's, or else its /24 or /64."""

    def __init__(self, sites: Iterable[Site], gateways: Iterable[Network]) -> None:
        self._estate = NetworkTable(
            (subnet, Subnet(str(subnet), site.id))
            for site in sites
            for subnet in site.subnets
        )
        self._gateways = tuple(gateways)

    def of(self, address: Address) -> Subnet:
        known = self._estate.look_up(address)
        if known is not None:
            return known
        bits = _IPV4_BITS if address.version == 4 else _IPV6_BITS
        return Subnet(str(ip_network((address, bits), strict=False)))

    def end_of(self, packed: bytes) -> _End:
        """The end with that address."""
        address = ip_address(packed)
        is_gateway = is_in(address, self._gateways)
        return _End(self.of(address), None if is_gateway else packed)


class _StreamMinute(NamedTuple):
    """A minute of a stream, and whose it is: an end without a person is a gateway."""

    stream: RtpStream
    change: _Counts
    is_one_way: bool
    sender: bytes | None
    receiver: bytes | None


def _is_showable(streams: Iterable[_StreamMinute], least: int) -> bool:
    """Whether no person can be told apart. A side without people has gateways only."""
    streams = list(streams)
    sides = {one.sender for one in streams}, {one.receiver for one in streams}
    people = [len(side - {None}) for side in sides]
    return len(streams) >= least and all(not n or n >= least for n in people)


class MinuteRows(NamedTuple):
    """The rows of a minute; `streams` had packets, `withheld` of them are in no row."""

    samples: list[Sample]
    streams: int
    withheld: int


class MinuteGroups:
    """`close_minute` makes the rows of what was counted since the last call."""

    def __init__(self, names: SubnetNames, interface: str, least: int) -> None:
        self._names, self._interface, self._least = names, interface, least
        self._before: dict[RtpStream, _Counts] = {}
        self._calls: LiveCalls | None = None

    def close_minute(
        self,
        streams: Iterable[RtpStream],
        time_ms: int,
        reports: Mapping[RtpStream, ReportedCounts],
        calls: LiveCalls | None = None,
    ) -> Parts[MinuteRows]:
        """`streams`: all that there are or have ended since, each once; `reports` what
        their far ends have reported since; `calls` what SIP says, if it is read. In
        parts: packets that come in between are of this minute or the next."""
        self._calls = calls
        before, self._before = self._before, {}
        minutes: list[tuple[RtpStream, _Counts]] = []
        for part in _in_parts(streams):
            for stream in part:
                now = _counts_of(stream)
                since = before.get(stream, _Counts())
                self._before[stream] = now
                change = _Counts._make(a - b for a, b in zip(now, since, strict=True))
                if change.packets or change.expected:
                    minutes.append((stream, change))
            yield
        groups = yield from self._groups(minutes)
        rest: list[_StreamMinute] = []
        shown: list[tuple[Subnet, Subnet, list[_StreamMinute]]] = []
        for (from_, to), group in groups.items():
            if _is_showable(group, self._least):
                shown.append((from_, to, group))
            else:
                rest += group
        yield
        withheld = len(rest)
        if _is_showable(rest, self._least):
            shown.append((Subnet(OTHER), Subnet(OTHER), rest))
            withheld = 0
        samples = []
        for from_, to, group in shown:
            sample = yield from self._sample(from_, to, group, time_ms, reports)
            samples.append(sample)
        return MinuteRows(samples, len(minutes), withheld)

    def _groups(
        self, minutes: list[tuple[RtpStream, _Counts]]
    ) -> Parts[dict[tuple[Subnet, Subnet], list[_StreamMinute]]]:
        """The streams by their pair of subnets."""
        pairs = {(s.key.source, s.key.target) for s, _ in minutes}
        has_both = any((target, source) in pairs for source, target in pairs)
        groups: dict[tuple[Subnet, Subnet], list[_StreamMinute]] = {}
        # Most streams share an end, such as a gateway, with others.
        ends: dict[bytes, _End] = {}
        for part in _in_parts(minutes):
            for stream, change in part:
                source, target = stream.key.source, stream.key.target
                for packed in (source, target):
                    if packed not in ends:
                        ends[packed] = self._names.end_of(packed)
                # A port that is mirrored in one direction says nothing of the other.
                one_way = has_both and change.packets >= _ONE_WAY_PACKETS
                one_way &= (target, source) not in pairs
                if one_way and self._calls is not None:
                    one_way = not self._calls.is_on_hold(stream.key)
                from_, to = ends[source], ends[target]
                minute = _StreamMinute(stream, change, one_way, from_.person, to.person)
                groups.setdefault((from_.subnet, to.subnet), []).append(minute)
            yield
        return groups

    def _sample(
        self,
        from_: Subnet,
        to: Subnet,
        group: list[_StreamMinute],
        time_ms: int,
        reports: Mapping[RtpStream, ReportedCounts],
    ) -> Parts[Sample]:
        tags = {
            "site": from_.site or to.site,
            "from_subnet": from_.name,
            "to_subnet": to.name,
            "interface": self._interface,
        }
        counts = [one.change for one in group]
        total = _Counts._make(map(sum, zip(*counts, strict=True)))
        fields: dict[str, Value] = {
            "streams": len(group),
            "packets": total.packets,
            "expected": total.expected,
            "timed": total.timed,
            "one_way": sum(one.is_one_way for one in group),
        }
        ratios = {
            "loss_ratio": (total.lost, total.expected),
            "jitter_ms": (total.jitter_sum_ms, total.timed),
            "late_ratio": (total.late, total.timed),
            "reorder_ratio": (total.reordered, total.packets),
            "duplicate_ratio": (total.duplicates, total.packets),
            "ef_ratio": (total.marked_ef, total.packets),
        }
        fields |= {
            name: round(part / whole, 6)
            for name, (part, whole) in ratios.items()
            if whole
        }
        rated: list[float] = []
        for part in _in_parts(group):
            yield
            estimates = (self._estimated_mos(one.stream, one.change) for one in part)
            rated += (mos for mos in estimates if mos is not None)
        fields["rated"] = len(rated)
        if rated:
            fields["mos_estimated"] = round(math.fsum(rated) / len(rated), 3)
            poor = sum(mos < _POOR_MOS for mos in rated)
            fields["poor_ratio"] = round(poor / len(rated), 6)
        yield
        by_stream = {one.stream: one for one in group}
        fields |= yield from reported_fields(
            {s: reports[s] for s in by_stream if s in reports},
            lambda some: _is_showable(map(by_stream.__getitem__, some), self._least),
        )
        return Sample(
            "rtp_media", {k: v for k, v in tags.items() if v}, fields, time_ms
        )

    def _estimated_mos(self, stream: RtpStream, change: _Counts) -> float | None:
        """The estimate for a stream's minute, with the codec that SDP or the static
        types name; None if it is too short, or not speech."""
        awaited = self._calls.awaited(stream.key) if self._calls else None
        kind = next(iter(stream.formats))
        return _estimate(stream, change, format_of(kind, awaited))


_Item = TypeVar("_Item")


def _in_parts(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    rest = iter(items)
    while part := list(islice(rest, STREAMS_AT_ONCE)):
        yield part


def _counts_of(stream: RtpStream) -> _Counts:
    """What a stream has counted. Of the newest packets it is not settled yet whether
    those that are missing are lost, so these are counted later."""
    return _Counts(
        stream.packets,
        stream.bursts.packets,
        stream.bursts.losses,
        stream.jitter_samples,
        stream.jitter_sum_ms,
        stream.late,
        stream.reordered,
        stream.duplicates,
        stream.dscps.get(_EF, 0),
    )


def _estimate(
    stream: RtpStream, change: _Counts, format_: PayloadFormat
) -> float | None:
    codec = equipment(format_.name)
    if codec is None or format_.is_video or stream.hz == VIDEO_HZ:
        return None
    if change.timed < LEAST_FOR_MOS or change.expected < LEAST_FOR_MOS:
        return None
    loss, late = change.lost / change.expected, change.late / change.timed
    heard_loss = loss + (1 - loss) * late
    jitter_ms = change.jitter_sum_ms / change.timed
    return estimate(0.0, jitter_ms, heard_loss, stream.bursts.ratio(), codec[0])
