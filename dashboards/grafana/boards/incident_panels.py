"""Panels about incidents of the past: how many, how often, how long."""

from collectors.store.query import Where
from dashboards.grafana.board import (
    AMBER,
    BLUE,
    PLAIN,
    RED,
    Panel,
    PanelQuery,
    RowTest,
    TableColumn,
    select,
)
from dashboards.grafana.boards.rule_texts import rule_titles
from dashboards.grafana.boards.site_states import site_column

_SITE = {"site": "site"}
SEVERITY_COLOURS = {"critical": RED, "warning": AMBER, "info": BLUE}

SEVERITIES = {4: ("critical", RED), 3: ("warning", AMBER), 1: ("information", BLUE)}

LEVEL = TableColumn("Severity", value_texts=SEVERITIES, width=95)
NOTIFIED = Panel(
    "How many were notified?",
    "Incidents that began in the selected range, each paged once. Compare it with how "
    "many were held back: without that, each would have been a page.",
    (PanelQuery(select("incident", ("level", "count")), variables=_SITE),),
    "short",
    "stat",
    width=6,
    height=4,
    steps=PLAIN,
    decimals=0,
    no_value="None",
)

HELD_BACK = Panel(
    "How many were held back?",
    "Alerts of the selected range that another alert explained, so that nobody was "
    "paged for them.",
    (
        PanelQuery(
            select("alert", ("suppressed", "max"), by=("rule", "site", "subject")),
            variables=_SITE,
        ),
    ),
    "short",
    "stat",
    width=6,
    height=4,
    steps=PLAIN,
    rows_if=(RowTest("suppressed_max", "equal", 1),),
    reduces_rows=True,
    reduce="sum",
    decimals=0,
    no_value="None",
)

BEGAN = Panel(
    "When did incidents begin?",
    "Incidents that began in each interval, by severity. Many at once: look for one "
    "cause. Some every day at the same hour: look for a job that runs then.",
    tuple(
        PanelQuery(
            select(
                "incident", ("level", "count"), where=(Where("severity", (severity,)),)
            ),
            severity,
            _SITE,
            colour=colour,
        )
        for severity, colour in SEVERITY_COLOURS.items()
    ),
    "short",
    steps=PLAIN,
    stacked=True,
    bars=True,
    decimals=0,
    soft_minimum=0,
    soft_maximum=3,
    height=9,
)

NOISIEST_RULES = Panel(
    "Which rules fire most often?",
    "Incidents of each rule that began in the selected range, the most first. A rule "
    "that fires often and is always over by itself: raise its threshold or its `for` "
    "with `overrides`, everywhere or at some sites.",
    (
        PanelQuery(
            select(
                "incident",
                ("level", "count"),
                ("lasted_s", "mean"),
                ("lasted_s", "sum"),
                by=("rule", "severity"),
            ),
            variables=_SITE,
        ),
    ),
    "short",
    "table",
    width=12,
    height=9,
    columns={
        "rule": TableColumn("Rule", value_texts=rule_titles(), colour="none"),
        "severity": TableColumn(
            "Severity",
            value_texts={name: (name, c) for name, c in SEVERITY_COLOURS.items()},
            width=95,
        ),
        "level_count": TableColumn("Times", "short", decimals=0, width=80),
        "lasted_s_mean": TableColumn(
            "Mean length", "s", decimals=0, width=120, absent="not over"
        ),
        "lasted_s_sum": TableColumn(
            "Total", "s", decimals=0, width=110, absent="not over"
        ),
    },
    sort=("level_count", True),
)

HISTORY = Panel(
    "What has happened?",
    "The subjects of incidents that began in the selected range, those with the most "
    "incidents first. The same subject again and again has a cause that was not "
    "mended.",
    (
        PanelQuery(
            select(
                "incident",
                ("level", "last"),
                ("level", "count"),
                ("summary", "last"),
                ("cause", "last"),
                ("lasted_s", "max"),
                ("lasted_s", "sum"),
                ("until_ms", "last"),
                ("site_name", "last"),
                by=("rule", "site", "subject"),
            ),
            variables=_SITE,
        ),
    ),
    "short",
    "table",
    width=24,
    height=12,
    columns={
        "level_last": LEVEL,
        "summary_last": TableColumn("The latest incident"),
        "cause_last": TableColumn("Probable cause"),
        "level_count": TableColumn("Times", "short", decimals=0, width=70),
        "lasted_s_max": TableColumn(
            "Longest", "s", decimals=0, width=110, absent="not over"
        ),
        "lasted_s_sum": TableColumn(
            "Total", "s", decimals=0, width=110, absent="not over"
        ),
        "until_ms_last": TableColumn(
            "Ended", "dateTimeFromNow", width=130, absent="not over"
        ),
        "site_name_last": site_column(130),
        "site": TableColumn("Site's id", hidden=True),
        "rule": TableColumn("Rule", hidden=True),
        "subject": TableColumn("Subject", hidden=True),
    },
    sort=("level_count", True),
    rows_at_most=100,
)
