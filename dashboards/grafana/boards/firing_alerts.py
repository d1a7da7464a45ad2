"""What is firing, what has changed, what keeps firing, and what is silenced."""

from collectors.store.query import Aggregate
from dashboards.grafana.board import (
    AMBER,
    BLUE,
    GREEN,
    NEUTRAL,
    PURPLE,
    RED,
    Board,
    BoardRow,
    Panel,
    PanelLink,
    PanelQuery,
    RowGroups,
    RowTest,
    TableColumn,
    link_to,
    select,
    sites,
)
from dashboards.grafana.boards.alert_links import AROUND, HIDDEN, PICKS, TO_PANEL
from dashboards.grafana.boards.incident_panels import (
    BEGAN,
    HELD_BACK,
    HISTORY,
    LEVEL,
    NOISIEST_RULES,
    NOTIFIED,
    SEVERITY_COLOURS,
)
from dashboards.grafana.boards.newest_rows import newest_rows
from dashboards.grafana.boards.rule_texts import rule_titles
from dashboards.grafana.boards.site_states import site_column, site_id_column

_ALERT = ("rule", "site", "subject", "severity")
_SITE = {"site": "site"}
STATES = {
    "firing": ("firing", RED),
    "pending": ("pending", AMBER),
    "resolved": ("resolved", GREEN),
}
_FIRES = RowTest("firing_last", "equal", 1)
_IS_CAUSE = RowTest("suppressed_last", "equal", 0)
_IS_EXPLAINED = RowTest("suppressed_last", "equal", 1)
_SINCE = TableColumn("Since", "dateTimeFromNow", width=130)


def _alerts(
    *more: tuple[str, Aggregate], variables: dict[str, str] | None = None
) -> tuple[PanelQuery, ...]:
    picks: tuple[tuple[str, Aggregate], ...] = (
        ("level", "last"),
        ("firing", "last"),
        ("suppressed", "last"),
        *more,
    )
    return (PanelQuery(select("alert", *picks, by=_ALERT), variables=variables or {}),)


FIRING_BY_SEVERITY = Panel(
    "How many alerts are firing?",
    "Alerts that fire now and that no other alert explains, by severity. None is good. "
    "Critical: the people on call were paged. Warning: look at it today.",
    _alerts(),
    "short",
    "stat",
    width=6,
    height=4,
    rows_if=(_FIRES, _IS_CAUSE),
    sort=("level_last", True),
    grouped=RowGroups(("severity",), {"rule": "count"}),
    columns={
        "severity": TableColumn("Severity"),
        "rule (count)": TableColumn("Alerts"),
    },
    tile="severity",
    tile_colours=SEVERITY_COLOURS,
    tiles=True,
    decimals=0,
    newest=True,
    no_value="None",
    links=(PanelLink("Show all alerts", link_to("towpath-alerts")),),
)


def firing(variables: dict[str, str] | None = None, height: int = 10) -> Panel:
    """Returns the table of what fires now, of all sites or of the chosen ones."""
    return Panel(
        "What is firing now?",
        "Alerts that fire now and that no other alert explains, the worst first. "
        "Nothing listed is good. Select one to open the panel that shows it, at the "
        "time when it began; what to do first is in its page and on the status page.",
        _alerts(
            *PICKS,
            ("summary", "last"),
            ("cause", "last"),
            ("affected", "last"),
            ("acknowledged_by", "last"),
            ("acknowledged_why", "last"),
            variables=variables,
        ),
        "short",
        "table",
        width=24,
        height=height,
        rows_if=(_FIRES, _IS_CAUSE),
        calculated=AROUND,
        columns={
            "level_last": LEVEL,
            "summary_last": TableColumn(
                "What is wrong", link=TO_PANEL, link_title="Show it at its time"
            ),
            "since_ms_last": _SINCE,
            "cause_last": TableColumn("Probable cause"),
            "affected_last": TableColumn("Affected", width=170, absent="-"),
            "acknowledged_by_last": TableColumn("Acknowledged by", width=140),
            "acknowledged_why_last": TableColumn("What they do", width=160),
            "site_name_last": site_column(130),
            "severity": TableColumn("Severity in words", hidden=True),
            "subject": TableColumn("Subject", hidden=True),
            "firing_last": TableColumn("Firing", hidden=True),
            "suppressed_last": TableColumn("Explained", hidden=True),
            **HIDDEN,
        },
        sort=("level_last", True),
        newest=True,
    )


