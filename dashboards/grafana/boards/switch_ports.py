"""Panels about all ports of one device: which are up, busy, or lose packets."""

from dashboards.grafana.board import (
    BLUE,
    BUSY,
    GREEN,
    NEUTRAL,
    RED,
    Calculated,
    Legend,
    Panel,
    PanelLink,
    PanelQuery,
    RowTest,
    Steps,
    TableColumn,
    Variable,
    busiest,
    choice,
    column,
    label,
    link_to,
    search_box,
    select,
    steps_of_rule,
)
from dashboards.grafana.boards.billed_percentiles import ESTIMATED, percentiles
from dashboards.grafana.boards.key_texts import EXPECTED_WHY
from dashboards.grafana.boards.rule_texts import what_to_do

PORT_STATES = {
    0: ("Down, should be up", RED),
    1: ("Down", NEUTRAL),
    2: ("Disabled", BLUE),
    3: ("Up", GREEN),
}
# Why a port should be up.
# Until something moves on a port, it is neither good nor bad.
PORT_USE: Steps = ((None, NEUTRAL), (0.001, GREEN), *BUSY[1:])
LOSSES: Steps = steps_of_rule("port_errors", field="in_errors_per_s")
# Of the mean rates of errors and discards: both directions, and all that is lost.
PACKETS_LOST = (
    Calculated("errors", "in_errors_per_s_mean", "+", "out_errors_per_s_mean"),
    Calculated("discards", "in_discards_per_s_mean", "+", "out_discards_per_s_mean"),
    Calculated("lost", "errors", "+", "discards"),
)
_LINES = 6
_RATES = ("in_bps", "out_bps", "in_use_ratio", "out_use_ratio")
_DEVICE = {"device": "device"}
_SEARCHES = {"port": "search", "description": "about"}
_BUSY_PORTS = {"device": "device", "port": "busiest"}
_FAULTY_PORTS = {"device": "device", "port": "most_lossy"}
_ONE_PORT = link_to(
    "towpath-port", ("site",), device=choice("device"), port=column("port")
)
_LINE_LINK = PanelLink(
    "Show this port",
    link_to("towpath-port", ("site",), device=choice("device"), port=label("port")),
)
_LEGEND = Legend("right", ("max", "lastNotNull"), "max", width=400)
SEARCH = search_box("search", "Port name has")
ABOUT = search_box("about", "Port description has")
BUSIEST = busiest(
    "busiest",
    "Busiest ports",
    select("interface", ("in_bps", "max"), ("out_bps", "max"), by=("port",)),
    _LINES,
    _DEVICE,
    _SEARCHES,
)
MOST_LOSSY = busiest(
    "most_lossy",
    "Ports that lose most packets",
    select(
        "interface",
        ("in_errors_per_s", "max"),
        ("out_errors_per_s", "max"),
        ("in_discards_per_s", "max"),
        ("out_discards_per_s", "max"),
        by=("port",),
    ),
    _LINES,
    _DEVICE,
    _SEARCHES,
)
PORT_VARIABLES: tuple[Variable, ...] = (SEARCH, ABOUT, BUSIEST, MOST_LOSSY)


def _p95(*fields: str, by: tuple[str, ...]) -> PanelQuery:
    query = percentiles("interface", *((field, "p95") for field in fields), by=by)
    return PanelQuery(query, variables=_DEVICE, searches=_SEARCHES, estimated=True)


