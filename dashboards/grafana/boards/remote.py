"""Calls, VPN and web from home and office, by groups of enough laptops."""

from collectors.store.query import Aggregate, Where
from dashboards.grafana.board import (
    AMBER,
    GREEN,
    RED,
    UP,
    Board,
    BoardRow,
    Panel,
    PanelQuery,
    Steps,
    TableColumn,
    Variable,
    select,
    unit_of,
    verdict_steps,
)
from dashboards.grafana.boards.remote_causes import CAUSES_ROW, CHAIN_ROW

_MOS, _POOR = verdict_steps("mos_estimated_p50"), verdict_steps("call_poor_ratio")
_RTT, _LOSS = verdict_steps("rtt_p95_ms"), verdict_steps("loss_mean_ratio")
_JITTER = verdict_steps("jitter_p95_ms")
_GROUP = {"by": "by", "group": "group"}
_WEIGHTED_NOTE = (
    " Longer intervals show the mean, weighted by the number of tests."
    " Groups with too few laptops are never shown."
)


def _now(
    title: str,
    text: str,
    name: str,
    steps: Steps,
    decimals: int,
    group: tuple[str, str] = ("all", "all"),
) -> Panel:
    where = tuple(
        Where(tag, (value,)) for tag, value in zip(("by", "group"), group, strict=True)
    )
    return Panel(
        title,
        text,
        (PanelQuery(select("experience", (name, "last"), where=where), title),),
        unit_of("experience", name),
        "stat",
        width=4,
        height=4,
        steps=steps,
        decimals=decimals,
        newest=True,
    )


def _over_time(
    title: str,
    text: str,
    name: str,
    steps: Steps,
    aggregate: Aggregate = "mean",
    decimals: int | None = None,
) -> Panel:
    return Panel(
        title,
        text + _WEIGHTED_NOTE,
        (
            PanelQuery(
                select("experience", (name, aggregate), by=("by", "group")),
                "$tag_group ($tag_by)",
                _GROUP,
            ),
        ),
        unit_of("experience", name),
        steps=steps,
        decimals=decimals,
        minimum=1 if name == "mos_estimated_p50" else 0,
    )


GROUPS = Panel(
    "Groups",
    "Latest figures of each group in the time range. Groups with too few laptops are"
    " never shown.",
    (
        PanelQuery(
            select(
                "experience",
                ("agents", "last"),
                ("mos_estimated_p50", "last"),
                ("call_poor_ratio", "last"),
                ("mostly", "last"),
                ("rtt_p95_ms", "last"),
                ("loss_mean_ratio", "last"),
                ("jitter_p95_ms", "last"),
                ("vpn_up_ratio", "last"),
                ("web_ok_ratio", "last"),
                ("name_ok_ratio", "last"),
                ("down_bps_p50", "last"),
                ("up_bps_p50", "last"),
                by=("by", "group"),
            ),
            variables=_GROUP,
        ),
    ),
    "short",
    "table",
    width=24,
    height=10,
    columns={
        "by": TableColumn("Grouped by"),
        "group": TableColumn("Group"),
        "agents_last": TableColumn("Laptops", "short"),
        "mos_estimated_p50_last": TableColumn("Estimated MOS", "none", steps=_MOS),
        "call_poor_ratio_last": TableColumn("Poor calls", "percentunit", steps=_POOR),
        "mostly_last": TableColumn("Most fail at"),
        "rtt_p95_ms_last": TableColumn("Round trip, p95", "ms"),
        "loss_mean_ratio_last": TableColumn("Loss", "percentunit"),
        "jitter_p95_ms_last": TableColumn("Jitter, p95", "ms"),
        "vpn_up_ratio_last": TableColumn("VPN up, outside offices", "percentunit"),
        "web_ok_ratio_last": TableColumn("Web worked", "percentunit"),
        "name_ok_ratio_last": TableColumn("Lookups worked", "percentunit"),
        "down_bps_p50_last": TableColumn("Download", "bps"),
        "up_bps_p50_last": TableColumn("Upload", "bps"),
    },
)
GATEWAYS = Panel(
    "VPN gateways answering",
    "Green: answered. Red: did not answer. Gap: not observed.",
    (
        PanelQuery(
            select("vpn_gateway", ("answered", "min"), by=("gateway",)), "$tag_gateway"
        ),
    ),
    "short",
    "state-timeline",
    value_texts=UP,
)
CONNECT = Panel(
    "VPN gateways: time to connect",
    "TCP, then TLS connection to each gateway.",
    (
        PanelQuery(
            select("vpn_gateway", ("connect_ms", "mean"), by=("gateway",)),
            "$tag_gateway TCP",
        ),
        PanelQuery(
            select("vpn_gateway", ("tls_ms", "mean"), by=("gateway",)),
            "$tag_gateway TLS",
        ),
    ),
    "ms",
    minimum=0,
)
CERTIFICATES = Panel(
    "VPN certificates: days left",
    "Days until each gateway's certificate expires.",
    (
        PanelQuery(
            select("vpn_gateway", ("certificate_days", "last"), by=("gateway",)),
            "$tag_gateway",
        ),
    ),
    "d",
    "bargauge",
    steps=((None, RED), (14, AMBER), (30, GREEN)),
    minimum=0,
    decimals=0,
    newest=True,
)
LAPTOPS_REPORTING = Panel(
    "Laptops reporting",
    "Enrolled laptops that reported in the last hour, by their users' home site.",
    (
        PanelQuery(
            select("self_agents", ("heard", "last"), by=("home_site",)),
            "$tag_home_site",
        ),
    ),
    "short",
    decimals=0,
    minimum=0,
)

