"""The report's queries, for some `lines`, or for `sites` or (None) all sites. Pure:
times in, `Query` values out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

from collectors.store.query import Highest, Pick, Query, Row, Where
from dashboards.port_descriptions import descriptions_query
from dashboards.report.report_figures import PORTS_SHOWN
from probes.wire.call_cause import CAUSES

AskStore = Callable[[Query], Awaitable[list[Row]]]
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
_LINE_USE = (Pick("down_use_ratio", "p95"), Pick("up_use_ratio", "p95"))


def site_filter(sites: Sequence[str] | None) -> tuple[Where, ...]:
    return () if sites is None else (Where("site", tuple(sites)),)


def line_hours(from_ms: int, to_ms: int, lines: Sequence[str]) -> Query:
    """Each hour of each line: the 95th percentile of its use, and its state."""
    return Query(
        "line",
        (
            *_LINE_USE,
            Pick("up", "mean"),
            Pick("up", "count"),
            Pick("carrying", "max"),
        ),
        from_ms,
        to_ms,
        (Where("line", tuple(lines)),),
        # Every tag, so that roll-ups can be read as they are.
        ("line", "site", "role", "supplier"),
        HOUR_MS,
    )


def line_month(from_ms: int, to_ms: int, lines: Sequence[str]) -> Query:
    """The use of each line: its 95th percentile, and the highest."""
    highest = (Pick("down_use_ratio", "max"), Pick("up_use_ratio", "max"))
    return _of_lines((*_LINE_USE, *highest), from_ms, to_ms, lines)


def line_sizes(from_ms: int, to_ms: int, lines: Sequence[str]) -> Query:
    """The smallest and the largest size that each line had by its contract."""
    names = ("contract_down_bps", "contract_up_bps")
    picks = tuple(Pick(name, end) for name in names for end in ("min", "max"))
    return _of_lines(picks, from_ms, to_ms, lines)


def line_month_before(from_ms: int, to_ms: int, lines: Sequence[str]) -> Query:
    """What a month is compared with: the 95th percentile only."""
    return _of_lines(_LINE_USE, from_ms, to_ms, lines)


def _of_lines(
    picks: tuple[Pick, ...], from_ms: int, to_ms: int, lines: Sequence[str]
) -> Query:
    where = (Where("line", tuple(lines)),)
    return Query("line", picks, from_ms, to_ms, where, ("line",))


def ports_use(from_ms: int, to_ms: int, sites: Sequence[str] | None) -> Query:
    """The 95th percentile of the five minutes of each site's busiest ports."""
    return Query(
        "interface",
        (Pick("in_use_ratio", "p95"), Pick("out_use_ratio", "p95")),
        from_ms,
        to_ms,
        site_filter(sites),
        # Every tag, so that roll-ups can be read as they are.
        ("site", "device", "role", "port"),
        mean_step_ms=5 * MINUTE_MS,
        highest=Highest(PORTS_SHOWN, "site", ("device", "port")),
    )


def ports_month(from_ms: int, to_ms: int, sites: Sequence[str] | None) -> Query:
    return Query(
        "interface",
        (
            Pick("speed_bps", "last"),
            Pick("in_errors_per_s", "mean"),
            Pick("out_errors_per_s", "mean"),
            Pick("in_discards_per_s", "mean"),
            Pick("out_discards_per_s", "mean"),
        ),
        from_ms,
        to_ms,
        site_filter(sites),
        ("site", "device", "role", "port"),
    )


def port_descriptions(
    to_ms: int, devices: Collection[str], step_ms: int | None = None
) -> Query:
    """The descriptions of the ports of `devices` in the last day."""
    where = Where("device", tuple(sorted(devices)))
    return descriptions_query(to_ms - 24 * HOUR_MS, to_ms, step_ms, where)


# The report's figures of a group of laptops.
GROUP_FIELDS = (
    "call_poor_ratio",
    "mos_estimated_p50",
    "rtt_p95_ms",
    "loss_mean_ratio",
    "jitter_p95_ms",
    "vpn_up_ratio",
    "web_ok_ratio",
    *(f"cause_{name}_ratio" for name in CAUSES),
)


def experience(spans: Sequence[tuple[int, int]]) -> Query:
    """Every group's weighted figures in each of `spans`, with their weights, so that
    they can be merged. The store has no groups that were too small."""
    return Query(
        "experience",
        (
            Pick("agents", "min"),
            Pick("agents", "max"),
            Pick("calls", "count"),
            Pick("calls", "sum"),
            Pick("calls_once", "sum"),
            *(Pick(name, "mean") for name in GROUP_FIELDS),
            *(Pick(name, "weight") for name in GROUP_FIELDS),
        ),
        spans[0][0],
        spans[-1][1],
        (),
        ("by", "group"),
        spans=tuple(spans),
    )


def groups_shown(from_ms: int, to_ms: int) -> Query:
    """The groups that were shown at any time."""
    return Query(
        "experience", (Pick("agents", "count"),), from_ms, to_ms, (), ("by", "group")
    )


def gateway_month(from_ms: int, to_ms: int) -> Query:
    return Query(
        "vpn_gateway",
        (
            Pick("connect_ms", "p50"),
            Pick("connect_ms", "p95"),
            Pick("tls_ms", "p95"),
            Pick("certificate_days", "last"),
        ),
        from_ms,
        to_ms,
        (),
        ("gateway",),
    )
