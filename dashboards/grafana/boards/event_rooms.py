"""Panels about the rooms of the estate, and the events in them."""

from dashboards.grafana.board import (
    BAD,
    GOOD,
    LOOK,
    NEUTRAL,
    Panel,
    PanelQuery,
    TableColumn,
    ValueTexts,
    select,
    steps_of_rule,
)
from dashboards.grafana.board_links import cell, column, link_to
from dashboards.grafana.boards.newest_rows import newest_rows
from dashboards.grafana.boards.rule_texts import what_to_do

_SITE = {"site": "site"}
ROOM_STATES: ValueTexts = {
    0: ("Down", BAD),
    1: ("Damages or loses packets", LOOK),
    2: ("Not measured", NEUTRAL),
    3: ("Working", GOOD),
}
STREAM_TEXTS: ValueTexts = {
    0: ("Not there", BAD),
    1: ("Standing still", BAD),
    2: ("Not measured", NEUTRAL),
    3: ("Advancing", GOOD),
}
_NO_STREAM = "no stream, or no event is near"
_DAMAGED = TableColumn(
    "Damaged",
    "percentunit",
    steps=steps_of_rule("room_errors_at_event"),
    decimals=2,
    width=100,
    absent="not measured",
)
ROOMS = Panel(
    "Which rooms have an event, and is all well there?",
    "Rooms of the estate at this site, and the event that is there or is next. Down "
    "matters from an hour before the start; at other times a room may be dark. "
    f"{what_to_do('room_down_at_event')}",
    newest_rows(
        "room",
        "name",
        "state",
        "text",
        "event_text",
        "minutes_to_start",
        "minutes_to_end",
        "in_error_ratio",
        "loss_ratio",
        "rtt_ms",
        by=("room",),
        variables=_SITE,
    ),
    "short",
    "table",
    width=24,
    height=5,
    columns={
        "room": TableColumn("Id", hidden=True),
        "name_last": TableColumn("Room", width=180),
        "state_last": TableColumn("State", value_texts=ROOM_STATES, width=190),
        "text_last": TableColumn("What is wrong", absent="-"),
        "event_text_last": TableColumn("Event", absent="none in 35 days"),
        "minutes_to_start_last": TableColumn(
            "Starts in", "m", decimals=0, width=110, absent="-"
        ),
        "minutes_to_end_last": TableColumn(
            "Ends in", "m", decimals=0, width=110, absent="-"
        ),
        "in_error_ratio_last": _DAMAGED,
        "loss_ratio_last": TableColumn(
            "Echoes lost",
            "percentunit",
            steps=steps_of_rule("room_loss_at_event"),
            decimals=0,
            width=110,
            absent="not measured",
        ),
        "rtt_ms_last": TableColumn(
            "Round trip", "ms", decimals=0, width=110, absent="not measured"
        ),
    },
    sort=("minutes_to_start_last", False),
    newest=True,
    no_value="The estate has no room at this site",
)
ROOMS_OVER_TIME = Panel(
    "When was a room not working?",
    "The worst state of each interval. Gap: Towpath recorded nothing.",
    (PanelQuery(select("room", ("state", "min"), by=("room",)), "$tag_room", _SITE),),
    "short",
    "state-timeline",
    width=24,
    height=4,
    value_texts=ROOM_STATES,
    no_value="The estate has no room at this site",
)
STREAMS = Panel(
    "Do the live streams advance?",
    "As viewers get them, at the last look: from an hour before an event to its end, "
    "each half minute. A few seconds since the last new segment are good; above 20 a "
    f"player has little left to show. {what_to_do('room_stream_still_at_event')}",
    newest_rows(
        "room",
        "name",
        "stream_state",
        "stream_age_s",
        "stream_text",
        by=("room",),
        variables=_SITE,
    ),
    "short",
    "table",
    width=12,
    height=4,
    columns={
        "room": TableColumn("Id", hidden=True),
        "name_last": TableColumn("Room", width=150),
        "stream_state_last": TableColumn(
            "Live stream", value_texts=STREAM_TEXTS, width=130, absent="-"
        ),
        "stream_age_s_last": TableColumn(
            "New segment, ago", "s", decimals=0, width=130, absent="-"
        ),
        "stream_text_last": TableColumn("What is wrong", absent="-"),
    },
    sort=("name_last", False),
    newest=True,
    no_value="The estate has no room at this site",
)
STREAMS_OVER_TIME = Panel(
    "When did a live stream not advance?",
    "The worst state of each interval, as viewers get it: from an hour before an event "
    f"until its end. Gap: {_NO_STREAM}. {what_to_do('room_stream_still_at_event')}",
    (
        PanelQuery(
            select("room", ("stream_state", "min"), by=("room",)), "$tag_room", _SITE
        ),
    ),
    "short",
    "state-timeline",
    width=12,
    height=4,
    value_texts=STREAM_TEXTS,
    no_value=f"There is {_NO_STREAM}",
)
_YES: ValueTexts = {0: ("no", NEUTRAL), 1: ("yes", LOOK)}
_UP: ValueTexts = {0: ("down", BAD), 1: ("up", GOOD)}
_THERE: ValueTexts = {0: ("not there", BAD), 1: ("there", GOOD)}


def _measured(title: str, unit: str) -> TableColumn:
    return TableColumn(title, unit, decimals=1, width=105, absent="not measured")


ROOM_PORTS = Panel(
    "What do the rooms' ports carry, and do they lose anything?",
    "Each port that a room depends on, at its last poll. A stream of a committee needs "
    "a few Mbit/s from the room, without damage or discards. "
    f"{what_to_do('room_errors_at_event')}",
    newest_rows(
        "room_port",
        "up",
        "there",
        "shut",
        "in_bps",
        "out_bps",
        "in_error_ratio",
        "in_errors_per_s",
        "out_errors_per_s",
        "in_discards_per_s",
        "out_discards_per_s",
        by=("room", "device", "port"),
        variables=_SITE,
    ),
    "short",
    "table",
    width=24,
    height=5,
    columns={
        "room": TableColumn("Room", width=130),
        "device": TableColumn(
            "Device",
            width=130,
            link=link_to("towpath-switch", ("site",), device=cell()),
        ),
        "port": TableColumn(
            "Port",
            width=170,
            link=link_to(
                "towpath-port", ("site",), device=column("device"), port=cell()
            ),
        ),
        "up_last": TableColumn("Link", value_texts=_UP, width=80, absent="-"),
        "there_last": TableColumn("On device", value_texts=_THERE, width=90),
        "shut_last": TableColumn("Shut", value_texts=_YES, width=70, absent="-"),
        "in_bps_last": _measured("From the room", "bps"),
        "out_bps_last": _measured("To the room", "bps"),
        "in_error_ratio_last": _DAMAGED,
        "in_errors_per_s_last": _measured("Errors in", "pps"),
        "out_errors_per_s_last": _measured("Errors out", "pps"),
        "in_discards_per_s_last": _measured("Discards in", "pps"),
        "out_discards_per_s_last": _measured("Discards out", "pps"),
    },
    sort=("in_error_ratio_last", True),
    newest=True,
    no_value="No room at this site has a port in the estate",
)
