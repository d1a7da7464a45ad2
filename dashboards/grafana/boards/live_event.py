"""A live event, such as a committee that is streamed: the room's port, the way from it
to the line, the line, and calls from the site, in the order in which to look.

An event is a port and a time range (decision 084): the board has both as choices.
"""

import dataclasses

from collectors.store.query import Where
from dashboards.grafana.board import (
    BUSY,
    UP,
    Board,
    BoardRow,
    Calculated,
    Panel,
    PanelQuery,
    TableColumn,
    Variable,
    link_to,
    search_box,
    select,
    sites,
    verdict_steps,
)
from dashboards.grafana.boards.device_panels import EVENTS
from dashboards.grafana.boards.event_rooms import (
    ROOM_PORTS,
    ROOMS,
    ROOMS_OVER_TIME,
    STREAMS,
    STREAMS_OVER_TIME,
)
from dashboards.grafana.boards.firing_alerts import SILENCES, firing
from dashboards.grafana.boards.key_texts import LINE_ROLES
from dashboards.grafana.boards.radio_panels import BUSIEST_DEVICES
from dashboards.grafana.boards.room_panels import (
    FIND_PORT,
    LINK_PORTS,
    ROOM,
    ROOM_DAMAGED,
    ROOM_IS_UP,
    ROOM_LOST,
    ROOM_STATE,
    ROOM_TRAFFIC,
    SWITCH_ANSWERS,
    SWITCH_ROUND_TRIP,
    UP_LINKS,
)
from dashboards.grafana.boards.rule_texts import what_to_do
from dashboards.grafana.boards.site import CLIENTS, POWER
from dashboards.grafana.boards.site_line_panels import USE_DOWN, USE_UP
from dashboards.grafana.boards.switch_ports import LOSSES

_SITE = {"site": "site"}
_AT_SITE = (Where("by", ("site",)),)
_IN_OFFICES = (Where("by", ("place",)), Where("group", ("office",)))
WHAT_TO_LOOK_AT = Panel(
    "What do I look at, and in which order?",
    "The order of the rows below: the first of them that is not green is where to "
    "look.",
    kind="text",
    width=6,
    height=8,
    text="""An hour before it begins, and again 15 minutes before:

1. No **alert** is firing here, and no **maintenance** is planned.
2. The **room's port** is up, and no packet is damaged.
3. Its **switch** answers, and **up-links** lose nothing.
4. The **line** has twice the stream's rate free, from the site.
5. **Calls** from the site are good.

During the event, choose the range from its start until now.""",
)
ALERTS = dataclasses.replace(firing(_SITE, 8), width=18)
MAINTENANCE = dataclasses.replace(
    SILENCES,
    title="Is maintenance planned?",
    description="Maintenance windows and silences of all sites, since work on the core "
    "or at a data centre reaches the event, too. Good: none while it lasts. Move the "
    "work, or the event.",
    targets=tuple(
        dataclasses.replace(target, variables={}) for target in SILENCES.targets
    ),
    height=5,
    no_value="None",
)
LINES = Panel(
    "How much of the line is free for the stream?",
    "Each line of the site over the selected range, the one with the least room first. "
    "Free: the contracted speed less the busiest minute. A stream needs about 5 Mbit/s "
    "from the site, and as much again in reserve; before the event, choose the last 7 "
    f"days to see what is usual. {what_to_do('line_full_up')}",
    (
        PanelQuery(
            select(
                "line",
                ("up", "last"),
                ("up_use_ratio", "max"),
                ("down_use_ratio", "max"),
                ("up_bps", "max"),
                ("down_bps", "max"),
                ("contract_up_bps", "last"),
                ("contract_down_bps", "last"),
                ("out_discards_per_s", "mean"),
                ("in_errors_per_s", "mean"),
                by=("line", "role", "supplier"),
            ),
            variables=_SITE,
        ),
    ),
    "short",
    "table",
    width=24,
    height=5,
    calculated=(
        Calculated("up_free", "contract_up_bps_last", "-", "up_bps_max"),
        Calculated("down_free", "contract_down_bps_last", "-", "down_bps_max"),
    ),
    columns={
        "line": TableColumn("Line", width=200, link=link_to("towpath-wan", ("site",))),
        "role": TableColumn("Role", value_texts=LINE_ROLES, colour="none", width=80),
        "supplier": TableColumn("Supplier"),
        "up_last": TableColumn("State", value_texts=UP, width=80),
        "up_use_ratio_max": TableColumn(
            "From the site, use", "percentunit", steps=BUSY, decimals=0, width=140
        ),
        "up_free": TableColumn(
            "From the site, free", "bps", decimals=0, width=150, absent="not measured"
        ),
        "down_use_ratio_max": TableColumn(
            "To the site, use", "percentunit", steps=BUSY, decimals=0, width=130
        ),
        "down_free": TableColumn(
            "To the site, free", "bps", decimals=0, width=140, absent="not measured"
        ),
        "in_errors_per_s_mean": TableColumn(
            "Errors", "suffix:/s", steps=LOSSES, decimals=2, width=90
        ),
        "out_discards_per_s_mean": TableColumn(
            "Discards", "suffix:/s", decimals=2, width=90
        ),
        "up_bps_max": TableColumn("From the site", "bps", hidden=True),
        "down_bps_max": TableColumn("To the site", "bps", hidden=True),
        "contract_up_bps_last": TableColumn("Contract from", "bps", hidden=True),
        "contract_down_bps_last": TableColumn("Contract to", "bps", hidden=True),
    },
    sort=("up_free", False),
    no_value="The estate has no line of this site",
)
CALLS = Panel(
    "How good are calls from here, and where do they fail?",
    "Test calls of the laptops in the site's offices, over the last minutes. Green is "
    "good. Slow or lossy to the council's edge: the site's line or the core. Only the "
    "relay is slow: Microsoft, or the way to it. No row: too few laptops are there.",
    (
        PanelQuery(
            select(
                "experience",
                ("call_poor_ratio", "last"),
                ("mos_estimated_p50", "last"),
                ("rtt_p95_ms", "last"),
                ("loss_mean_ratio", "last"),
                ("jitter_p95_ms", "last"),
                ("edge_rtt_p95_ms", "last"),
                ("edge_loss_mean_ratio", "last"),
                ("relay_rtt_p95_ms", "last"),
                ("mostly", "last"),
                by=("group",),
                where=_AT_SITE,
            ),
            variables={"group": "site"},
        ),
    ),
    "short",
    "table",
    width=24,
    height=4,
    columns={
        "group": TableColumn("Site", width=140),
        **{
            f"{name}_last": TableColumn(
                title,
                unit,
                steps=verdict_steps(name),
                decimals=decimals,
                width=115,
                absent="too few",
            )
            for name, title, unit, decimals in (
                ("call_poor_ratio", "Poor calls", "percentunit", 1),
                ("mos_estimated_p50", "Estimated MOS", "none", 1),
                ("rtt_p95_ms", "Round trip, p95", "ms", 0),
                ("loss_mean_ratio", "Loss", "percentunit", 2),
                ("jitter_p95_ms", "Jitter, p95", "ms", 0),
            )
        },
        "edge_rtt_p95_ms_last": TableColumn(
            "To the edge, p95", "ms", decimals=0, width=130, absent="too few"
        ),
        "edge_loss_mean_ratio_last": TableColumn(
            "Loss to the edge", "percentunit", decimals=2, width=130, absent="too few"
        ),
        "relay_rtt_p95_ms_last": TableColumn(
            "To a Teams relay, p95", "ms", decimals=0, width=160, absent="too few"
        ),
        "mostly_last": TableColumn("Most fail at", absent="no poor calls"),
    },
    newest=True,
    no_value="Too few laptops at this site",
)


