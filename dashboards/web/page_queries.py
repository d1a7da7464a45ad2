"""The status page's queries. Pure: times in, `Query` values out."""

from __future__ import annotations

from collectors.store.query import Pick, Query, Where
from dashboards.port_descriptions import descriptions_query

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
FRESH_MS = 15 * MINUTE_MS
# Anything older than this is not current.
NOW_MS = 4 * MINUTE_MS
EXPERIENCE_MS = 30 * MINUTE_MS
EXPERIENCE_STEP_MS = 5 * MINUTE_MS
# Laptops are counted by the clock hour.
AGENTS_MS = 2 * HOUR_MS


Wheres = tuple[Where, ...]


def of_site(site: str) -> Wheres:
    return (Where("site", (site,)),) if site else ()


def of_device(device: str) -> Wheres:
    return (Where("device", (device,)),)


def polls(to_ms: int, site: str = "") -> Query:
    """Polls of the last quarter of an hour, in buckets fine enough for "20 s ago"."""
    return Query(
        "device",
        (
            Pick("up", "last"),
            Pick("outcome", "last"),
            Pick("ports_up", "last"),
            Pick("ports_down", "last"),
            Pick("uptime_s", "last"),
        ),
        to_ms - FRESH_MS,
        to_ms,
        of_site(site),
        ("device",),
        10_000,
    )


def earlier_polls(to_ms: int, devices: tuple[str, ...]) -> Query:
    """The latest poll of devices without a recent one, to ten minutes."""
    return Query(
        "device",
        (Pick("up", "last"), Pick("outcome", "last")),
        to_ms - 7 * DAY_MS,
        to_ms,
        (Where("device", devices),),
        ("device",),
        10 * MINUTE_MS,
    )


def lines_now(to_ms: int, site: str = "") -> Query:
    picks = ("down_bps", "up_bps", "down_use_ratio", "up_use_ratio", "up", "carrying")
    return Query(
        "line",
        tuple(Pick(name, "last") for name in picks),
        to_ms - NOW_MS,
        to_ms,
        of_site(site),
        ("line", "site"),
    )


def line_traffic(span: tuple[int, int], site: str, step_ms: int) -> Query:
    """A site's lines: the 95th percentile of each step."""
    return Query(
        "line",
        (Pick("down_bps", "p95"), Pick("up_bps", "p95")),
        *span,
        of_site(site),
        ("line",),
        step_ms,
    )


def site_states(span: tuple[int, int], sites: tuple[str, ...], step_ms: int) -> Query:
    """The worst state of sites in each step."""
    return Query(
        "site",
        (Pick("urgency", "max"),),
        *span,
        (Where("site", sites),),
        ("site",),
        step_ms,
    )


def ports_hour(to_ms: int, where: Wheres, *more: str) -> Query:
    """The use, faults and expectations of ports. `more`: fields whose latest value is
    read as well."""
    picks = ("in_use_ratio", "out_use_ratio", "in_bps", "out_bps")
    return Query(
        "interface",
        (
            *(Pick(name, "p95") for name in picks),
            Pick("speed_bps", "last"),
            Pick("up", "last"),
            Pick("expected_up", "last"),
            Pick("expected_why", "last"),
            Pick("in_errors_per_s", "mean"),
            Pick("out_errors_per_s", "mean"),
            Pick("in_discards_per_s", "mean"),
            Pick("out_discards_per_s", "mean"),
            *(Pick(name, "last") for name in more),
        ),
        to_ms - HOUR_MS,
        to_ms,
        where,
        ("device", "port"),
    )


def port_descriptions(to_ms: int, where: Wheres) -> Query:
    """In minutes, so that the latest description of a port is known."""
    return descriptions_query(to_ms - NOW_MS, to_ms, MINUTE_MS, *where)


def sensors_now(to_ms: int, where: Wheres) -> Query:
    picks = ("value", "state", "severity", "low", "high")
    return Query(
        "sensor",
        tuple(Pick(name, "last") for name in picks),
        to_ms - FRESH_MS,
        to_ms,
        where,
        ("device", "role", "class", "sensor"),
    )


def inventory_now(to_ms: int, where: Wheres, *more: str) -> Query:
    """Inventory is read each hour; it still holds for a device that went down today.
    `more`: fields beyond make, model and software."""
    picks = ("vendor", "hardware", "os", "version", *more)
    return Query(
        "inventory",
        tuple(Pick(name, "last") for name in picks),
        to_ms - DAY_MS,
        to_ms,
        where,
        ("device",),
    )


