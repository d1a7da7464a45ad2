"""VPN sessions that firewalls and gateways count, against what they may have."""

from alerts.rule_functions import VPN_FIGURES
from collectors.store.query import Where
from dashboards.grafana.board import (
    BUSY,
    PLAIN,
    Calculated,
    Panel,
    PanelQuery,
    TableColumn,
    busiest,
    column,
    link_to,
    select,
)
from dashboards.grafana.boards.call_panels import LINES

_COUNTED = (
    Where("class", ("count",)),
    Where("sensor", (), pattern=VPN_FIGURES),
)
SESSIONS = Panel(
    "How many VPN sessions are left?",
    "One row per figure that a firewall or VPN gateway counts itself, the one nearest "
    "to its limit first. The limit is the licence or the size of the device, if the "
    "device reports it. Most above 85% of it: order licences before people are turned "
    "away.",
    (
        PanelQuery(
            select(
                "sensor",
                ("value", "last"),
                ("value", "max"),
                ("high", "last"),
                by=("device", "site", "sensor"),
                where=_COUNTED,
            )
        ),
    ),
    "short",
    "table",
    width=24,
    height=8,
    calculated=(Calculated("used", "value_max", "/", "high_last"),),
    columns={
        "device": TableColumn(
            "Device",
            link=link_to(
                "towpath-switch", site=column("site"), device=column("device")
            ),
            link_title="Show this device",
            width=200,
        ),
        "sensor": TableColumn("Counted"),
        "value_last": TableColumn("Now", "short", decimals=0, width=100),
        "value_max": TableColumn("Most", "short", decimals=0, width=100),
        "high_last": TableColumn(
            "Limit", "short", decimals=0, width=130, absent="not reported"
        ),
        "used": TableColumn(
            "Most, of the limit",
            "percentunit",
            steps=BUSY,
            gauge=True,
            decimals=0,
            width=180,
        ),
        "site": TableColumn("Site", hidden=True),
    },
    sort=("used", True),
    no_value="No device reports VPN sessions",
)
SESSIONS_OVER_TIME = Panel(
    "When were the most sessions open?",
    f"The {LINES} figures with most sessions, each of the device that has most of "
    "them: two firewalls of a pair count the same ones. Flat at the top for hours: a "
    "limit was reached.",
    (
        PanelQuery(
            select("sensor", ("value", "max"), by=("sensor",), where=_COUNTED),
            "$tag_sensor",
            {"sensor": "most_sessions"},
        ),
    ),
    "short",
    width=24,
    steps=PLAIN,
    draw_thresholds=False,
    decimals=0,
    soft_minimum=0,
    soft_maximum=10,
)
MOST_SESSIONS = busiest(
    "most_sessions",
    "Most sessions",
    select("sensor", ("value", "max"), by=("sensor",), where=_COUNTED),
    LINES,
    {},
)
