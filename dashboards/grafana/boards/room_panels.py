"""Panels about the port of a room, its switch, and the links of its site."""

import dataclasses

from dashboards.grafana.board import (
    BUSY,
    Calculated,
    Panel,
    PanelLink,
    PanelQuery,
    RowTest,
    TableColumn,
    busiest,
    column,
    link_to,
    select,
)
from dashboards.grafana.boards.device_panels import ANSWERS, ROUND_TRIP
from dashboards.grafana.boards.key_texts import EXPECTED_WHY
from dashboards.grafana.boards.port_board import (
    ABOUT,
    DAMAGED,
    IS_UP,
    LOST,
    STATE,
    TRAFFIC,
)
from dashboards.grafana.boards.rule_texts import what_to_do
from dashboards.grafana.boards.switch_ports import (
    LOSSES,
    PACKETS_LOST,
    PORT_STATES,
)

_SITE = {"site": "site"}
_TO_PORT = link_to("towpath-port", ("site", "device", "port"))
_PORT_COLUMNS = {
    "device": TableColumn(
        "Device",
        link=link_to("towpath-switch", ("site",), device=column("device")),
        link_title="Show this device",
        width=115,
    ),
    "port": TableColumn(
        "Port",
        link=link_to(
            "towpath-port", ("site",), device=column("device"), port=column("port")
        ),
        link_title="Show this port",
        width=175,
    ),
}

FIND_PORT = Panel(
    "Which ports of the site have such a description?",
    "Ports of the site whose description has the text in the box “Port description "
    "has”, such as “chamber”. Select a port to see it on this board; save that address "
    "as a bookmark. No description: write one on the switch (ifAlias) and it is here "
    "after the next poll.",
    (
        PanelQuery(
            select(
                "interface",
                ("state", "last"),
                ("speed_bps", "last"),
                by=("device", "port", "description"),
            ),
            variables=_SITE,
            searches={"description": "about"},
        ),
    ),
    "none",
    "table",
    width=24,
    height=9,
    columns={
        "description": TableColumn("Description", absent="-"),
        "device": TableColumn("Device", width=220),
        "port": TableColumn(
            "Port",
            link=link_to(
                "towpath-event",
                ("site",),
                device=column("device"),
                port=column("port"),
            ),
            link_title="Show this port on this board",
            width=200,
        ),
        "state_last": TableColumn("State", value_texts=PORT_STATES, width=170),
        "speed_bps_last": TableColumn("Speed", "bps", decimals=0, width=110),
    },
    sort=("description", True),
    rows_at_most=200,
    newest=True,
    no_value="No port of this site has such a description",
)
ROOM_IS_UP = dataclasses.replace(
    IS_UP,
    title="Is the room's port up?",
    description="State at the last poll. Grey “Down” is bad here: nothing is connected "
    "or switched on in the room. Check the cable and the encoder. "
    f"{what_to_do('port_down')}",
    links=(PanelLink("Show this port", _TO_PORT),),
)
ROOM_DAMAGED = dataclasses.replace(
    DAMAGED,
    title="Does it damage packets?",
)
ROOM = dataclasses.replace(
    ABOUT,
    title="Is it the right port?",
    width=15,
    height=4,
)
ROOM_TRAFFIC = dataclasses.replace(
    TRAFFIC,
    title="What does the room send and receive?",
    description="Mean rate of each interval: received by the switch from the room "
    "above the axis, sent to it below. A stream is a steady band above the axis; if it "
    "falls to nothing, the encoder has stopped.",
    width=14,
    height=9,
)
ROOM_LOST = dataclasses.replace(LOST, width=10, height=9)
ROOM_STATE = dataclasses.replace(STATE, title="When was the room's port down?")
SWITCH_ANSWERS = dataclasses.replace(ANSWERS, title="Does its switch answer?", height=7)
SWITCH_ROUND_TRIP = dataclasses.replace(
    ROUND_TRIP, title="How fast does it answer?", height=7
)
# A regular expression of more names would be too long for a query.
_MOST_LINKS = 200
LINK_PORTS = busiest(
    "link_ports",
    "Ports of links",
    select("interface", ("expected_up", "max"), by=("port",)),
    _MOST_LINKS,
    _SITE,
    above_zero=True,
)
UP_LINKS = Panel(
    "Do the links of the site lose packets?",
    "Every port of the site that leads to another switch, to an access point or to a "
    "line, those that lose most first: the room's packets pass some of them. Up, no "
    "error and no discard is good. Use: the busiest minute of the range. "
    f"{what_to_do('port_errors')}",
    (
        PanelQuery(
            select(
                "interface",
                ("state", "last"),
                ("expected_why", "last"),
                ("in_use_ratio", "max"),
                ("out_use_ratio", "max"),
                ("in_errors_per_s", "mean"),
                ("out_errors_per_s", "mean"),
                ("in_discards_per_s", "mean"),
                ("out_discards_per_s", "mean"),
                by=("device", "port", "description"),
            ),
            # Other devices may have an ordinary port of the same name.
            variables={**_SITE, "port": LINK_PORTS.name},
        ),
    ),
    "suffix:/s",
    "table",
    width=16,
    height=7,
    calculated=(
        Calculated("use", "in_use_ratio_max", "max", "out_use_ratio_max"),
        *PACKETS_LOST,
    ),
    rows_if=tuple(
        RowTest("expected_why_last", "equal", why)
        for why in EXPECTED_WHY
        if why != "pattern"
    ),
    rows_match="any",
    columns={
        **_PORT_COLUMNS,
        "description": TableColumn("Description", absent="-"),
        "state_last": TableColumn("State", value_texts=PORT_STATES, width=140),
        "expected_why_last": TableColumn("It is", value_texts=EXPECTED_WHY, width=200),
        "use": TableColumn("Use", "percentunit", steps=BUSY, decimals=0, width=70),
        "errors": TableColumn(
            "Errors", "suffix:/s", steps=LOSSES, decimals=2, width=90
        ),
        "discards": TableColumn("Discards", "suffix:/s", decimals=2, width=90),
        "lost": TableColumn("Lost", "suffix:/s", hidden=True),
        "in_use_ratio_max": TableColumn("Received, use", "percentunit", hidden=True),
        "out_use_ratio_max": TableColumn("Sent, use", "percentunit", hidden=True),
        **{
            f"{name}_per_s_mean": TableColumn(title, "suffix:/s", hidden=True)
            for name, title in (
                ("in_errors", "Errors in"),
                ("out_errors", "Errors out"),
                ("in_discards", "Discards in"),
                ("out_discards", "Discards out"),
            )
        },
    },
    sort=("lost", True),
    no_value="No link of this site is known",
)
