"""One port: what it carries, what it loses, what is connected to it."""

from collectors.store.query import Aggregate, Query
from dashboards.grafana.board import (
    BUSY,
    GREEN,
    PLAIN,
    Board,
    BoardRow,
    Panel,
    PanelLink,
    PanelQuery,
    TableColumn,
    Variable,
    cell,
    choice,
    link_to,
    select,
    sites,
    steps_of_rule,
)
from dashboards.grafana.boards.billed_percentiles import percentiles
from dashboards.grafana.boards.device_panels import PORT_EVENTS
from dashboards.grafana.boards.key_texts import EXPECTED_WHY
from dashboards.grafana.boards.neighbour_panels import NEIGHBOUR
from dashboards.grafana.boards.newest_rows import newest_rows
from dashboards.grafana.boards.rule_texts import what_to_do
from dashboards.grafana.boards.sensor_panels import READINGS, SEVERITY, of_class
from dashboards.grafana.boards.switch_ports import (
    LOSSES,
    PORT_STATES,
)

_PORT = {"device": "device", "port": "port"}
_TO_SWITCH = PanelLink(
    "All ports of this device",
    link_to("towpath-switch", ("site",), device=choice("device")),
)


def _of_port(*picks: tuple[str, Aggregate]) -> Query:
    return select("interface", *picks)


def _p95(field: str) -> Query:
    return percentiles("interface", (field, "p95"))