def wireless_now(to_ms: int, where: Wheres) -> Query:
    return Query(
        "wireless",
        (Pick("value", "last"),),
        to_ms - FRESH_MS,
        to_ms,
        (*where, Where("class", ("clients", "ap-count"))),
        ("device", "class", "radio"),
    )


def findings_now(to_ms: int, where: Wheres) -> Query:
    return Query(
        "finding",
        (Pick("active", "last"), Pick("text", "last")),
        to_ms - NOW_MS,
        to_ms,
        where,
        ("device", "finding"),
    )


def experience(to_ms: int) -> Query:
    """The figures of every group in steps of five minutes; the latest step is current.
    The store has no groups that are too small."""
    picks = (
        ("agents", "last"),
        ("calls", "last"),
        ("call_poor_ratio", "last"),
        ("mostly", "last"),
        ("mos_estimated_p50", "last"),
        ("rtt_p95_ms", "last"),
        ("loss_mean_ratio", "last"),
        ("jitter_p95_ms", "last"),
        ("vpn_up_ratio", "last"),
        ("web_ok_ratio", "last"),
        ("media_edge_checks", "last"),
        ("media_edge_ok_ratio", "last"),
        ("media_edge_rtt_p95_ms", "last"),
    )
    return Query(
        "experience",
        tuple(Pick(name, aggregate) for name, aggregate in picks),  # type: ignore[arg-type]
        to_ms - EXPERIENCE_MS,
        to_ms,
        (),
        ("by", "group"),
        EXPERIENCE_STEP_MS,
    )


def group_calls(
    span: tuple[int, int], by: str, groups: tuple[str, ...], step_ms: int
) -> Query:
    """The calls of groups of laptops over time."""
    return Query(
        "experience",
        (Pick("call_poor_ratio", "mean"),),
        *span,
        (Where("by", (by,)), Where("group", groups)),
        ("group",),
        step_ms,
    )


def events(from_ms: int, to_ms: int, where: Wheres) -> Query:
    """Events that devices reported."""
    return Query(
        "event",
        (
            Pick("text", "last"),
            Pick("severity", "last"),
            Pick("active", "last"),
            Pick("level", "max"),
            Pick("last_ms", "max"),
            Pick("count", "sum"),
        ),
        from_ms,
        to_ms,
        where,
        ("device", "event", "port", "about"),
    )


def room_now(to_ms: int) -> Query:
    picks = ("up", "ready", "state", "text", "event_text", "stream_state")
    times = ("stream_text", "minutes_to_start", "minutes_to_end")
    return Query(
        "room",
        tuple(Pick(name, "last") for name in (*picks, *times)),
        to_ms - NOW_MS,
        to_ms,
        (),
        ("room",),
    )


def room_at(at_ms: int, room: str) -> Query:
    """A room as it was then, to a minute and a half."""
    reach_ms = 3 * MINUTE_MS // 2
    picks = ("state", "text", "stream_state", "stream_text")
    return Query(
        "room",
        tuple(Pick(name, "last") for name in picks),
        at_ms - reach_ms,
        at_ms + reach_ms,
        (Where("room", (room,)),),
        ("room",),
    )


def room_figures(span: tuple[int, int], room: str, step_ms: int) -> Query:
    picks = (
        Pick("in_errors_per_s", "mean"),
        Pick("rtt_ms", "mean"),
        Pick("loss_ratio", "mean"),
        Pick("stream_age_s", "max"),
    )
    return Query("room", picks, *span, (Where("room", (room,)),), (), step_ms)


def room_ports(span: tuple[int, int], room: str, step_ms: int) -> Query:
    """The traffic of each port that a room depends on."""
    return Query(
        "room_port",
        (Pick("in_bps", "p95"), Pick("out_bps", "p95")),
        *span,
        (Where("room", (room,)),),
        ("device", "port"),
        step_ms,
    )


def teams_now(to_ms: int) -> Query:
    """Whether the laptops of teams report; without counts if they are too few."""
    return Query(
        "self_team",
        (Pick("enough", "last"), Pick("expected", "last"), Pick("heard", "last")),
        to_ms - NOW_MS,
        to_ms,
        (),
        ("team",),
    )


def gateways_now(to_ms: int) -> Query:
    return Query(
        "vpn_gateway",
        (
            Pick("up", "last"),
            Pick("outcome", "last"),
            Pick("connect_ms", "last"),
            Pick("tls_ms", "last"),
            Pick("certificate_days", "last"),
        ),
        to_ms - NOW_MS,
        to_ms,
        (),
        ("gateway",),
    )
