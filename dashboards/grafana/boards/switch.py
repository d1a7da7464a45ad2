"""One device and its ports, for engineers."""

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
)
from dashboards.grafana.boards.device_panels import (
    CLIENTS,
    IS,
    LIGHT,
    POOLS,
    POWER,
    PROCESSORS,
    SENSOR_TABLE,
    TEMPERATURES,
)

_DEVICE = {"device": "device"}
_PORT = {"device": "device", "port": "port"}
_ONE_PORT = (
    "/d/towpath-switch?var-device=${device}&var-port=${__value.text}"
    "&${__url_time_range}"
)
_PORTS = ("device", "port")

ANSWERED = Panel(
    "Answered",
    "Share of polls the device answered in the range shown.",
    (PanelQuery(ask("device", ("answered", "mean")), "answered", _DEVICE),),
    "percentunit",
    "stat",
    width=5,
    height=4,
    steps=((None, RED), (0.99, AMBER), (0.999, GREEN)),
    decimals=2,
)
RUNNING = Panel(
    "Running for",
    "Since the device last started, as it says itself.",
    (PanelQuery(ask("device", ("uptime_s", "last")), "running", _DEVICE),),
    "s",
    "stat",
    width=5,
    height=4,
    steps=((None, AMBER), (86_400, GREEN)),
    decimals=0,
    newest=True,
)
RESTARTS = Panel(
    "Restarts",
    "How often the device restarted in the range shown.",
    (PanelQuery(ask("device", ("restarted", "sum")), "restarts", _DEVICE),),
    "short",
    "stat",
    width=4,
    height=4,
    steps=((None, GREEN), (1, AMBER)),
    decimals=0,
)
PORTS_UP = Panel(
    "Ports up and down",
    "Ports that are up, and down though not switched off.",
    (
        PanelQuery(ask("device", ("ports_up", "last")), "up", _DEVICE),
        PanelQuery(ask("device", ("ports_down", "last")), "down", _DEVICE),
    ),
    "short",
    "stat",
    width=5,
    height=4,
    decimals=0,
    newest=True,
)
BUSIEST = Panel(
    "Busiest port",
    "Highest use of any port in either direction in the last minutes.",
    (
        PanelQuery(ask("interface", ("in_use_ratio", "max")), "received", _DEVICE),
        PanelQuery(ask("interface", ("out_use_ratio", "max")), "sent", _DEVICE),
    ),
    "percentunit",
    "stat",
    width=5,
    height=4,
    steps=BUSY,
    decimals=0,
    newest=True,
)
PORT_TABLE = Panel(
    "Ports",
    "State now; use, errors and discards over the range shown. Choose a port to see "
    "it alone.",
    (
        PanelQuery(
            ask(
                "interface",
                ("oper", "last"),
                ("speed_bps", "last"),
                ("in_bps", "p95"),
                ("out_bps", "p95"),
                ("in_use_ratio", "p95"),
                ("out_use_ratio", "p95"),
                ("in_errors_per_s", "mean"),
                ("out_errors_per_s", "mean"),
                ("in_discards_per_s", "mean"),
                ("out_discards_per_s", "mean"),
                ("expected_why", "last"),
                by=_PORTS,
            ),
            variables=_PORT,
        ),
    ),
    "short",
    "table",
    width=24,
    height=12,
    columns={
        "device": TableColumn("Device"),
        "port": TableColumn("Port", link=_ONE_PORT),
        "oper_last": TableColumn(
            "State",
            words={
                1: ("up", GREEN),
                2: ("down", RED),
                3: ("testing", AMBER),
                4: ("unknown", AMBER),
                5: ("dormant", AMBER),
                6: ("not present", "text"),
                7: ("lower layer down", RED),
            },
        ),
        "speed_bps_last": TableColumn("Speed", "bps"),
        "in_bps_p95": TableColumn("Received, p95", "bps"),
        "out_bps_p95": TableColumn("Sent, p95", "bps"),
        "in_use_ratio_p95": TableColumn(
            "Received, use", "percentunit", steps=BUSY, gauge=True
        ),
        "out_use_ratio_p95": TableColumn(
            "Sent, use", "percentunit", steps=BUSY, gauge=True
        ),
        "in_errors_per_s_mean": TableColumn("Errors in", "cps"),
        "out_errors_per_s_mean": TableColumn("Errors out", "cps"),
        "in_discards_per_s_mean": TableColumn("Discards in", "cps"),
        "out_discards_per_s_mean": TableColumn("Discards out", "cps"),
        "expected_why_last": TableColumn("Should be up because of"),
    },
)
TRAFFIC = Panel(
    "Traffic by port",
    "Mean rate: above the axis received by the port, below it sent.",
    (
        PanelQuery(
            ask("interface", ("in_bps", "mean"), by=_PORTS),
            "$tag_device $tag_port in",
            _PORT,
        ),
        PanelQuery(
            ask("interface", ("out_bps", "mean"), by=_PORTS),
            "$tag_device $tag_port out",
            _PORT,
            below=True,
        ),
    ),
    "bps",
    width=24,
    height=10,
)
USE_IN = Panel(
    "Received, of the port's speed",
    "95th percentile in the interval.",
    (
        PanelQuery(
            ask("interface", ("in_use_ratio", "p95"), by=_PORTS),
            "$tag_device $tag_port",
            _PORT,
        ),
    ),
    "percentunit",
    steps=BUSY,
    least=0,
    most=1,
)
USE_OUT = Panel(
    "Sent, of the port's speed",
    "95th percentile in the interval.",
    (
        PanelQuery(
            ask("interface", ("out_use_ratio", "p95"), by=_PORTS),
            "$tag_device $tag_port",
            _PORT,
        ),
    ),
    "percentunit",
    steps=BUSY,
    least=0,
    most=1,
)
ERRORS = Panel(
    "Errors",
    "Damaged packets a second: a cable, an optic or a duplex mismatch. "
    "Above the axis received, below it sent.",
    (
        PanelQuery(
            ask("interface", ("in_errors_per_s", "mean"), by=_PORTS),
            "$tag_device $tag_port in",
            _PORT,
        ),
        PanelQuery(
            ask("interface", ("out_errors_per_s", "mean"), by=_PORTS),
            "$tag_device $tag_port out",
            _PORT,
            below=True,
        ),
    ),
    "cps",
)
DISCARDS = Panel(
    "Discards",
    "Good packets dropped a second, as a rule for want of room: the port or what is "
    "behind it is full. Above the axis received, below it sent.",
    (
        PanelQuery(
            ask("interface", ("in_discards_per_s", "mean"), by=_PORTS),
            "$tag_device $tag_port in",
            _PORT,
        ),
        PanelQuery(
            ask("interface", ("out_discards_per_s", "mean"), by=_PORTS),
            "$tag_device $tag_port out",
            _PORT,
            below=True,
        ),
    ),
    "cps",
)
PORT_STATE = Panel(
    "Port state",
    "Green up, red down; a port that is switched off has no bar.",
    (
        PanelQuery(
            ask("interface", ("up", "min"), by=_PORTS), "$tag_device $tag_port", _PORT
        ),
    ),
    "short",
    "state-timeline",
    width=24,
    height=9,
    words=UP,
)
DEVICE_STATE = Panel(
    "Device answering",
    "Green answered, red was asked and did not answer, a gap was not observed.",
    (
        PanelQuery(
            ask("device", ("answered", "min"), by=("device",)), "$tag_device", _DEVICE
        ),
    ),
    "short",
    "state-timeline",
    words=UP,
    height=6,
)
TOLD = Panel(
    "What it told",
    "Traps and informs over the range shown: how often each came, and the last of it.",
    (
        PanelQuery(
            ask(
                "event",
                ("text", "last"),
                ("severity", "last"),
                ("active", "last"),
                ("count", "sum"),
                by=("device", "event", "port", "about"),
            ),
            variables=_DEVICE,
        ),
    ),
    "short",
    "table",
    width=24,
    columns={
        "device": TableColumn("Device"),
        "event": TableColumn("Event"),
        "port": TableColumn("Port"),
        "about": TableColumn("About"),
        "text_last": TableColumn("It says"),
        "severity_last": TableColumn("Severity"),
        "active_last": TableColumn(
            "Now", words={1: ("lasts", AMBER), 0: ("is over", GREEN)}
        ),
        "count_sum": TableColumn("Times"),
    },
)
NEIGHBOURS = Panel(
    "Neighbours",
    "Switches, routers and access points heard over the range shown (LLDP, CDP and "
    "their like); `towpath topology` has the whole.",
    (
        PanelQuery(
            ask(
                "neighbour",
                ("remote_name", "last"),
                ("remote_port", "last"),
                ("remote_address", "last"),
                ("protocol", "last"),
                by=("device", "port", "heard"),
            ),
            variables=_DEVICE,
        ),
    ),
    "short",
    "table",
    width=24,
    columns={
        "device": TableColumn("Device"),
        "port": TableColumn("Port"),
        "heard": TableColumn("Hears"),
        "remote_name_last": TableColumn("It is"),
        "remote_port_last": TableColumn("Its port"),
        "remote_address_last": TableColumn("Managed at"),
        "protocol_last": TableColumn("By"),
    },
)
POLL_HEALTH = Panel(
    "Poll health",
    "Time a poll takes and how late it begins.",
    (
        PanelQuery(
            ask("device", ("duration_ms", "mean"), by=("device",)),
            "$tag_device takes",
            _DEVICE,
        ),
        PanelQuery(
            ask("device", ("late_ms", "max"), by=("device",)),
            "$tag_device late",
            _DEVICE,
        ),
    ),
    "ms",
    height=6,
)

SWITCH = Board(
    "towpath-switch",
    "Switch",
    "One device: its ports, their traffic and faults, its health, its polling.",
    (
        BoardRow("Now", (ANSWERED, RUNNING, RESTARTS, PORTS_UP, BUSIEST, IS)),
        BoardRow("Ports", (PORT_TABLE, NEIGHBOURS)),
        BoardRow("Traffic", (TRAFFIC, USE_IN, USE_OUT)),
        BoardRow("Faults", (ERRORS, DISCARDS, PORT_STATE)),
        BoardRow("Events", (TOLD,)),
        BoardRow("Health", (SENSOR_TABLE, TEMPERATURES, POWER, PROCESSORS, POOLS)),
        BoardRow("Optics and radios", (LIGHT, CLIENTS)),
        BoardRow("Polling", (DEVICE_STATE, POLL_HEALTH)),
    ),
    (
        Variable("site", "Site", "device", "site"),
        Variable(
            "device", "Device", "device", "device", {"site": "site"}, several=False
        ),
        Variable("port", "Port", "interface", "port", {"device": "device"}),
    ),
    since="now-6h",
)
