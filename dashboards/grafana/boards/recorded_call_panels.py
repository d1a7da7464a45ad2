"""Calls as Microsoft recorded them, beside Towpath's own tests, and telephone calls."""

from __future__ import annotations

from collections.abc import Mapping

from collectors.call_measurements import SELF_CALLS
from collectors.calls.stream_figures import MEASURED, NO_VERDICT, TOO_FEW_STREAMS
from collectors.store.query import Aggregate, Where
from dashboards.grafana.board import (
    LOOK,
    NEUTRAL,
    BoardRow,
    Panel,
    PanelQuery,
    TableColumn,
    select,
    steps_of_rule,
)
from dashboards.grafana.boards.agreement_panels import AGREEMENT, AGREEMENT_GROUPS
from dashboards.grafana.boards.call_panels import ALL, record_column
from dashboards.grafana.boards.exported_room_panel import EXPORTED_ROOMS
from dashboards.grafana.boards.key_texts import YES_IS_GOOD
from dashboards.grafana.boards.newest_rows import newest_rows
from dashboards.grafana.boards.rule_texts import what_to_do
from dashboards.grafana.boards.site_states import site_id_column

_AUDIO = Where("media", ("audio",))
_ALL_AUDIO = (*ALL, _AUDIO)
_POOR_STEPS = steps_of_rule("recorded_calls_poor_site")
NO_RECORD = "No record of Microsoft's is read, or too few people"
_RULE_TEXT = (
    "Poor by Microsoft's rule for streams (Call Quality Dashboard): jitter over 30 ms, "
    "loss over 10 % or a round trip over 500 ms. Streams without a verdict do not "
    "count. The record is hours behind, and groups of fewer than ten people are never "
    "shown."
)
_SIDES = (
    ("client", "By device"),
    ("network", "Network"),
    ("server", "Microsoft"),
    ("unknown", "Not clear"),
)
_DUE_TO = (("jitter", "Jitter"), ("loss", "Loss"), ("rtt", "Round trip"))
_STREAM_PICKS: tuple[tuple[str, Aggregate], ...] = (
    ("poor_ratio", "mean"),
    ("classified", "sum"),
    ("jitter_p95_ms", "mean"),
    ("loss_mean_ratio", "mean"),
    ("rtt_p95_ms", "mean"),
    ("unclassified_ratio", "mean"),
    ("calls", "sum"),
)
_GROUP_PICKS: tuple[tuple[str, Aggregate], ...] = (
    *_STREAM_PICKS,
    *((f"side_{name}_ratio", "mean") for name, _ in _SIDES),
    ("people", "max"),
    ("state", "last"),
)
_STATES = {
    MEASURED: (MEASURED, NEUTRAL),
    TOO_FEW_STREAMS: (TOO_FEW_STREAMS, LOOK),
    NO_VERDICT: (NO_VERDICT, LOOK),
}


def _stream_columns(measurement: str) -> dict[str, TableColumn]:
    return {
        "poor_ratio_mean": record_column(
            measurement, "poor_ratio", "Poor", steps=_POOR_STEPS
        ),
        "classified_sum": record_column(measurement, "classified", "Streams", 0),
        "jitter_p95_ms_mean": record_column(
            measurement, "jitter_p95_ms", "Jitter, p95", 0
        ),
        "loss_mean_ratio_mean": record_column(
            measurement, "loss_mean_ratio", "Loss", 2
        ),
        "rtt_p95_ms_mean": record_column(measurement, "rtt_p95_ms", "Round trip", 0),
        "unclassified_ratio_mean": record_column(
            measurement, "unclassified_ratio", "No verdict"
        ),
        "calls_sum": record_column(measurement, "calls", "Calls", 0),
    }


