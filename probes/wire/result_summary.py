"""A result in plain words: `Good: delay 21 ms, no packets lost`. Pure."""

from __future__ import annotations

from collections.abc import Callable

from probes.wire.counted_text import counted
from probes.wire.diagnosis import WEAK_DBM, WEAK_MOMENT_DBM
from probes.wire.failure import Outcome
from probes.wire.number_text import (
    capitalised,
    milliseconds,
    number_text,
    percentage,
)
from probes.wire.outcome_text import OUTCOME_TEXT
from probes.wire.probe_list import probe_title
from probes.wire.report import Result

# Below this level voice over Wi-Fi begins to suffer.
_FAIR_DBM = -67
_UNSTEADY_MS = 30
_A_FEW_RATIO = 0.01


def result_title(result: Result) -> str:
    """`Call quality (Central Library)`."""
    target = f" ({result.target})" if result.target else ""
    return capitalised(probe_title(result.probe)) + target


def summary(result: Result) -> str:
    """The result in plain words: `Good: delay 21 ms, no packets lost`."""
    if result.outcome is Outcome.OK and result.probe in _SUMMARIES:
        text = _SUMMARIES[result.probe](result)
        if text:
            return capitalised(text)
    return capitalised(OUTCOME_TEXT[result.outcome])


def call_summary(result: Result) -> str:
    """`delay 21 ms, no packets lost`, of a call path or relay result."""
    values, parts = result.values, []
    delay, jitter = values.get("rtt_ms"), values.get("jitter_ms")
    if isinstance(delay, int | float):
        parts.append(f"delay {milliseconds(delay)}")
    if isinstance(loss := values.get("loss_ratio"), int | float):
        parts.append(_loss(loss))
    if isinstance(jitter, int | float) and jitter >= _UNSTEADY_MS:
        parts.append(f"unsteady (jitter {milliseconds(jitter)})")
    return ", ".join(parts)


def _loss(ratio: float) -> str:
    if ratio == 0:
        return "no packets lost"
    if ratio < _A_FEW_RATIO:
        return f"a few packets lost ({percentage(ratio)})"
    return f"{percentage(ratio)} of packets lost"


def _calls(result: Result) -> str:
    poor = result.values.get("poor")
    grade = "poor" if poor == 1 else "good" if poor == 0 else ""
    return ": ".join(part for part in (grade, call_summary(result)) if part)


def _path(result: Result) -> str:
    parts = [
        f"{milliseconds(delay)} to {place}"
        for field, place in (
            ("gateway_rtt_ms", "your router"),
            ("provider_rtt_ms", "your provider"),
            ("edge_rtt_ms", "the council"),
        )
        if isinstance(delay := result.values.get(field), int | float)
    ]
    return "delay " + ", ".join(parts) if parts else ""


def _answered_in(field: str, verb: str) -> _Summary:
    def text(result: Result) -> str:
        value = result.values.get(field)
        return (
            f"{verb} in {milliseconds(value)}" if isinstance(value, int | float) else ""
        )

    return text


def _vpn(result: Result) -> str:
    values = result.values
    if values.get("up") != 1:
        return "not connected" if values.get("up") == 0 else ""
    product = f" ({values['product']})" if values.get("product") else ""
    delay = values.get("tunnel_rtt_ms")
    if not isinstance(delay, int | float):
        return f"connected{product}"
    return f"connected{product}, delay {milliseconds(delay)}"


def _wifi(result: Result) -> str:
    signal, quality = (
        result.values.get("signal_dbm"),
        result.values.get("quality_ratio"),
    )
    if isinstance(signal, int | float):
        grade = (
            "weak" if signal <= WEAK_DBM else "fair" if signal <= _FAIR_DBM else "good"
        )
        about = "about " if result.values.get("signal_derived") == 1 else ""
        text = f"{grade} signal, {about}{signal:.0f} dBm"
        least = result.values.get("signal_min_dbm")
        if isinstance(least, int | float) and least <= WEAK_MOMENT_DBM < signal:
            text += f"; weak at times, {about}{least:.0f} dBm"
        return text
    if isinstance(quality, int | float):
        return f"signal {percentage(quality)}"
    return ""


def _laptop(result: Result) -> str:
    parts = [
        f"{part} {ratio:.0%} {word}"
        for field, part, word in (
            ("cpu_ratio", "processor", "busy"),
            ("memory_ratio", "memory", "full"),
        )
        if isinstance(ratio := result.values.get(field), int | float)
    ]
    return ", ".join(parts)


def _speed(result: Result) -> str:
    parts = []
    for way, word in (("down", "download"), ("up", "upload")):
        rate = result.values.get(f"{way}_bps")
        if isinstance(rate, int | float):
            least = "at least " if result.values.get(f"{way}_at_least") == 1 else ""
            parts.append(f"{word} {least}{number_text(rate / 1e6)} Mbit/s")
    return ", ".join(parts)


def _agent(result: Result) -> str:
    waiting = result.values.get("spool_reports")
    if not isinstance(waiting, int) or not waiting:
        return "running"
    return f"running, {counted(waiting, 'report')} waiting to be sent"


_Summary = Callable[[Result], str]
_SUMMARIES: dict[str, _Summary] = {
    "call_path": _calls,
    "path": _path,
    "teams_relay": call_summary,
    "media_edge": call_summary,
    "name_lookup": _answered_in("lookup_ms", "found"),
    "web": _answered_in("total_ms", "answered"),
    "vpn": _vpn,
    "wifi": _wifi,
    "laptop": _laptop,
    "bandwidth": _speed,
    "agent": _agent,
}
