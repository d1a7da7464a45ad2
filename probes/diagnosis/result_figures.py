"""The figures of a result, for IT: named as a network engineer names them, with units.
Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from probes.wire.number_text import number_text, percentage
from probes.wire.report import Result
from probes.wire.result_summary import result_title

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
        return f"{what} {number_text(value / 1e6)} Mbit/s"
    if unit == "byte" and value >= 100_000:
        return f"{what} {number_text(value / 1e6)} MB"
    if unit == "flag":
        return f"{what} {'yes' if value else 'no'}"
    if unit == "MOS":
        return f"{what} {value:.1f}"
    text = _UNIT_TEXT.get(unit, "bytes" if unit == "byte" else unit)
    if value == 1 and text in {"days", "bytes"}:
        text = text.removesuffix("s")
    return f"{what} {number_text(value)} {text}".rstrip()