def _calls_over_time(title: str, text: str, name: str, unit: str) -> Panel:
    return Panel(
        title,
        f"{text} Here, and in all offices to compare: poor in both is not the site's "
        "own fault. No line: too few laptops.",
        (
            PanelQuery(
                select("experience", (name, "mean"), by=("group",), where=_AT_SITE),
                "$tag_group",
                {"group": "site"},
            ),
            PanelQuery(
                select("experience", (name, "mean"), where=_IN_OFFICES), "all offices"
            ),
        ),
        unit,
        steps=verdict_steps(name),
        soft_minimum=0,
        soft_maximum=0.1 if unit == "percentunit" else None,
    )


POOR_CALLS = _calls_over_time(
    "How many calls are poor, here and in all offices?",
    "Share of test calls that missed a media target.",
    "call_poor_ratio",
    "percentunit",
)
LOSS = _calls_over_time(
    "How many packets do calls lose, here and in all offices?",
    "Mean loss of test calls.",
    "loss_mean_ratio",
    "percentunit",
)
LIVE_EVENT = Board(
    "towpath-event",
    "Live event",
    "A committee that is streamed, or a meeting in a room: is all well, before and "
    "while it lasts? Choose the site and the room's port.",
    (
        BoardRow("Rooms with events", (ROOMS,)),
        BoardRow("Which port is the room's?", (FIND_PORT,), collapsed=True),
        BoardRow("1. Is all well at the site?", (WHAT_TO_LOOK_AT, ALERTS, MAINTENANCE)),
        BoardRow(
            "2. The room's port",
            (ROOM_IS_UP, ROOM_DAMAGED, ROOM, ROOM_STATE, ROOM_TRAFFIC, ROOM_LOST),
        ),
        BoardRow(
            "3. Its switch, and the links of the site",
            (SWITCH_ANSWERS, SWITCH_ROUND_TRIP, UP_LINKS),
        ),
        BoardRow("4. The line", (LINES, USE_UP, USE_DOWN)),
        BoardRow("5. Calls from the site", (CALLS, POOR_CALLS, LOSS)),
        BoardRow(
            "Live streams, and rooms over time",
            (STREAMS, STREAMS_OVER_TIME, ROOMS_OVER_TIME, ROOM_PORTS),
            collapsed=True,
        ),
        BoardRow("Events of the switch", (EVENTS,), collapsed=True),
        BoardRow("Wi-Fi of the site", (CLIENTS,), collapsed=True),
        BoardRow("UPS batteries of the site", (POWER,), collapsed=True),
    ),
    (
        sites(multiple=False),
        Variable(
            "device",
            "Room's switch",
            "interface",
            "device",
            {"site": "site"},
            multiple=False,
        ),
        Variable(
            "port",
            "Room's port",
            "interface",
            "port",
            {"device": "device"},
            multiple=False,
        ),
        search_box("about", "Port description has"),
        LINK_PORTS,
        BUSIEST_DEVICES,
    ),
    since="now-3h",
    links=("towpath-site", "towpath-switch", "towpath-port", "towpath-wan"),
)