REMOTE = Board(
    "towpath-remote",
    "Remote working",
    "Are calls, VPN and web equally good from office and home?",
    (
        BoardRow(
            "All laptops now",
            (
                _now(
                    "Estimated MOS now",
                    "Median of estimates (E-model), not of listeners' ratings.",
                    "mos_estimated_p50",
                    _MOS,
                    1,
                ),
                _now(
                    "Poor calls now",
                    "Share of test calls that missed a media target.",
                    "call_poor_ratio",
                    _POOR,
                    1,
                ),
                _now(
                    "Round trip now",
                    "95th percentile of the tests' mean round trips.",
                    "rtt_p95_ms",
                    _RTT,
                    0,
                ),
                _now(
                    "VPN up at home now",
                    "Share of laptops at home, with a VPN client, whose tunnel is up. "
                    "Laptops in an office need none.",
                    "vpn_up_ratio",
                    ((None, RED), (0.8, AMBER), (0.95, GREEN)),
                    1,
                    ("place", "home"),
                ),
                _now(
                    "Web worked now",
                    "Share of web requests that worked.",
                    "web_ok_ratio",
                    ((None, RED), (0.95, AMBER), (0.99, GREEN)),
                    1,
                ),
                _now(
                    "Laptops now",
                    "Laptops that reported, rounded to 5.",
                    "agents",
                    ((None, GREEN),),
                    0,
                ),
            ),
        ),
        CAUSES_ROW,
        BoardRow("Groups", (GROUPS,)),
        BoardRow(
            "Calls",
            (
                _over_time(
                    "Estimated MOS",
                    "Median, narrowband E-model (G.107). Below 3.6 some users are "
                    "dissatisfied, below 3.1 many.",
                    "mos_estimated_p50",
                    _MOS,
                    decimals=1,
                ),
                _over_time(
                    "Poor calls",
                    "Share of test calls that missed a media target.",
                    "call_poor_ratio",
                    _POOR,
                ),
                _over_time(
                    "Round trip",
                    "95th percentile of means. Microsoft's target is 100 ms.",
                    "rtt_p95_ms",
                    _RTT,
                ),
                _over_time(
                    "Loss",
                    "Mean packet loss. Microsoft's target is 1%.",
                    "loss_mean_ratio",
                    _LOSS,
                ),
                _over_time(
                    "Jitter",
                    "95th percentile. Microsoft's target is 30 ms.",
                    "jitter_p95_ms",
                    _JITTER,
                ),
                _over_time(
                    "Download",
                    "Median of small speed tests.",
                    "down_bps_p50",
                    ((None, GREEN),),
                ),
            ),
        ),
        CHAIN_ROW,
        BoardRow(
            "VPN, names and web",
            (
                _over_time(
                    "VPN up",
                    "Share of laptops outside offices, with a VPN client, whose "
                    "tunnel is up.",
                    "vpn_up_ratio",
                    ((None, RED), (0.8, AMBER), (0.95, GREEN)),
                ),
                _over_time(
                    "Web worked",
                    "Share of web requests that worked.",
                    "web_ok_ratio",
                    ((None, RED), (0.95, AMBER), (0.99, GREEN)),
                ),
                _over_time(
                    "Name lookups worked",
                    "Share of DNS queries answered.",
                    "name_ok_ratio",
                    ((None, RED), (0.95, AMBER), (0.99, GREEN)),
                ),
                LAPTOPS_REPORTING,
                GATEWAYS,
                CONNECT,
                CERTIFICATES,
            ),
        ),
    ),
    (
        Variable("by", "Grouped by", "experience", "by"),
        Variable("group", "Group", "experience", "group", {"by": "by"}),
    ),
)