_GROUP_COLUMNS: Mapping[str, TableColumn] = {
    **_stream_columns("teams_calls"),
    **{
        f"side_{name}_ratio_mean": record_column(
            "teams_calls", f"side_{name}_ratio", title
        )
        for name, title in _SIDES
    },
    "people_max": record_column("teams_calls", "people", "People, most", 0),
    "state_last": TableColumn("Measured?", value_texts=_STATES, width=130),
}
BESIDE_TESTS = Panel(
    "When did Microsoft record poor calls, and did Towpath's tests see it?",
    "Microsoft's record: share of audio streams in Teams that were poor. Towpath's "
    "tests: share of all laptops' test calls that were poor, by stricter limits. Where "
    "only one of them rises, the other does not see the fault: calls through other "
    f"networks, or devices and headsets. {_RULE_TEXT} "
    f"{what_to_do('recorded_calls_poor_everywhere')}",
    (
        PanelQuery(
            select("teams_calls", ("poor_ratio", "mean"), where=_ALL_AUDIO),
            "Microsoft's record",
        ),
        PanelQuery(
            select("experience", ("call_poor_ratio", "mean"), where=ALL),
            "Towpath's tests",
        ),
    ),
    "percentunit",
    height=9,
    soft_minimum=0,
    soft_maximum=0.2,
    no_value=NO_RECORD,
)
WHY = Panel(
    "What made recorded calls poor, and on which leg?",
    "Shares of audio streams with a verdict: poor because of jitter, loss or the round "
    "trip (a stream can have several), and poor among what our ends sent (their first "
    "leg) or received (their last leg).",
    (
        *(
            PanelQuery(
                select("teams_calls", (f"poor_{name}_ratio", "mean"), where=_ALL_AUDIO),
                title,
            )
            for name, title in _DUE_TO
        ),
        *(
            PanelQuery(
                select("teams_calls", (f"{leg}_poor_ratio", "mean"), where=_ALL_AUDIO),
                f"of {leg} streams",
            )
            for leg in ("sent", "received")
        ),
    ),
    "percentunit",
    height=9,
    soft_minimum=0,
    soft_maximum=0.2,
    no_value=NO_RECORD,
)


def _groups(by: str, title: str, text: str, column: str, rule: str) -> Panel:
    return Panel(
        title,
        f"{text} {_RULE_TEXT} If one is red: {what_to_do(rule)}",
        (
            PanelQuery(
                select(
                    "teams_calls",
                    *_GROUP_PICKS,
                    by=("group",),
                    where=(Where("by", (by,)), _AUDIO),
                )
            ),
        ),
        "short",
        "table",
        width=24,
        height=8,
        columns={"group": TableColumn(column, width=140), **_GROUP_COLUMNS},
        sort=("poor_ratio_mean", True),
        no_value=NO_RECORD,
    )


