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
    select,
)
from dashboards.grafana.boards.device_panels import (
    CLIENTS,
    INVENTORY,
    LIGHT,
    MEMORY,
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
    "Share of polls that the device answered in the time range.",
    (PanelQuery(select("device", ("answered", "mean")), "answered", _DEVICE),),
    "percentunit",
    "stat",
    width=5,
    height=4,
    steps=((None, RED), (0.99, AMBER), (0.999, GREEN)),
    decimals=2,
)
UPTIME = Panel(
    "Running for",
    "Time since the device last started, as it reports.",
    (PanelQuery(select("device", ("uptime_s", "last")), "running", _DEVICE),),
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
    "Number of restarts in the time range.",
    (PanelQuery(select("device", ("restarted", "sum")), "restarts", _DEVICE),),
    "short",
    "stat",
    width=4,
    height=4,
    steps=((None, GREEN), (1, AMBER)),
    decimals=0,
)
PORTS_UP = Panel(
    "Ports up and down",
    "Ports that are up, and ports that are down but not disabled.",
    (
        PanelQuery(select("device", ("ports_up", "last")), "up", _DEVICE),
        PanelQuery(select("device", ("ports_down", "last")), "down", _DEVICE),
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
    "Highest use of any port, in either direction, in the last few minutes.",
    (
        PanelQuery(select("interface", ("in_use_ratio", "max")), "received", _DEVICE),
        PanelQuery(select("interface", ("out_use_ratio", "max")), "sent", _DEVICE),
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
    "State now; use, errors and discards over the time range. Select a port to see "
    "only that port.",
    (
        PanelQuery(
            select(
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
            value_texts={
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
        "expected_why_last": TableColumn("Expected up because"),
    },
)
TRAFFIC = Panel(
    "Traffic by port",
    "Mean rate: received by the port above the axis, sent below it.",
    (
        PanelQuery(
            select("interface", ("in_bps", "mean"), by=_PORTS),
            "$tag_device $tag_port in",
            _PORT,
        ),
        PanelQuery(
            select("interface", ("out_bps", "mean"), by=_PORTS),
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
    "Received, share of port speed",
    "95th percentile of each interval.",
    (
        PanelQuery(
            select("interface", ("in_use_ratio", "p95"), by=_PORTS),
            "$tag_device $tag_port",
            _PORT,
        ),
    ),
    "percentunit",
    steps=BUSY,
    minimum=0,
    maximum=1,
)
USE_OUT = Panel(
    "Sent, share of port speed",
    "95th percentile of each interval.",
    (
        PanelQuery(
            select("interface", ("out_use_ratio", "p95"), by=_PORTS),
            "$tag_device $tag_port",
            _PORT,
        ),
    ),
    "percentunit",
    steps=BUSY,
    minimum=0,
    maximum=1,
)
ERRORS = Panel(
    "Errors",
    "Damaged packets per second: a cable, an optic or a duplex mismatch. "
    "Received above the axis, sent below it.",
    (
        PanelQuery(
            select("interface", ("in_errors_per_s", "mean"), by=_PORTS),
            "$tag_device $tag_port in",
            _PORT,
        ),
        PanelQuery(
            select("interface", ("out_errors_per_s", "mean"), by=_PORTS),
            "$tag_device $tag_port out",
            _PORT,
            below=True,
        ),
    ),
    "cps",
)
DISCARDS = Panel(
    "Discards",
    "Good packets dropped per second, usually because a buffer is full: the port or "
    "the network behind it is overloaded. Received above the axis, sent below it.",
    (
        PanelQuery(
            select("interface", ("in_discards_per_s", "mean"), by=_PORTS),
            "$tag_device $tag_port in",
            _PORT,
        ),
        PanelQuery(
            select("interface", ("out_discards_per_s", "mean"), by=_PORTS),
            "$tag_device $tag_port out",
            _PORT,
            below=True,
        ),
    ),
    "cps",
)
PORT_STATE = Panel(
    "Port state",
    "Green: up. Red: down. A disabled port has no bar.",
    (
        PanelQuery(
            select("interface", ("up", "min"), by=_PORTS),
            "$tag_device $tag_port",
            _PORT,
        ),
    ),
    "short",
    "state-timeline",
    width=24,
    height=9,
    value_texts=UP,
)
DEVICE_STATE = Panel(
    "Device answering",
    "Green: answered. Red: polled without an answer. Gap: not observed.",
    (
        PanelQuery(
            select("device", ("answered", "min"), by=("device",)),
            "$tag_device",
            _DEVICE,
        ),
    ),
    "short",
    "state-timeline",
    value_texts=UP,
    height=6,
)
EVENTS = Panel(
    "Events",
    "Traps and informs in the time range: how often each arrived, and the latest.",
    (
        PanelQuery(
            select(
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
        "text_last": TableColumn("Message"),
        "severity_last": TableColumn("Severity"),
        "active_last": TableColumn(
            "Now", value_texts={1: ("active", AMBER), 0: ("ended", GREEN)}
        ),
        "count_sum": TableColumn("Times"),
    },
)
NEIGHBOURS = Panel(
    "Neighbours",
    "Switches, routers and access points seen in the time range by LLDP, CDP and "
    "similar protocols. `towpath topology` shows the whole network.",
    (
        PanelQuery(
            select(
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
        "heard": TableColumn("Neighbour"),
        "remote_name_last": TableColumn("Name"),
        "remote_port_last": TableColumn("Neighbour's port"),
        "remote_address_last": TableColumn("Management address"),
        "protocol_last": TableColumn("Protocol"),
    },
)
POLL_HEALTH = Panel(
    "Poll health",
    "How long a poll takes, and how late it starts.",
    (
        PanelQuery(
            select("device", ("duration_ms", "mean"), by=("device",)),
            "$tag_device duration",
            _DEVICE,
        ),
        PanelQuery(
            select("device", ("late_ms", "max"), by=("device",)),
            "$tag_device delay",
            _DEVICE,
        ),
    ),
    "ms",
    height=6,
)

SWITCH = Board(
    "towpath-switch",
    "Switch",
    "One device: its ports with traffic and faults, its hardware, its polling.",
    (
        BoardRow("Now", (ANSWERED, UPTIME, RESTARTS, PORTS_UP, BUSIEST, INVENTORY)),
        BoardRow("Ports", (PORT_TABLE, NEIGHBOURS)),
        BoardRow("Traffic", (TRAFFIC, USE_IN, USE_OUT)),
        BoardRow("Faults", (ERRORS, DISCARDS, PORT_STATE)),
        BoardRow("Events", (EVENTS,)),
        BoardRow("Health", (SENSOR_TABLE, TEMPERATURES, POWER, PROCESSORS, MEMORY)),
        BoardRow("Optics and radios", (LIGHT, CLIENTS)),
        BoardRow("Polling", (DEVICE_STATE, POLL_HEALTH)),
    ),
    (
        Variable("site", "Site", "device", "site"),
        Variable(
            "device", "Device", "device", "device", {"site": "site"}, multiple=False
        ),
        Variable("port", "Port", "interface", "port", {"device": "device"}),
    ),
    since="now-6h",
)
