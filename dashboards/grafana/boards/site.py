"""One site: lines compared with their contract, devices, calls and alerts."""

from collectors.store.query import Where
from dashboards.grafana.board import (
    AMBER,
    BUSY,
    GREEN,
    RED,
    UP,
    Board,
    BoardRow,
    Panel,
    PanelQuery,
    TableColumn,
    Variable,
    select,
    verdict_steps,
)

_SITE = {"site": "site"}
_SWITCH = "/d/towpath-switch?var-device=${__value.text}&${__url_time_range}"

DEVICES_UP = Panel(
    "Devices answering",
    "Share of polls answered in the last few minutes, all devices weighted equally.",
    (PanelQuery(select("device", ("answered", "mean")), "answering", _SITE),),
    "percentunit",
    "stat",
    width=4,
    height=4,
    steps=((None, RED), (0.9, AMBER), (0.999, GREEN)),
    decimals=1,
    newest=True,
)
LINE_BUSIEST = Panel(
    "Busiest line",
    "Highest use of any line that is up, in either direction, in the last few "
    "minutes, as a share of the contracted speed.",
    (
        PanelQuery(select("line", ("down_use_ratio", "max")), "to the site", _SITE),
        PanelQuery(select("line", ("up_use_ratio", "max")), "from the site", _SITE),
    ),
    "percentunit",
    "stat",
    width=6,
    height=4,
    steps=BUSY,
    decimals=0,
    newest=True,
)
CALLS_NOW = Panel(
    "Calls from the site",
    "Estimated MOS (narrowband E-model), median of the laptops at the site; the lowest "
    "of the selected sites. No figure: too few laptops.",
    (
        PanelQuery(
            select(
                "experience",
                ("mos_estimated_p50", "min"),
                where=(Where("by", ("site",)),),
            ),
            "estimated MOS",
            {"group": "site"},
        ),
    ),
    "none",
    "stat",
    width=5,
    height=4,
    steps=verdict_steps("mos_estimated_p50"),
    decimals=1,
    newest=True,
)
POOR_NOW = Panel(
    "Poor calls",
    "Share of test calls by laptops at the site that missed a media target; the "
    "highest of the selected sites.",
    (
        PanelQuery(
            select(
                "experience",
                ("call_poor_ratio", "max"),
                where=(Where("by", ("site",)),),
            ),
            "poor calls",
            {"group": "site"},
        ),
    ),
    "percentunit",
    "stat",
    width=5,
    height=4,
    steps=verdict_steps("call_poor_ratio"),
    decimals=1,
    newest=True,
)
POLLS = Panel(
    "Poll time",
    "Mean duration of a poll of the site's devices. It rises before devices stop "
    "answering.",
    (PanelQuery(select("device", ("duration_ms", "mean")), "poll", _SITE),),
    "ms",
    "stat",
    width=4,
    height=4,
    steps=((None, GREEN), (1000, AMBER), (5000, RED)),
    decimals=0,
    newest=True,
)
LINES_DOWN = Panel(
    "To the site, share of contracted speed",
    "95th percentile of each line in each interval. Above 85% calls start to suffer.",
    (
        PanelQuery(
            select("line", ("down_use_ratio", "p95"), by=("line",)), "$tag_line", _SITE
        ),
    ),
    "percentunit",
    steps=BUSY,
    minimum=0,
    maximum=1,
)
LINES_UP = Panel(
    "From the site, share of contracted speed",
    "95th percentile of each line in each interval. Above 85% calls start to suffer.",
    (
        PanelQuery(
            select("line", ("up_use_ratio", "p95"), by=("line",)), "$tag_line", _SITE
        ),
    ),
    "percentunit",
    steps=BUSY,
    minimum=0,
    maximum=1,
)
LINES_RATE = Panel(
    "Lines: traffic",
    "Mean rate: to the site above the axis, from the site below it. A line that is "
    "down has none.",
    (
        PanelQuery(
            select("line", ("down_bps", "mean"), by=("line",)),
            "$tag_line to site",
            _SITE,
        ),
        PanelQuery(
            select("line", ("up_bps", "mean"), by=("line",)),
            "$tag_line from site",
            _SITE,
            below=True,
        ),
    ),
    "bps",
    width=12,
)
LINES_STATE = Panel(
    "Lines: state",
    "Red: the port at the end of the line was down for at least one poll of the "
    "interval. Gap: not observed.",
    (PanelQuery(select("line", ("up", "min"), by=("line",)), "$tag_line", _SITE),),
    "short",
    "state-timeline",
    width=6,
    value_texts=UP,
)
BACKUP = Panel(
    "Backup lines",
    "If a backup line carries traffic, the primary line does not.",
    (
        PanelQuery(
            select(
                "line",
                ("carrying", "max"),
                by=("line",),
                where=(Where("role", ("backup",)),),
            ),
            "$tag_line",
            _SITE,
        ),
    ),
    "short",
    "state-timeline",
    width=6,
    value_texts={1: ("Carrying traffic", AMBER), 0: ("Standby", GREEN)},
)
DEVICES = Panel(
    "Devices",
    "Share of polls answered in the time range. Select a device to see its ports.",
    (
        PanelQuery(
            select(
                "device",
                ("answered", "mean"),
                ("duration_ms", "mean"),
                ("retries", "sum"),
                ("ports_up", "last"),
                ("ports_down", "last"),
                ("uptime_s", "last"),
                ("outcome", "last"),
                by=("device", "role"),
            ),
            variables=_SITE,
        ),
    ),
    "short",
    "table",
    width=24,
    columns={
        "device": TableColumn("Device", link=_SWITCH),
        "role": TableColumn("Role"),
        "answered_mean": TableColumn(
            "Answered",
            "percentunit",
            steps=((None, RED), (0.99, AMBER), (0.999, GREEN)),
            gauge=True,
        ),
        "duration_ms_mean": TableColumn("Poll time", "ms"),
        "retries_sum": TableColumn("Retries", "short"),
        "ports_up_last": TableColumn("Ports up", "short"),
        "ports_down_last": TableColumn("Ports down", "short"),
        "uptime_s_last": TableColumn("Uptime", "s"),
        "outcome_last": TableColumn("Last outcome"),
    },
)
DEVICES_STATE = Panel(
    "Devices over time",
    "Green: answered. Red: polled without an answer. Gap: not observed, such as while "
    "Towpath itself is cut off (below), from the second poll on.",
    (
        PanelQuery(
            select("device", ("answered", "min"), by=("device",)), "$tag_device", _SITE
        ),
    ),
    "short",
    "state-timeline",
    width=24,
    value_texts=UP,
)
CUT_OFF_TIMES = Panel(
    "Towpath itself over time",
    "Cut off: none of a poller's devices answers, so Towpath itself has lost its "
    "network. That time is not observed: reports leave it out entirely, boards from "
    "the second poll on.",
    (
        PanelQuery(
            select("self_poll", ("cut_off", "max"), by=("process",)), "$tag_process"
        ),
    ),
    "short",
    "state-timeline",
    width=24,
    height=4,
    value_texts={0: ("connected", GREEN), 1: ("cut off", AMBER)},
)
CALLS = Panel(
    "Calls: estimated MOS",
    "Median of the laptops at the site and, for comparison, of all laptops at home.",
    (
        PanelQuery(
            select(
                "experience",
                ("mos_estimated_p50", "mean"),
                by=("group",),
                where=(Where("by", ("site",)),),
            ),
            "$tag_group",
            {"group": "site"},
        ),
        PanelQuery(
            select(
                "experience",
                ("mos_estimated_p50", "mean"),
                by=("group",),
                where=(Where("by", ("place",)), Where("group", ("home",))),
            ),
            "at home",
        ),
    ),
    "none",
    steps=verdict_steps("mos_estimated_p50"),
    decimals=1,
    minimum=1,
    maximum=4.5,
)
GATEWAYS = Panel(
    "VPN gateways: time to connect",
    "TCP and TLS connection to each gateway, from the council's network.",
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
)
ALERTS = Panel(
    "Alerts of the site",
    "The latest state of each alert in the time range.",
    (
        PanelQuery(
            select(
                "alert",
                ("state", "last"),
                ("suppressed", "last"),
                ("cause", "last"),
                by=("rule", "subject", "severity"),
            ),
            variables=_SITE,
        ),
    ),
    "short",
    "table",
    width=24,
    height=6,
    columns={
        "rule": TableColumn("Rule"),
        "subject": TableColumn("Subject"),
        "severity": TableColumn("Severity"),
        "state_last": TableColumn("State"),
        "suppressed_last": TableColumn(
            "Suppressed by another", value_texts={0: ("no", "text"), 1: ("yes", "text")}
        ),
        "cause_last": TableColumn("Probable cause"),
    },
)

SITE = Board(
    "towpath-site",
    "Site",
    "One site: lines and their contract, devices, VPN gateways, calls, alerts.",
    (
        BoardRow("Now", (DEVICES_UP, LINE_BUSIEST, CALLS_NOW, POOR_NOW, POLLS)),
        BoardRow("Lines", (LINES_DOWN, LINES_UP, LINES_RATE, LINES_STATE, BACKUP)),
        BoardRow("Devices", (DEVICES, DEVICES_STATE, CUT_OFF_TIMES)),
        BoardRow("Calls and VPN", (CALLS, GATEWAYS)),
        BoardRow("Alerts", (ALERTS,)),
    ),
    (Variable("site", "Site", "device", "site"),),
)