EXPLAINED = Panel(
    "What does another alert explain?",
    "Alerts that fire now as a consequence of another one, for which nobody was paged "
    "separately. They end when their cause ends; if they do not, they are paged then.",
    _alerts(
        *PICKS,
        ("summary", "last"),
        ("cause", "last"),
        variables=_SITE,
    ),
    "short",
    "table",
    width=24,
    height=8,
    rows_if=(_FIRES, _IS_EXPLAINED),
    calculated=AROUND,
    columns={
        "level_last": LEVEL,
        "summary_last": TableColumn(
            "What is wrong", link=TO_PANEL, link_title="Show it at its time"
        ),
        "since_ms_last": _SINCE,
        "cause_last": TableColumn("Explained by"),
        "site_name_last": site_column(130),
        "severity": TableColumn("Severity in words", hidden=True),
        "subject": TableColumn("Subject", hidden=True),
        "firing_last": TableColumn("Firing", hidden=True),
        "suppressed_last": TableColumn("Is explained", hidden=True),
        **HIDDEN,
    },
    sort=("level_last", True),
    newest=True,
)
CHANGED_ALERTS = Panel(
    "Which alerts began or ended?",
    "Alerts that began or ended in the last hour, the latest first. Nothing listed: "
    "nothing changed. Select one to open the panel that shows it.",
    (
        PanelQuery(
            select(
                "alert",
                ("level", "last"),
                ("state", "last"),
                ("changed", "sum"),
                ("suppressed", "last"),
                *PICKS,
                ("summary", "last"),
                by=_ALERT,
            )
        ),
    ),
    "short",
    "table",
    width=14,
    height=9,
    rows_if=(RowTest("changed_sum", "greater", 0), _IS_CAUSE),
    calculated=AROUND,
    columns={
        "level_last": LEVEL,
        "state_last": TableColumn("State", value_texts=STATES, width=90),
        "summary_last": TableColumn(
            "What is wrong", link=TO_PANEL, link_title="Show it at its time"
        ),
        "since_ms_last": TableColumn("Began", "dateTimeFromNow", width=130),
        "site_name_last": site_column(120),
        "severity": TableColumn("Severity in words", hidden=True),
        "subject": TableColumn("Subject", hidden=True),
        "changed_sum": TableColumn("Changes", hidden=True),
        "suppressed_last": TableColumn("Explained", hidden=True),
        **HIDDEN,
    },
    sort=("since_ms_last", True),
    rows_at_most=50,
    time_from="60m",
)
IS_SILENCED = Panel(
    "How many are silenced?",
    "Alerts that fire now and are not paged because of a silence or a maintenance "
    "window, which is listed below.",
    newest_rows(
        "silence",
        "covers",
        by=("silence", "site", "device", "line", "supplier", "rule"),
        variables=_SITE,
    ),
    "short",
    "stat",
    width=6,
    height=4,
    steps=((None, GREEN), (1, PURPLE)),
    reduces_rows=True,
    reduce="sum",
    decimals=0,
    newest=True,
    no_value="None",
)
SILENCES = Panel(
    "What is silenced or in maintenance?",
    "Silences and maintenance windows that are in force or planned: measuring goes "
    "on, but nobody is paged. Nothing listed: everything is paged. One that lasts for "
    "weeks hides faults; end it with `towpath alerts unsilence`.",
    newest_rows(
        "silence",
        "active",
        "planned",
        "from_ms",
        "until_ms",
        "covers",
        "why",
        by=("silence", "site", "device", "line", "supplier", "rule"),
        variables=_SITE,
    ),
    "short",
    "table",
    width=24,
    height=7,
    columns={
        "active_last": TableColumn(
            "State",
            value_texts={1: ("in force", PURPLE), 0: ("planned", NEUTRAL)},
            width=90,
        ),
        "planned_last": TableColumn(
            "Kind",
            value_texts={1: ("maintenance", PURPLE), 0: ("silence", BLUE)},
            width=120,
        ),
        "why_last": TableColumn("Why", absent="no reason given"),
        "site": site_id_column(135),
        "device": TableColumn("Device", absent="all", width=130),
        "line": TableColumn("Line", absent="all", width=115),
        "supplier": TableColumn("Supplier", absent="all", width=120),
        "rule": TableColumn(
            "Rule", value_texts=rule_titles(), colour="none", absent="all", width=190
        ),
        "from_ms_last": TableColumn("From", "time:ddd D MMM HH:mm", width=160),
        "until_ms_last": TableColumn("Until", "time:ddd D MMM HH:mm", width=160),
        "covers_last": TableColumn("Holds back", "short", decimals=0, width=100),
        "silence": TableColumn("Number", width=80),
    },
    sort=("active_last", True),
    newest=True,
)
ALERTS = Board(
    "towpath-alerts",
    "Alerts and maintenance",
    "What is firing, worst first; what has happened; what is noisy; what is silenced.",
    (
        BoardRow("Now", (FIRING_BY_SEVERITY, NOTIFIED, HELD_BACK, IS_SILENCED)),
        BoardRow("Firing", (firing(_SITE),)),
        BoardRow("Silences and maintenance", (SILENCES,)),
        BoardRow("History", (BEGAN, NOISIEST_RULES, HISTORY)),
        BoardRow("Consequences", (EXPLAINED,), collapsed=True),
    ),
    (sites(),),
    since="now-7d",
    links=("towpath-estate", "towpath-itself"),
)