SITES = _groups(
    "site",
    "At which sites did Microsoft record poor calls?",
    "Audio in Teams of people at each site.",
    "Site",
    "recorded_calls_poor_site",
)
PROVIDERS = _groups(
    "provider",
    "Through which providers did Microsoft record poor calls?",
    "Audio in Teams of people outside, without the VPN, by their provider.",
    "Provider",
    "recorded_calls_poor_provider",
)
GATEWAYS = _groups(
    "gateway",
    "Through which VPN gateways did Microsoft record poor calls?",
    "Audio in Teams through the VPN.",
    "VPN gateway",
    "recorded_calls_poor_gateway",
)
ROOMS = Panel(
    "In which meeting rooms did Microsoft record poor calls?",
    "Calls of the rooms' own accounts (Teams Rooms), all media. A room is no person, "
    "so "
    "each has its own row.",
    (PanelQuery(select("room_calls", *_STREAM_PICKS, by=("room", "site", "media"))),),
    "short",
    "table",
    width=24,
    height=7,
    columns={
        "room": TableColumn("Room", width=170),
        "site": site_id_column(150),
        "media": TableColumn("Media", width=110),
        **_stream_columns("room_calls"),
    },
    sort=("poor_ratio_mean", True),
    no_value="No room has an account of Teams Rooms in the estate, or none had a call",
)
DASHBOARD_EXPORTS = Panel(
    "What does Microsoft's Call Quality Dashboard say of each site?",
    "Exports of the dashboard that people import (towpath import cqd), for councils "
    "that do not let Towpath read each call. Whole days or months of sites with enough "
    "streams.",
    (
        PanelQuery(
            select(
                "cqd_streams",
                ("poor_ratio", "mean"),
                ("classified", "sum"),
                ("unclassified_ratio", "mean"),
                ("streams", "sum"),
                by=("site", "media", "step"),
            )
        ),
    ),
    "short",
    "table",
    width=24,
    height=7,
    columns={
        "site": site_id_column(150),
        "media": TableColumn("Media", width=110),
        "step": TableColumn("By", width=90),
        "poor_ratio_mean": record_column(
            "cqd_streams", "poor_ratio", "Poor", steps=_POOR_STEPS
        ),
        "classified_sum": record_column("cqd_streams", "classified", "Streams", 0),
        "unclassified_ratio_mean": record_column(
            "cqd_streams", "unclassified_ratio", "No verdict"
        ),
        "streams_sum": record_column("cqd_streams", "streams", "All streams", 0),
    },
    sort=("poor_ratio_mean", True),
    no_value="No export of the dashboard is imported",
)
MEDIA = Panel(
    "How often were video and shared screens poor?",
    "Share of streams with a verdict. Microsoft judges video by frames lost, frame "
    "rate "
    "and loss after correction, whichever it has first.",
    tuple(
        PanelQuery(
            select(
                "teams_calls",
                ("poor_ratio", "mean"),
                where=(*ALL, Where("media", (media,))),
            ),
            title,
        )
        for media, title in (("video", "Video"), ("screen_sharing", "Shared screens"))
    ),
    "percentunit",
    soft_minimum=0,
    soft_maximum=0.2,
    no_value=NO_RECORD,
)
WHOLE_CALLS = Panel(
    "How often could calls not be set up, or broke off?",
    "Shares of our ends in calls. Microsoft suggests at most 1 % that cannot be set "
    "up, "
    "and 3 % that break off.",
    (
        PanelQuery(
            select("teams_calls", ("setup_failed_ratio", "mean"), where=ALL),
            "could not be set up",
        ),
        PanelQuery(
            select("teams_calls", ("dropped_ratio", "mean"), where=ALL), "broke off"
        ),
    ),
    "percentunit",
    soft_minimum=0,
    soft_maximum=0.05,
    no_value=NO_RECORD,
)
RECORDED_CALLS = BoardRow(
    "Microsoft's record of calls",
    (
        BESIDE_TESTS,
        WHY,
        AGREEMENT,
        AGREEMENT_GROUPS,
        SITES,
        PROVIDERS,
        GATEWAYS,
        ROOMS,
        MEDIA,
        WHOLE_CALLS,
        DASHBOARD_EXPORTS,
        EXPORTED_ROOMS,
    ),
    collapsed=True,
)
# On the board of Towpath itself.
READING = Panel(
    "Is Microsoft's record of calls read?",
    f"Off unless the settings switch it on. {what_to_do('call_records_unread')}",
    newest_rows(
        "self_calls",
        "reading",
        "state_text",
        "behind_s",
        "waiting",
        "notified",
        by=("process",),
    ),
    "short",
    "table",
    width=12,
    height=6,
    columns={
        "process": TableColumn("Process", width=110),
        "reading_last": TableColumn("Read?", value_texts=YES_IS_GOOD, width=80),
        "state_text_last": TableColumn("State"),
        "behind_s_last": TableColumn("Written until", "s", decimals=0, width=110),
        "waiting_last": TableColumn("Records waiting", decimals=0, width=130),
        "notified_last": TableColumn("Notified?", value_texts=YES_IS_GOOD, width=90),
    },
    newest=True,
    no_value="No process reads it",
)
COUNTS = Panel(
    "What happened to Microsoft's records of calls?",
    "Counted since each process started: the slope is the rate, and a fall is a "
    "restart.",
    tuple(
        PanelQuery(
            select("self_calls", (field.name, "max"), by=("process",)),
            field.meaning,
        )
        for field in SELF_CALLS.fields
        if field.counter and not field.name.startswith("odd_")
    ),
    "short",
    height=8,
    no_value="No process reads it",
)
