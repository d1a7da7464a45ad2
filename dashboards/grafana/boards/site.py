"""One site: its lines against their contract, its devices, its calls, its alerts."""

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
    ask,
    limits_of,
)

_SITE = {"site": "site"}
_SWITCH = "/d/towpath-switch?var-device=${__value.text}&${__url_time_range}"

DEVICES_UP = Panel(
    "Devices answering",
    "Share of polls answered in the last minutes, each device counted alike.",
    (PanelQuery(ask("device", ("answered", "mean")), "answering", _SITE),),
    "percentunit",
    "stat",
    width=4,
    height=4,
    steps=((None, RED), (0.9, AMBER), (0.999, GREEN)),
    decimals=1,
    newest=True,
)
LINE_BUSIEST = Panel(
    "Busiest line, of its contract",
    "Highest use in the last minutes of any line of the site that is up, in either "
    "direction, of the contracted rate.",
    (
        PanelQuery(ask("line", ("down_use_ratio", "max")), "to the site", _SITE),
        PanelQuery(ask("line", ("up_use_ratio", "max")), "from the site", _SITE),
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
    "Estimated MOS (narrowband E-model), median of the laptops at the site: the lowest "
    "of the chosen sites lately. No figure: too few laptops.",
    (
        PanelQuery(
            ask(
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
    steps=limits_of("mos_estimated_p50"),
    decimals=1,
    newest=True,
)
POOR_NOW = Panel(
    "Poor calls",
    "Share of test calls that missed a media target, of the laptops at the site: the "
    "highest of the chosen sites lately.",
    (
        PanelQuery(
            ask(
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
    steps=limits_of("call_poor_ratio"),
    decimals=1,
    newest=True,
)
POLLS = Panel(
    "Poll time",
    "Mean time a poll of the site's devices takes: it rises before devices vanish.",
    (PanelQuery(ask("device", ("duration_ms", "mean")), "poll", _SITE),),
    "ms",
    "stat",
    width=4,
    height=4,
    steps=((None, GREEN), (1000, AMBER), (5000, RED)),
    decimals=0,
    newest=True,
)
LINES_DOWN = Panel(
    "To the site, of the contracted rate",
    "Each line's 95th percentile in the interval. Over 85% calls begin to suffer.",
    (
        PanelQuery(
            ask("line", ("down_use_ratio", "p95"), by=("line",)), "$tag_line", _SITE
        ),
    ),
    "percentunit",
    steps=BUSY,
    least=0,
    most=1,
)
LINES_UP = Panel(
    "From the site, of the contracted rate",
    "Each line's 95th percentile in the interval. Over 85% calls begin to suffer.",
    (
        PanelQuery(
            ask("line", ("up_use_ratio", "p95"), by=("line",)), "$tag_line", _SITE
        ),
    ),
    "percentunit",
    steps=BUSY,
    least=0,
    most=1,
)
LINES_RATE = Panel(
    "Lines: traffic",
    "Mean rate: above the axis to the site, below it from the site; a line that is "
    "down has none.",
    (
        PanelQuery(
            ask("line", ("down_bps", "mean"), by=("line",)), "$tag_line to site", _SITE
        ),
        PanelQuery(
            ask("line", ("up_bps", "mean"), by=("line",)),
            "$tag_line from site",
            _SITE,
            below=True,
        ),
    ),
    "bps",
    width=12,
)
LINES_STATE = Panel(
    "Lines: port up",
    "Red: the port that the line ends on was down, for at least one poll of the "
    "interval; a gap was not observed.",
    (PanelQuery(ask("line", ("up", "min"), by=("line",)), "$tag_line", _SITE),),
    "short",
    "state-timeline",
    width=6,
    words=UP,
)
BACKUP = Panel(
    "Backup lines",
    "A backup line that carries traffic means that the primary does not.",
    (
        PanelQuery(
            ask(
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
    words={1: ("Carrying traffic", AMBER), 0: ("Standing by", GREEN)},
)
DEVICES = Panel(
    "Devices",
    "Share of polls answered in the range shown; choose a device for its ports.",
    (
        PanelQuery(
            ask(
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
        "uptime_s_last": TableColumn("Running for", "s"),
        "outcome_last": TableColumn("Last outcome"),
    },
)
DEVICES_STATE = Panel(
    "Devices over time",
    "Green answered, red was asked and did not answer, a gap was not observed, as when "
    "Towpath itself is cut off (below), after the first round.",
    (
        PanelQuery(
            ask("device", ("answered", "min"), by=("device",)), "$tag_device", _SITE
        ),
    ),
    "short",
    "state-timeline",
    width=24,
    words=UP,
)
WATCHING = Panel(
    "Towpath itself over time",
    "Cut off: none of the devices a poller asks answers: its own network is lost. "
    "That time is not observed: reports leave all of it out, boards after the first "
    "round of polls.",
    (
        PanelQuery(
            ask("self_poll", ("cut_off", "max"), by=("process",)), "$tag_process"
        ),
    ),
    "short",
    "state-timeline",
    width=24,
    height=4,
    words={0: ("watching", GREEN), 1: ("cut off", AMBER)},
)
CALLS = Panel(
    "Calls: estimated MOS",
    "Median of the laptops at the site, and of all at home, for comparison.",
    (
        PanelQuery(
            ask(
                "experience",
                ("mos_estimated_p50", "mean"),
                by=("group",),
                where=(Where("by", ("site",)),),
            ),
            "$tag_group",
            {"group": "site"},
        ),
        PanelQuery(
            ask(
                "experience",
                ("mos_estimated_p50", "mean"),
                by=("group",),
                where=(Where("by", ("place",)), Where("group", ("home",))),
            ),
            "at home",
        ),
    ),
    "none",
    steps=limits_of("mos_estimated_p50"),
    decimals=1,
    least=1,
    most=4.5,
)
GATEWAYS = Panel(
    "VPN gateways: time to connect",
    "TCP and TLS to each gateway's door, from the council's side.",
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
)
ALERTS = Panel(
    "Alerts of the site",
    "What the rules said in the range shown, newest state of each.",
    (
        PanelQuery(
            ask(
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
        "subject": TableColumn("About"),
        "severity": TableColumn("Severity"),
        "state_last": TableColumn("State"),
        "suppressed_last": TableColumn(
            "Explained by another", words={0: ("no", "text"), 1: ("yes", "text")}
        ),
        "cause_last": TableColumn("Probable cause"),
    },
)

SITE = Board(
    "towpath-site",
    "Site",
    "One site: lines against contract, devices, VPN gateways, calls, alerts.",
    (
        BoardRow("Now", (DEVICES_UP, LINE_BUSIEST, CALLS_NOW, POOR_NOW, POLLS)),
        BoardRow("Lines", (LINES_DOWN, LINES_UP, LINES_RATE, LINES_STATE, BACKUP)),
        BoardRow("Devices", (DEVICES, DEVICES_STATE, WATCHING)),
        BoardRow("Calls and VPN", (CALLS, GATEWAYS)),
        BoardRow("Alerts", (ALERTS,)),
    ),
    (Variable("site", "Site", "device", "site"),),
)
