"""The tables of a capture's streams and calls for a terminal. Pure."""

from __future__ import annotations

from collectors.calls.phone_call import PhoneOutcome, refusal_outcome
from collectors.rtp.rtp_figures import LEAST_FOR_MOS, StreamFigures
from collectors.rtp.sip_calls import NO_REPLY_S, DelayFigures, SipCallFigures
from collectors.terminal_tables import TerminalTable
from probes.wire.counted_text import counted
from probes.wire.number_text import percentage

_DSCP_NAMES = {0: "0", 46: "EF", 34: "AF41", 18: "AF21", 24: "CS3", 26: "AF31"}

_OUTCOMES: dict[PhoneOutcome, str] = {
    "person": "busy, declined or given up",
    "wrong_number": "wrong number",
    "fault": "fault",
    "unknown": "no final answer",
}


def stream_table(streams: list[StreamFigures]) -> TerminalTable:
    """A row for each stream, with a remark on what is out of the ordinary."""
    figures = ("packets", "lost", "jitter ms", "MOS")
    table = TerminalTable(
        "RTP streams", "from, to", "codec", *figures, "DSCP", "remarks", right=figures
    )
    for stream in streams:
        table.add_row(
            f"{_place(stream.source, stream.source_port)} "
            f"{_place(stream.target, stream.target_port)}",
            stream.payload,
            f"{stream.received:,}",
            percentage(stream.loss_ratio),
            "" if stream.jitter_ms is None else f"{stream.jitter_ms:.1f}",
            _mos_text(stream),
            _dscp_text(stream.dscp),
            "; ".join(stream_remarks(stream)),
        )
    return table


def stream_remarks(stream: StreamFigures) -> list[str]:
    """What an engineer should look at, in a few words each."""
    remarks = []
    if stream.one_way:
        remarks.append(f"one-way for {stream.one_way_ms / 1000:.0f} s")
    if stream.burst_density_ratio:
        remarks.append(
            f"losses in bursts of {stream.burst_ms:.0f} ms "
            f"({percentage(stream.burst_density_ratio)} lost in them)"
        )
    if stream.late_ratio and stream.late_ratio >= 0.001:
        remarks.append(f"{percentage(stream.late_ratio)} too late to be played")
    if stream.duplicates:
        remarks.append(counted(stream.duplicates, "duplicate"))
    if stream.reordered:
        remarks.append(f"{stream.reordered:,} out of order")
    if stream.restarts:
        remarks.append(f"restarted {counted(stream.restarts, 'time')}")
    if stream.missed_before:
        remarks.append(f"{counted(stream.missed_before, 'packet')} before the capture")
    if stream.clock_hz is None:
        remarks.append("clock not known")
    elif stream.clock_estimated:
        remarks.append(f"clock estimated: {stream.clock_hz:,} Hz")
    if stream.reported_mos is not None:
        remarks.append(f"the phone reports MOS {stream.reported_mos:.1f}")
    return remarks


def call_table(calls: SipCallFigures) -> TerminalTable:
    """What became of the calls that began, with the session request delay."""
    figures = ("calls", "delay p50", "p95", "longest")
    table = TerminalTable("Calls (SIP)", "final code", *figures, right=figures)
    refused = sum(calls.refused.values())
    rows: list[tuple[str, int, DelayFigures | None]] = [
        ("answered", calls.answered, calls.successful_delay),
        ("not answered", refused, calls.failed_delay),
        *(
            (f"{code}: {_OUTCOMES.get(refusal_outcome(code), '')}", count, None)
            for code, count in calls.refused.items()
        ),
        (f"no reply in {NO_REPLY_S} s", calls.no_reply, None),
        ("not over in the capture", calls.unfinished, None),
    ]
    for name, count, delay in rows:
        if count:
            table.add_row(name, f"{count:,}", *_delay_cells(delay))
    return table


def _delay_cells(delay: DelayFigures | None) -> tuple[str, str, str]:
    if delay is None:
        return "", "", ""
    p50, p95, longest = (
        f"{value_ms / 1000:.1f} s" if value_ms >= 1000 else f"{value_ms} ms"
        for value_ms in (delay.p50_ms, delay.p95_ms, delay.max_ms)
    )
    return p50, p95, longest


def _place(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _mos_text(stream: StreamFigures) -> str:
    if stream.mos_estimated is not None:
        # A codec without published values is estimated as G.711.
        return f"{'~' if stream.mos_by_proxy else ''}{stream.mos_estimated:.1f}"
    if not stream.is_video and stream.received < LEAST_FOR_MOS:
        return "few"
    return ""


def _dscp_text(counts: dict[int, int]) -> str:
    return ", ".join(_DSCP_NAMES.get(dscp, str(dscp)) for dscp in counts)
