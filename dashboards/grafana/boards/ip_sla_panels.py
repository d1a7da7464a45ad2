"""Panels about the IP SLA operations that Cisco routers run."""

from dashboards.grafana.board import (
    PLAIN,
    WORST_FIRST,
    Panel,
    PanelQuery,
    TableColumn,
    column,
    link_to,
    select,
)

IP_SLA = Panel(
    "What do the routers' IP SLA operations measure?",
    "The operations that Cisco routers run, over the selected range. Answered: share "
    "of results that were answered. Round trip above 100 ms, jitter above 30 ms or "
    "loss above 1% makes calls poor. If one operation is bad and the others are not, "
    "look at the line and the far end of that one.",
    (
        PanelQuery(
            select(
                "ip_sla",
                ("kind", "last"),
                ("sense", "last"),
                ("up", "mean"),
                ("rtt_ms", "p95"),
                ("jitter_ms", "p95"),
                ("loss_ratio", "mean"),
                ("mos", "min"),
                by=("device", "site", "operation"),
            ),
            variables={"site": "site"},
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
            link=link_to(
                "towpath-switch", site=column("site"), device=column("device")
            ),
            width=180,
        ),
        "site": TableColumn("Site", width=180),
        "kind_last": TableColumn("Kind", width=120),
        "sense_last": TableColumn("Last result", width=130),
        "up_mean": TableColumn("Answered", "percentunit", decimals=2, width=100),
        "rtt_ms_p95": TableColumn("Round trip, p95", "ms", decimals=0, width=130),
        "jitter_ms_p95": TableColumn("Jitter, p95", "ms", decimals=0, width=110),
        "loss_ratio_mean": TableColumn("Loss", "percentunit", decimals=2, width=90),
        "mos_min": TableColumn("Lowest MOS", "none", decimals=1, width=110),
    },
    sort=("up_mean", False),
)

IP_SLA_ROUND_TRIP = Panel(
    "How long is the round trip of each operation?",
    "The longest of each interval. A step that stays: the route has changed. Peaks in "
    "working hours: a full line.",
    (
        PanelQuery(
            select("ip_sla", ("rtt_ms", "max"), by=("device", "operation")),
            "$tag_device $tag_operation",
            {"site": "site"},
        ),
    ),
    "ms",
    steps=PLAIN,
    soft_minimum=0,
    legend=WORST_FIRST,
)

IP_SLA_LOSS = Panel(
    "How much do the operations lose?",
    "Share of packets lost in either direction, highest of each interval. Above 1% "
    "calls become poor.",
    (
        PanelQuery(
            select("ip_sla", ("loss_ratio", "max"), by=("device", "operation")),
            "$tag_device $tag_operation",
            {"site": "site"},
        ),
    ),
    "percentunit",
    steps=PLAIN,
    soft_minimum=0,
    soft_maximum=0.02,
    legend=WORST_FIRST,
)