IS_UP = Panel(
    "Is it up?",
    "State at the last poll. Down is red only if the port should be up: a line, an "
    "uplink, a neighbour, or the estate's pattern. "
    f"{what_to_do('port_down')}",
    (PanelQuery(_of_port(("state", "last")), variables=_PORT),),
    "none",
    "stat",
    width=4,
    height=4,
    value_texts=PORT_STATES,
    newest=True,
    tiles=True,
    no_value="Not reported",
    links=(_TO_SWITCH,),
)
NOW = Panel(
    "What does it carry now?",
    "Mean rate of the last minutes, received and sent by the port.",
    (
        PanelQuery(_of_port(("in_bps", "mean")), "received", _PORT),
        PanelQuery(_of_port(("out_bps", "mean")), "sent", _PORT),
    ),
    "bps",
    "stat",
    width=5,
    height=4,
    steps=PLAIN,
    decimals=1,
    newest=True,
    no_value="No rate yet",
)
BILLED = Panel(
    "What would be billed?",
    "95th percentile of the five-minute means of the time range, as suppliers bill: "
    "the highest 5 % do not count.",
    (
        PanelQuery(_p95("in_bps"), "received", _PORT),
        PanelQuery(_p95("out_bps"), "sent", _PORT),
    ),
    "bps",
    "stat",
    width=5,
    height=4,
    steps=PLAIN,
    decimals=1,
    no_value="No rate yet",
)
PEAK = Panel(
    "How full does it get?",
    "Share of its speed that it stayed below for 95 % of the time range, in each "
    "direction. Colours as for WAN lines.",
    (
        PanelQuery(_p95("in_use_ratio"), "received", _PORT),
        PanelQuery(_p95("out_use_ratio"), "sent", _PORT),
    ),
    "percentunit",
    "stat",
    width=5,
    height=4,
    steps=BUSY,
    decimals=1,
    no_value="Speed not known",
)
DAMAGED = Panel(
    "How many packets are damaged?",
    "Errors per packet received, mean of the time range. "
    f"If it is not green: {what_to_do('port_errors')}",
    (PanelQuery(_of_port(("in_error_ratio", "mean")), variables=_PORT),),
    "percentunit",
    "stat",
    width=5,
    height=4,
    steps=steps_of_rule("port_errors", field="in_error_ratio"),
    decimals=3,
    no_value="Not counted",
)
ABOUT = Panel(
    "What is it for?",
    "Its description as the engineers wrote it on the device (ifAlias), its speed, and "
    "why it should be up.",
    newest_rows(
        "interface",
        "speed_bps",
        "expected_why",
        "if_index",
        by=("device", "port", "description"),
        variables=_PORT,
    ),
    "none",
    "table",
    width=24,
    height=3,
    columns={
        "device": TableColumn(
            "Device",
            link=link_to("towpath-switch", ("site",), device=cell()),
            width=175,
        ),
        "port": TableColumn("Port", width=145),
        "description": TableColumn("Description"),
        "speed_bps_last": TableColumn("Speed", "bps", width=110, decimals=0),
        "expected_why_last": TableColumn(
            "Should be up because it is",
            value_texts=EXPECTED_WHY,
            absent="nothing: it may be down",
            width=290,
        ),
        "if_index_last": TableColumn("ifIndex", "none", width=90),
    },
    newest=True,
)
TRAFFIC = Panel(
    "What did it carry?",
    "Mean rate of each interval: received above the axis, sent below it.",
    (
        PanelQuery(_of_port(("in_bps", "mean")), "in", _PORT, colour=GREEN),
        PanelQuery(
            _of_port(("out_bps", "mean")), "out", _PORT, below=True, colour="blue"
        ),
    ),
    "bps",
    width=24,
    height=10,
    fill=15,
    no_value="It reports no traffic",
)
USE = Panel(
    "How much of its speed is used?",
    "The busiest minute of each interval. Near the line, packets wait and are dropped "
    "in bursts.",
    (
        PanelQuery(_of_port(("in_use_ratio", "max")), "received", _PORT, colour=GREEN),
        PanelQuery(_of_port(("out_use_ratio", "max")), "sent", _PORT, colour="blue"),
    ),
    "percentunit",
    steps=BUSY,
    soft_minimum=0,
    soft_maximum=0.1,
    no_value="Speed not known",
)
LOST = Panel(
    "Which packets were lost?",
    "Packets per second. Errors in: a cable, an optic or a duplex mismatch. Errors "
    "out: the device itself. Discards out: the port is too small for its bursts. "
    "Discards in: a VLAN or a filter that drops on purpose, or the device cannot keep "
    f"up. {what_to_do('port_errors')}",
    (
        PanelQuery(_of_port(("in_errors_per_s", "max")), "errors in", _PORT),
        PanelQuery(_of_port(("out_errors_per_s", "max")), "errors out", _PORT),
        PanelQuery(_of_port(("in_discards_per_s", "max")), "discards in", _PORT),
        PanelQuery(_of_port(("out_discards_per_s", "max")), "discards out", _PORT),
    ),
    "suffix:/s",
    steps=LOSSES,
    soft_minimum=0,
    soft_maximum=0.1,
    no_value="It does not count lost packets",
)
STATE = Panel(
    "When was it down?",
    "Worst state of each interval. Green: up. Grey: down. Red: down although it should "
    "be up. Blue: disabled. Gap: not observed.",
    (
        PanelQuery(
            select("interface", ("state", "min"), by=("port",)), "$tag_port", _PORT
        ),
    ),
    "none",
    "state-timeline",
    width=24,
    height=4,
    value_texts=PORT_STATES,
    no_value="State not known",
)
SENSORS = Panel(
    "Are its optic and its PoE well?",
    "What the device measures of this port: light sent and received, the optic's "
    "temperature, voltage and current, PoE power. Values past a limit come first. "
    "Light that falls over weeks: a dirty connector, or an optic that ages.",
    (
        PanelQuery(
            select(
                "sensor",
                ("severity", "last"),
                ("value", "last"),
                ("value", "min"),
                ("value", "max"),
                ("low", "last"),
                ("high", "last"),
                by=("class", "sensor"),
                where=of_class("state", negate=True),
            ),
            variables=_PORT,
        ),
    ),
    "none",
    "table",
    width=24,
    columns={
        "sensor": TableColumn("Sensor"),
        "value_last": TableColumn("Now", "none", width=110, align="right"),
        "class": TableColumn("Unit", value_texts=READINGS, colour="none", width=190),
        "value_min": TableColumn("Lowest", "none", width=110),
        "value_max": TableColumn("Highest", "none", width=110),
        "low_last": TableColumn("Lower limit", "none", width=120),
        "high_last": TableColumn("Upper limit", "none", width=120),
        "severity_last": TableColumn(
            "Rating", value_texts=SEVERITY, width=170, absent="no limit"
        ),
    },
    sort=("severity_last", True),
)
LIGHT = Panel(
    "How much light does it send and receive?",
    "Optical power of this port. -40 dBm is dark: no cable, or the far end is off.",
    (
        PanelQuery(
            select("sensor", ("value", "mean"), by=("sensor",), where=of_class("dbm")),
            "$tag_sensor",
            _PORT,
        ),
    ),
    "dBm",
    width=24,
)
POE = Panel(
    "How much PoE power does it give?",
    "Power that the device on this port draws. 0 W with a telephone or an access point "
    "connected: it has no power.",
    (
        PanelQuery(
            select("sensor", ("value", "max"), by=("sensor",), where=of_class("power")),
            "$tag_sensor",
            _PORT,
        ),
    ),
    "watt",
    width=24,
    soft_minimum=0,
)

PORT = Board(
    "towpath-port",
    "Port",
    "One port of one device: its traffic, use, errors, state, neighbour and events.",
    (
        BoardRow("Now", (IS_UP, NOW, BILLED, PEAK, DAMAGED, ABOUT)),
        BoardRow("Traffic", (TRAFFIC, USE, LOST)),
        BoardRow("State", (STATE,)),
        BoardRow("Neighbour and events", (NEIGHBOUR, PORT_EVENTS), collapsed=True),
        BoardRow("Sensors of this port", (SENSORS,), collapsed=True),
        BoardRow("Optic", (LIGHT,), collapsed=True),
        BoardRow("Power over Ethernet", (POE,), collapsed=True),
    ),
    (
        sites(),
        Variable(
            "device", "Device", "interface", "device", {"site": "site"}, multiple=False
        ),
        Variable(
            "port", "Port", "interface", "port", {"device": "device"}, multiple=False
        ),
    ),
    since="now-24h",
    links=("towpath-switch", "towpath-site"),
)
