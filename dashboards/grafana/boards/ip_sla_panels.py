"""Panels about the IP SLA operations that Cisco routers run."""

from dashboards.grafana.board import (
    PLAIN,
    UP,
    WORST_FIRST,
    Panel,
    PanelQuery,
    TableColumn,
    busiest,
    cell,
    link_to,
    select,
)
from dashboards.grafana.boards.billed_percentiles import ESTIMATED, percentiles
from dashboards.grafana.boards.key_texts import OPERATION_KINDS, OPERATION_RESULTS

IP_SLA = Panel(
    "What do the routers' IP SLA operations measure?",
    "The operations that Cisco routers run, over the selected range. Answered: share "
    "of results that were answered. Round trip above 100 ms, jitter above 30 ms or "
    "loss above 1% makes calls poor. If one operation is bad and the others are not, "
    f"look at the line and the far end of that one. {ESTIMATED}",
    (
        PanelQuery(
            select(
                "ip_sla",
                ("kind", "last"),
                ("sense", "last"),
                ("up", "mean"),
                ("loss_ratio", "mean"),
                ("mos", "min"),
                ("icpif", "max"),
                by=("device", "site", "operation"),
            ),
            variables={"site": "site"},
        ),
        PanelQuery(
            percentiles(
                "ip_sla",
                ("rtt_ms", "p95"),
                ("jitter_ms", "p95"),
                by=("device", "site", "operation"),
            ),
            variables={"site": "site"},
            estimated=True,
        ),
    ),
    "short",
    "table",
    width=24,
    height=8,
    columns={
        "operation": TableColumn("Operation", width=220),
        "device": TableColumn(
            "Router",
            link=link_to("towpath-switch", device=cell()),
            width=180,
        ),
        "site": TableColumn("Site", width=180),
        "kind_last": TableColumn("Kind", value_texts=OPERATION_KINDS, width=120),
        "sense_last": TableColumn(
            "Last result", value_texts=OPERATION_RESULTS, width=150
        ),
        "up_mean": TableColumn("Answered", "percentunit", decimals=2, width=100),
        "rtt_ms_p95": TableColumn("Round trip, p95", "ms", decimals=0, width=130),
        "jitter_ms_p95": TableColumn("Jitter, p95", "ms", decimals=0, width=110),
        "loss_ratio_mean": TableColumn("Loss", "percentunit", decimals=2, width=90),
        "mos_min": TableColumn("Lowest MOS", "none", decimals=1, width=110),
        "icpif_max": TableColumn("Worst ICPIF", "none", decimals=0, width=110),
    },
    sort=("up_mean", False),
)

SLOWEST = busiest(
    "slowest",
    "Routers with the slowest operations",
    select("ip_sla", ("rtt_ms", "max"), by=("device",)),
    8,
    {"site": "site"},
)
_SLOWEST = {"site": "site", "device": SLOWEST.name}
IP_SLA_ROUND_TRIP = Panel(
    "Which routers' operations have the longest round trip?",
    "The eight slowest routers, each by its slowest operation. A step that stays: the "
    "route has changed. Peaks in working hours: a full line.",
    (
        PanelQuery(
            select("ip_sla", ("rtt_ms", "max"), by=("device",)),
            "$tag_device",
            _SLOWEST,
        ),
    ),
    "ms",
    steps=PLAIN,
    soft_minimum=0,
    legend=WORST_FIRST,
)

IP_SLA_LOSS = Panel(
    "How much do these routers' operations lose?",
    "Share of packets lost in either direction, by the worst operation of each router. "
    "Above 1% calls become poor. The table above has all operations.",
    (
        PanelQuery(
            select("ip_sla", ("loss_ratio", "max"), by=("device",)),
            "$tag_device",
            _SLOWEST,
        ),
    ),
    "percentunit",
    steps=PLAIN,
    soft_minimum=0,
    soft_maximum=0.02,
    legend=WORST_FIRST,
    no_value="No operation measures loss",
)
IP_SLA_OF_DEVICE = Panel(
    "What do its own tests find?",
    "Latest result of each test that a Cisco router runs towards another (IP SLA), "
    "failed ones first. Round trip, jitter and loss are the router's figures; p95: "
    "what 95 % of all five-minute means were below.",
    (
        PanelQuery(
            select(
                "ip_sla",
                ("up", "last"),
                ("kind", "last"),
                ("sense", "last"),
                ("up", "mean"),
                ("loss_ratio", "mean"),
                ("mos", "mean"),
                by=("operation",),
            ),
            variables={"device": "device"},
        ),
        PanelQuery(
            percentiles(
                "ip_sla", ("rtt_ms", "p95"), ("jitter_ms", "p95"), by=("operation",)
            ),
            variables={"device": "device"},
        ),
    ),
    "none",
    "table",
    width=24,
    columns={
        "operation": TableColumn("Test"),
        "up_last": TableColumn("State", value_texts=UP, width=90),
        "kind_last": TableColumn("Kind", value_texts=OPERATION_KINDS, width=150),
        "sense_last": TableColumn("Result", value_texts=OPERATION_RESULTS, width=150),
        "up_mean": TableColumn("Answered", "percentunit", width=110, decimals=1),
        "rtt_ms_p95": TableColumn("Round trip, p95", "ms", width=140, decimals=1),
        "jitter_ms_p95": TableColumn("Jitter, p95", "ms", width=120, decimals=1),
        "loss_ratio_mean": TableColumn("Loss", "percentunit", width=90, decimals=1),
        "mos_mean": TableColumn("MOS", "none", width=80, decimals=1),
    },
    sort=("up_last", False),
)
