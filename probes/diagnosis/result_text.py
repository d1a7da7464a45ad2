"""Results as text: a plain summary for everyone, and the figures for IT. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

from probes.diagnosis.outcome_text import OUTCOME_TEXT
from probes.wire.diagnosis import WEAK_DBM
from probes.wire.failure import Outcome
from probes.wire.probe_list import probe_title
from probes.wire.report import Result

# Below this level voice over Wi-Fi begins to suffer.
_FAIR_DBM = -67
_UNSTEADY_MS = 30
_A_FEW_RATIO = 0.01

# What a field's name ends with; the figure is shown with its unit instead.
_SUFFIXES = (
    "_ms",
    "_ratio",
    "_bps",
    "_bytes",
    "_byte",
    "_dbm",
    "_db",
    "_ghz",
    "_mhz",
    "_days",
    "_s",
    "_rpm",
)
# Fields whose name alone is not what a network engineer calls the figure.
_LABELS = {
    "answer_code": "STUN error code",
    "band_ghz": "band",
    "bufferbloat": "bufferbloat grade",
    "burst_density_ratio": "burst density (RFC 3611)",
    "burst_loss_ratio": "worst loss in 200 ms",
    "burst_ms": "mean burst (RFC 3611)",
    "connect_ms": "TCP connect",
    "connect_s": "time to connect",
    "cpu_clock_ratio": "CPU clock",
    "cpu_max_ratio": "CPU peak",
    "cpu_ratio": "CPU",
    "direct_loss_ratio": "loss outside the tunnel",
    "direct_path_mtu_black_hole": "path MTU black hole outside the tunnel",
    "direct_path_mtu_byte": "path MTU outside the tunnel",
    "direct_rtt_ms": "RTT outside the tunnel",
    "down_bps": "download",
    "down_retransmit_ratio": "download retransmits",
    "dscp_arrived": "DSCP on arrival",
    "duplicate_ratio": "duplicates",
    "edge_loss_ratio": "loss to the reflector",
    "edge_rtt_ms": "RTT to the reflector",
    "first_byte_ms": "time to first byte",
    "gap_density_ratio": "gap density (RFC 3611)",
    "gateway_loss_ratio": "loss to the gateway",
    "gateway_rtt_ms": "RTT to the gateway",
    "jitter_in_ms": "jitter inbound",
    "jitter_out_ms": "jitter outbound",
    "late_ratio": "late packets",
    "link_bps": "link speed",
    "link_mtu_byte": "link MTU",
    "lookup_ms": "DNS lookup",
    "loss_in_ratio": "loss inbound",
    "loss_out_ratio": "loss outbound",
    "loss_ratio": "packet loss",
    "m365_way": "route to Microsoft 365",
    "method": "traced by",
    "mos_estimated": "MOS (estimated)",
    "mtu_byte": "tunnel MTU",
    "only_ipv6": "IPv6 only",
    "path_mtu_black_hole": "path MTU black hole",
    "path_mtu_byte": "path MTU",
    "pdv_ms": "PDV p95",
    "poor": "rated poor",
    "provider_loss_ratio": "loss to the provider",
    "provider_rtt_ms": "RTT to the provider",
    "proxy_ms": "proxy CONNECT",
    "quality_ratio": "signal quality",
    "received": "packets received",
    "reorder_ratio": "reordered",
    "resolver_through_vpn": "resolver through the VPN",
    "responsiveness_rpm": "responsiveness",
    "retry_ratio": "retries",
    "rss_bytes": "memory (RSS)",
    "rtt_down_ms": "RTT during download",
    "rtt_idle_ms": "RTT idle",
    "rtt_loaded_ms": "RTT under load",
    "rtt_min_ms": "RTT minimum",
    "rtt_ms": "RTT",
    "rtt_p95_ms": "RTT p95",
    "rtt_up_ms": "RTT during upload",
    "rx_bps": "receive rate",
    "sent": "packets sent",
    "signal_derived": "signal derived from quality",
    "signal_min_dbm": "signal minimum",
    "snr_db": "SNR",
    "status": "HTTP status",
    "spool_dropped": "reports dropped",
    "spool_reports": "reports waiting",
    "teams_way": "route to Teams",
    "tls_ms": "TLS handshake",
    "tunnel_loss_ratio": "loss in the tunnel",
    "tunnel_rtt_ms": "RTT in the tunnel",
    "tx_bps": "transmit rate",
    "up": "tunnel up",
    "up_bps": "upload",
    "up_retransmit_ratio": "upload retransmits",
    "width_mhz": "channel width",
    "woke": "woke from sleep",
}
_TARGETS = {
    "rtt_met": "RTT",
    "loss_met": "packet loss",
    "burst_met": "burst loss",
    "jitter_met": "jitter",
    "reorder_met": "reordering",
}
_UNIT_TEXT = {"1": "", "packet": "", "MOS": "", "1/min": "RPM", "d": "days"}
_DSCP_NAMES = {0: "best effort", 46: "EF"}


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


def figures(result: Result) -> str:
    """Every figure of the result, named as a network engineer names it, with units."""
    from probes.wire.catalogue import UnknownName
    from probes.wire.measurements import CATALOGUE

    shown = []
    for name, value in result.values.items():
        if name.endswith("at_least"):
            # Shown with the figure that it limits.
            continue
        if name.endswith("_met"):
            if value == 0:
                target = _TARGETS.get(name, name.removesuffix("_met"))
                shown.append(f"misses the {target} target")
            continue
        try:
            unit = CATALOGUE.measurement(result.probe).field(name).unit
        except UnknownName:
            unit = "1"
        limit = result.values.get(f"{name.removesuffix('_bps')}_at_least") == 1
        shown.append(_figure(name, value, unit, limit))
    return ", ".join(shown)


def label(field: str) -> str:
    """What a network engineer calls this field: `rtt_p95_ms` is `RTT p95`."""
    if field in _LABELS:
        return _LABELS[field]
    for suffix in _SUFFIXES:
        field = field.removesuffix(suffix)
    return field.replace("_", " ")


def figure_lines(results: Sequence[Result], width: int = 79) -> list[str]:
    """The figures of all results for a terminal, wrapped and indented."""
    lines: list[str] = []
    for result in results:
        lines += textwrap.wrap(
            f"{result_title(result)}: {result.outcome.value}; {figures(result)}".rstrip(
                "; "
            ),
            width,
            initial_indent="  ",
            subsequent_indent="    ",
        )
    return lines


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


def milliseconds(value: float) -> str:
    return "under 1 ms" if 0 <= value < 1 else f"{value:.0f} ms"


def percentage(ratio: float) -> str:
    """`0.3%`, `12%`; never 0% for more than nothing."""
    if 0 < ratio < 0.0001:
        return "under 0.01%"
    return f"{_number(100 * ratio)}%"


def capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


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
        return f"{grade} signal"
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
            parts.append(f"{word} {least}{_number(rate / 1e6)} Mbit/s")
    return ", ".join(parts)


def _agent(result: Result) -> str:
    waiting = result.values.get("spool_reports")
    if not isinstance(waiting, int) or not waiting:
        return "running"
    return f"running, {waiting} report{'' if waiting == 1 else 's'} waiting to be sent"


def _figure(name: str, value: float | str, unit: str, limit: bool) -> str:
    """`RTT 21 ms`, `packet loss 0.5%`, `download at least 48 Mbit/s`."""
    what = label(name) + (" at least" if limit else "")
    if isinstance(value, str):
        return value if name == "product" else f"{what} {value}"
    if name == "dscp_arrived" and value in _DSCP_NAMES:
        return f"{what} {value:.0f} ({_DSCP_NAMES[int(value)]})"
    if unit == "ratio":
        return f"{what} {percentage(value)}"
    if unit == "bit/s":
        return f"{what} {_number(value / 1e6)} Mbit/s"
    if unit == "byte" and value >= 100_000:
        return f"{what} {_number(value / 1e6)} MB"
    if unit == "flag":
        return f"{what} {'yes' if value else 'no'}"
    if unit == "MOS":
        return f"{what} {value:.1f}"
    text = _UNIT_TEXT.get(unit, "bytes" if unit == "byte" else unit)
    if value == 1 and text in {"days", "bytes"}:
        text = text.removesuffix("s")
    return f"{what} {_number(value)} {text}".rstrip()


def _number(value: float) -> str:
    """Three digits at most, never an exponent: `0.07`, `4.8`, `48.2`, `5,070`."""
    if isinstance(value, int) or not abs(value) < 100:
        return f"{value:,.0f}"
    if abs(value) >= 1:
        return f"{value:.1f}".removesuffix(".0")
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "under 0.01" if text == "0" and value > 0 else text


_Summary = Callable[[Result], str]
_SUMMARIES: dict[str, _Summary] = {
    "call_path": _calls,
    "path": _path,
    "teams_relay": call_summary,
    "name_lookup": _answered_in("lookup_ms", "found"),
    "web": _answered_in("total_ms", "answered"),
    "vpn": _vpn,
    "wifi": _wifi,
    "laptop": _laptop,
    "bandwidth": _speed,
    "agent": _agent,
}
