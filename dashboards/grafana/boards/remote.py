"""Calls, VPN and web from home and office; only groups that are large enough."""

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
    ask,
    limits_of,
    unit_of,
)
from dashboards.grafana.boards.remote_causes import CAUSES_ROW, CHAIN_ROW

_MOS, _POOR = limits_of("mos_estimated_p50"), limits_of("call_poor_ratio")
_RTT, _LOSS = limits_of("rtt_p95_ms"), limits_of("loss_mean_ratio")
_JITTER = limits_of("jitter_p95_ms")
_GROUP = {"by": "by", "group": "group"}
_SMALL = (
    " Over longer intervals the mean of the windows, weighted by what they count."
    " Groups of too few laptops are never shown."
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
        (PanelQuery(ask("experience", (name, "last"), where=where), title),),
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
        text + _SMALL,
        (
            PanelQuery(
                ask("experience", (name, aggregate), by=("by", "group")),
                "$tag_group ($tag_by)",
                _GROUP,
            ),
        ),
        unit_of("experience", name),
        steps=steps,
        decimals=decimals,
        least=1 if name == "mos_estimated_p50" else 0,
    )


GROUPS = Panel(
    "Groups",
    "Newest figures of each group in the range shown; groups of too few laptops are"
    " never shown.",
    (
        PanelQuery(
            ask(
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
        "by": TableColumn("By"),
        "group": TableColumn("Group"),
        "agents_last": TableColumn("Laptops", "short"),
        "mos_estimated_p50_last": TableColumn("Estimated MOS", "none", steps=_MOS),
        "call_poor_ratio_last": TableColumn("Poor calls", "percentunit", steps=_POOR),
        "mostly_last": TableColumn("Most break at"),
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
    "Green answered, red did not, a gap was not observed.",
    (
        PanelQuery(
            ask("vpn_gateway", ("answered", "min"), by=("gateway",)), "$tag_gateway"
        ),
    ),
    "short",
    "state-timeline",
    words=UP,
)
CONNECT = Panel(
    "VPN gateways: time to connect",
    "TCP, then TLS, to each gateway's door.",
    (
        PanelQuery(
            ask("vpn_gateway", ("connect_ms", "mean"), by=("gateway",)),
            "$tag_gateway TCP",
        ),
        PanelQuery(
            ask("vpn_gateway", ("tls_ms", "mean"), by=("gateway",)), "$tag_gateway TLS"
        ),
    ),
    "ms",
    least=0,
)
CERTIFICATES = Panel(
    "VPN certificates end in",
    "Days until each gateway's certificate expires.",
    (
        PanelQuery(
            ask("vpn_gateway", ("certificate_days", "last"), by=("gateway",)),
            "$tag_gateway",
        ),
    ),
    "d",
    "bargauge",
    steps=((None, RED), (14, AMBER), (30, GREEN)),
    least=0,
    decimals=0,
    newest=True,
)
HEARD = Panel(
    "Laptops heard",
    "Enrolled laptops heard in the last hour, by the site their users belong to.",
    (
        PanelQuery(
            ask("self_agents", ("heard", "last"), by=("home_site",)), "$tag_home_site"
        ),
    ),
    "short",
    decimals=0,
    least=0,
)

REMOTE = Board(
    "towpath-remote",
    "Remote working",
    "Whether calls, VPN and web are equally good from office and home.",
    (
        BoardRow(
            "All laptops now",
            (
                _now(
                    "Estimated MOS now",
                    "Median; estimated, not heard.",
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
                    "95th percentile of mean round trips.",
                    "rtt_p95_ms",
                    _RTT,
                    0,
                ),
                _now(
                    "VPN up at home now",
                    "Share of laptops at home with a VPN client whose tunnel is up. "
                    "In an office a laptop needs none.",
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
                    "Laptops heard, rounded to 5.",
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
                    "Median, narrowband E-model (G.107). Under 3.6 some, under 3.1 "
                    "many users are dissatisfied.",
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
                    "95th percentile of means; Microsoft's target is 100 ms.",
                    "rtt_p95_ms",
                    _RTT,
                ),
                _over_time(
                    "Loss",
                    "Mean packet loss; Microsoft's target is 1%.",
                    "loss_mean_ratio",
                    _LOSS,
                ),
                _over_time(
                    "Jitter",
                    "95th percentile; Microsoft's target is 30 ms.",
                    "jitter_p95_ms",
                    _JITTER,
                ),
                _over_time(
                    "Download",
                    "Median of polite speed tests.",
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
                    "Share of laptops outside offices with a VPN client whose tunnel "
                    "is up.",
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
                    "Share of DNS questions answered.",
                    "name_ok_ratio",
                    ((None, RED), (0.95, AMBER), (0.99, GREEN)),
                ),
                HEARD,
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
