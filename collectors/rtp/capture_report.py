"""Reads a whole capture and reports on its streams."""

from __future__ import annotations

from pathlib import Path

import msgspec

from collectors.rtp.capture_file import ETHERNET, CaptureFile
from collectors.rtp.frame_decoder import READ_LINKS, FrameDecoder
from collectors.rtp.frame_dissector import FrameDissector
from collectors.rtp.rtp_figures import StreamFigures, figures_of, mark_one_way
from collectors.rtp.sip_calls import SipCallFigures
from collectors.rtp.stream_watcher import StreamWatcher
from probes.wire.counted_text import counted

# Some 3.5 kB each.
_MOST_STREAMS = 20_000
_MOST_LINKS = 5


# What was counted, one and many of it, and what it means.
_SENTENCES = {
    "cut": (
        "packet was",
        "packets were",
        "{} captured too short for the header of RTP: capture with a larger snap "
        "length (tcpdump -s 0)",
    ),
    "clock_back": (
        "time",
        "times",
        "the clock of the capture was set back ({} in all): durations and jitter are "
        "uncertain",
    ),
    "rtcp_unreadable": (
        "RTCP packet is",
        "RTCP packets are",
        "{} encrypted or damaged",
    ),
    "sip_gaps": (
        "SIP message over TCP was",
        "SIP messages over TCP were",
        "{} not whole in the capture",
    ),
    "sip_tls": (
        "TLS record of SIP (port 5061) is",
        "TLS records of SIP (port 5061) are",
        "{} encrypted: calls by it are in no table of calls",
    ),
}


class CaptureReport(msgspec.Struct, kw_only=True):
    """What a capture has. `frames` counts what became of its frames, `remarks` are
    sentences about what could not be read. `sip`: None if no call began in it."""

    file: str
    duration_ms: int
    frames: dict[str, int]
    datagrams: dict[str, int]
    streams: list[StreamFigures]
    sip: SipCallFigures | None
    remarks: list[str]


def report_capture(path: Path, most_streams: int = _MOST_STREAMS) -> CaptureReport:
    """Reads the capture in bounded memory, and lists the `most_streams` with the most
    packets. Raises `NotACapture`, and `OSError`."""
    file, watcher = CaptureFile(path), StreamWatcher()
    decoder = FrameDecoder(with_tcp=True)
    streams: list[StreamFigures] = []
    links: set[int] = set()
    unlisted = frames = usual = 0
    with FrameDissector() as dissector:
        for at_ns, link, data in file:
            frames += 1
            if link == ETHERNET and watcher.follow(at_ns, data):
                usual += 1
                continue
            datagram = decoder.decode(link, data)
            if datagram is None and decoder.is_unknown:
                if link not in READ_LINKS and len(links) < _MOST_LINKS:
                    links.add(link)
                datagram = dissector.dissect(link, data)
            if datagram is None:
                continue
            watcher.feed(at_ns, datagram)
            if watcher.ended:
                _list(watcher, streams)
                if len(streams) > most_streams + most_streams // 4:
                    unlisted += _drop_shortest(streams, most_streams)
    decoder.counts["udp"] += usual
    watcher.ended = watcher.finish()
    _list(watcher, streams)
    unlisted += _drop_shortest(streams, most_streams)
    mark_one_way(streams)
    streams.sort(key=lambda stream: (stream.start_ms, stream.ssrc))
    return CaptureReport(
        file=file.name,
        duration_ms=(watcher.last_ns - watcher.first_ns) // 1_000_000,
        frames={"all": frames, **decoder.counts},
        datagrams=dict(watcher.counts),
        streams=streams,
        sip=watcher.sip_calls.finish(watcher.last_ns),
        remarks=_remarks(file, decoder, dissector, watcher, unlisted, links),
    )


def _list(watcher: StreamWatcher, streams: list[StreamFigures]) -> None:
    """Moves the ended streams to the list."""
    ended, watcher.ended = watcher.ended, []
    streams += [figures_of(watched, watcher.first_ns) for watched in ended]


def _drop_shortest(streams: list[StreamFigures], most: int) -> int:
    """Keeps the longest streams: a flood of made-up ones cannot push out calls. Returns
    how many were dropped."""
    dropped = max(0, len(streams) - most)
    if dropped:
        streams.sort(key=lambda stream: -stream.packets)
        del streams[most:]
    return dropped


def _remarks(
    file: CaptureFile,
    decoder: FrameDecoder,
    dissector: FrameDissector,
    watcher: StreamWatcher,
    unlisted: int,
    links: set[int],
) -> list[str]:
    counts = watcher.counts
    remarks = []
    if file.ended_early:
        remarks.append(f"{file.ended_early}; what comes before it is reported")
    if file.untimed:
        frames = counted(file.untimed, "frame has", "frames have")
        remarks.append(f"{frames} an impossible time: left out")
    if links:
        numbers = ", ".join(map(str, sorted(links)))
        remarks.append(
            f"frames of the link type {numbers} (105 and 127 are Wi-Fi) are read by "
            "scapy only"
        )
    if dissector.skipped:
        why = dissector.missing or "there are too many of them"
        frames = counted(
            dissector.skipped,
            "frame of unknown encapsulation was",
            "frames of unknown encapsulation were",
        )
        remarks.append(f"{frames} not read: {why}")
    unread = dissector.asked - dissector.answered
    if unread:
        remarks.append(
            f"in {counted(unread, 'frame')} of unknown encapsulation no UDP was found: "
            "there is none, it is encrypted, or scapy does not know it either"
        )
    if decoder.counts["damaged"]:
        frames = counted(decoder.counts["damaged"], "frame is", "frames are")
        remarks.append(f"{frames} damaged or cut short")
    for name, (one, many, sentence) in _SENTENCES.items():
        if counts[name]:
            remarks.append(sentence.format(counted(counts[name], one, many)))
    if counts["streams_dropped"]:
        remarks.append(
            counted(counts["streams_dropped"], "stream was", "streams were")
            + " taken to be over, as too many lasted at a time: those that were silent "
            "for longest"
        )
    if unlisted:
        streams = counted(unlisted, "stream is", "streams are")
        remarks.append(
            f"{streams} not listed: there are too many, and these are the shortest"
        )
    return remarks