UP_NOW = Panel(
    "Which ports are up?",
    "One tile per port, in the device's own order. Green: up. Grey: down, and nobody "
    "expects it up, such as an empty desk. Blue: disabled. Red: down although it "
    "should be up (a line, an uplink, a neighbour, or the estate's pattern). "
    f"{what_to_do('port_down')} Select a tile for the port's own board.",
    (
        PanelQuery(
            select("interface", ("state", "last"), ("if_index", "last"), by=("port",)),
            variables=_DEVICE,
            searches=_SEARCHES,
        ),
    ),
    "none",
    "stat",
    width=12,
    height=9,
    columns={
        "port": TableColumn("Port"),
        "state_last": TableColumn("State", value_texts=PORT_STATES, link=_ONE_PORT),
    },
    value_texts=PORT_STATES,
    tile="port",
    tiles=True,
    stat_text="name",
    sort=("if_index_last", False),
    newest=True,
    no_value="It reports no ports",
)
USE = Panel(
    "How busy did each port get?",
    "The share of a port's speed that it stayed below for 95 % of the time range, in "
    "its busier direction. Orange and red as for WAN lines: a port this full delays "
    f"and drops packets in bursts. Grey: nothing moves. {ESTIMATED}",
    (
        _p95("in_use_ratio", "out_use_ratio", by=("port",)),
        PanelQuery(
            select("interface", ("if_index", "last"), by=("port",)),
            variables=_DEVICE,
            searches=_SEARCHES,
        ),
    ),
    "percentunit",
    "stat",
    width=12,
    height=9,
    steps=PORT_USE,
    columns={
        "port": TableColumn("Port"),
        "use": TableColumn("Use", "percentunit", link=_ONE_PORT),
    },
    calculated=(Calculated("use", "in_use_ratio_p95", "max", "out_use_ratio_p95"),),
    tile="port",
    tiles=True,
    stat_text="name",
    decimals=0,
    sort=("if_index_last", False),
    no_value="No port has a speed and a rate",
)
PORTS_BY_USE = Panel(
    "Which ports are busiest?",
    "The busiest first, by the level that they stayed below for 95 % of the time "
    "range. A port that is full at its peak is too small, or something sends too "
    f"much. Select a port for its own board, which has exact figures. {ESTIMATED}",
    (
        # By more tags it takes InfluxDB longer. Rows are merged by port.
        _p95(*_RATES, by=("port",)),
        PanelQuery(
            select(
                "interface",
                ("state", "last"),
                ("speed_bps", "max"),
                by=("port", "description"),
            ),
            variables=_DEVICE,
            searches=_SEARCHES,
        ),
    ),
    "none",
    "table",
    width=14,
    height=11,
    columns={
        "port": TableColumn("Port", link=_ONE_PORT, width=175),
        "description": TableColumn("Description"),
        "state_last": TableColumn("State", value_texts=PORT_STATES, width=140),
        "speed_bps_max": TableColumn("Speed", "bps", width=90, decimals=0),
        "in_bps_p95": TableColumn("Received", "bps", width=95, decimals=1),
        "out_bps_p95": TableColumn("Sent", "bps", width=95, decimals=1),
        "use": TableColumn("Use", "percentunit", steps=BUSY, gauge=True, width=120),
        "in_use_ratio_p95": TableColumn("Received, use", "percentunit", hidden=True),
        "out_use_ratio_p95": TableColumn("Sent, use", "percentunit", hidden=True),
    },
    calculated=(Calculated("use", "in_use_ratio_p95", "max", "out_use_ratio_p95"),),
    sort=("use", True),
    no_value="It reports no ports",
)
PORTS_BY_LOSS = Panel(
    "Which ports lose packets?",
    "Packets per second, mean of the time range, the worst port first. Errors are "
    "damaged packets: a cable, an optic or a duplex mismatch. Discards are good "
    "packets that were dropped because a buffer was full. "
    f"{what_to_do('port_errors')} None listed: none were lost.",
    (
        PanelQuery(
            select(
                "interface",
                ("in_errors_per_s", "mean"),
                ("out_errors_per_s", "mean"),
                ("in_discards_per_s", "mean"),
                ("out_discards_per_s", "mean"),
                by=("port",),
            ),
            variables=_DEVICE,
            searches=_SEARCHES,
        ),
    ),
    "suffix:/s",
    "table",
    width=10,
    height=11,
    columns={
        "port": TableColumn("Port", link=_ONE_PORT),
        "in_errors_per_s_mean": TableColumn(
            "Errors in", "suffix:/s", steps=LOSSES, width=95, decimals=2
        ),
        "out_errors_per_s_mean": TableColumn(
            "Errors out", "suffix:/s", steps=LOSSES, width=95, decimals=2
        ),
        "in_discards_per_s_mean": TableColumn(
            "Discards in", "suffix:/s", width=100, decimals=2
        ),
        "out_discards_per_s_mean": TableColumn(
            "Discards out", "suffix:/s", width=105, decimals=2
        ),
        "errors": TableColumn("Errors", "suffix:/s", hidden=True),
        "discards": TableColumn("Discards", "suffix:/s", hidden=True),
        "lost": TableColumn("Lost", "suffix:/s", hidden=True),
    },
    calculated=PACKETS_LOST,
    rows_if=(RowTest("lost", "greater", 0),),
    sort=("lost", True),
    no_value="None",
)
TRAFFIC = Panel(
    "What do the busiest ports carry?",
    f"The {_LINES} busiest ports of the time range: received above the axis, sent "
    "below it. Use the boxes above to search for others by name or description.",
    (
        PanelQuery(
            select("interface", ("in_bps", "mean"), by=("port",)),
            "$tag_port in",
            _BUSY_PORTS,
        ),
        PanelQuery(
            select("interface", ("out_bps", "mean"), by=("port",)),
            "$tag_port out",
            _BUSY_PORTS,
            below=True,
        ),
    ),
    "bps",
    width=24,
    height=10,
    legend=_LEGEND,
    link=_LINE_LINK,
    no_value="It reports no traffic",
)
ERRORS = Panel(
    "When were packets damaged?",
    f"Errors per second of the {_LINES} ports that lose most: received above the "
    "axis, sent below it. Steady: a bad cable or optic. At busy times only: a duplex "
    "mismatch.",
    (
        PanelQuery(
            select("interface", ("in_errors_per_s", "max"), by=("port",)),
            "$tag_port in",
            _FAULTY_PORTS,
        ),
        PanelQuery(
            select("interface", ("out_errors_per_s", "max"), by=("port",)),
            "$tag_port out",
            _FAULTY_PORTS,
            below=True,
        ),
    ),
    "suffix:/s",
    soft_maximum=0.1,
    link=_LINE_LINK,
)
DISCARDS = Panel(
    "When were packets dropped?",
    f"Discards per second of the {_LINES} ports that lose most: received above the "
    "axis, sent below it. Together with high use: the port is too small for its "
    "bursts.",
    (
        PanelQuery(
            select("interface", ("in_discards_per_s", "max"), by=("port",)),
            "$tag_port in",
            _FAULTY_PORTS,
        ),
        PanelQuery(
            select("interface", ("out_discards_per_s", "max"), by=("port",)),
            "$tag_port out",
            _FAULTY_PORTS,
            below=True,
        ),
    ),
    "suffix:/s",
    soft_maximum=0.1,
    link=_LINE_LINK,
)
WENT_DOWN = Panel(
    "Which ports were down at some time?",
    "The worst state of each port in the time range. A port that is up now but red or "
    "grey here was down in between. " + what_to_do("port_down"),
    (
        PanelQuery(
            select(
                "interface",
                ("state", "min"),
                ("state", "last"),
                ("expected_why", "last"),
                by=("port", "description"),
            ),
            variables=_DEVICE,
            searches=_SEARCHES,
        ),
    ),
    "none",
    "table",
    width=24,
    height=9,
    columns={
        "port": TableColumn("Port", link=_ONE_PORT, width=170),
        "description": TableColumn("Description"),
        "state_min": TableColumn("Worst state", value_texts=PORT_STATES, width=180),
        "state_last": TableColumn("Last state", value_texts=PORT_STATES, width=180),
        "expected_why_last": TableColumn(
            "Should be up because it is",
            value_texts=EXPECTED_WHY,
            width=300,
        ),
    },
    rows_if=(RowTest("state_min", "lower", 2),),
    sort=("state_min", False),
    no_value="None",
)
