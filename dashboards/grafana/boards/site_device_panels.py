"""Panels about the devices and ports of one site."""

import dataclasses

from dashboards.grafana.board import (
    AMBER,
    GREEN,
    RED,
    UP,
    Panel,
    PanelQuery,
    RowTest,
    TableColumn,
    column,
    link_to,
    select,
    steps_of_rule,
)
from dashboards.grafana.boards.key_texts import EXPECTED_WHY, POLL_OUTCOMES, ROLES
from dashboards.grafana.boards.newest_rows import newest_rows
from dashboards.grafana.boards.rule_texts import what_to_do
from dashboards.grafana.boards.sensor_panels import READINGS, of_class

_SITE = {"site": "site"}
_DEVICE = TableColumn(
    "Device",
    link=link_to("towpath-switch", ("site",), device=column("device")),
    link_title="Show this device",
    width=170,
)

_PORT = TableColumn(
    "Port",
    link=link_to(
        "towpath-port", ("site",), device=column("device"), port=column("port")
    ),
    link_title="Show this port",
    width=175,
)

SEVERITIES = {0: ("ok", GREEN), 1: ("warning", AMBER), 2: ("critical", RED)}

DEVICES_OVER_TIME = Panel(
    "When did devices not answer?",
    "Green: answered. Red: at least one poll of the interval had no answer. Gap: not "
    "observed, such as while Towpath itself was cut off. All red at once: the line or "
    f"the power of the site. {what_to_do('device_unreachable')}",
    (
        PanelQuery(
            select("device", ("answered", "min"), by=("device",)), "$tag_device", _SITE
        ),
    ),
    "short",
    "state-timeline",
    width=24,
    height=9,
    value_texts=UP,
)

DEVICES = Panel(
    "Which devices answer badly?",
    "All devices of the site over the selected range, those that missed most polls "
    "first. All answered is good. Round trip and loss are of pings, and are absent if "
    "the device is not pinged. Select a device to see its ports. "
    f"{what_to_do('device_unreachable')}",
    (
        PanelQuery(
            select(
                "device",
                ("name", "last"),
                ("answered", "mean"),
                ("outcome", "last"),
                ("icmp_rtt_ms", "mean"),
                ("icmp_loss_ratio", "mean"),
                ("restarted", "sum"),
                ("uptime_s", "last"),
                ("ports_up", "last"),
                ("ports_down", "last"),
                by=("device", "role"),
            ),
            variables=_SITE,
        ),
    ),
    "short",
    "table",
    width=24,
    height=9,
    columns={
        "name_last": dataclasses.replace(_DEVICE, width=190),
        "device": TableColumn("Id", hidden=True),
        "role": TableColumn("Role", value_texts=ROLES, colour="none", width=110),
        "answered_mean": TableColumn(
            "Answered",
            "percentunit",
            steps=((None, RED), (0.99, AMBER), (0.999, GREEN)),
            gauge=True,
            decimals=1,
        ),
        "outcome_last": TableColumn("Last poll", value_texts=POLL_OUTCOMES, width=140),
        "icmp_rtt_ms_mean": TableColumn(
            "Round trip", "ms", decimals=1, width=110, absent="not pinged"
        ),
        "icmp_loss_ratio_mean": TableColumn(
            "Loss", "percentunit", decimals=1, width=100, absent="not pinged"
        ),
        "restarted_sum": TableColumn(
            "Restarts",
            "short",
            steps=steps_of_rule("device_restarted"),
            decimals=0,
            width=90,
        ),
        "uptime_s_last": TableColumn("Running for", "s", decimals=0, width=120),
        "ports_up_last": TableColumn("Ports up", "short", decimals=0, width=90),
        "ports_down_last": TableColumn("Ports down", "short", decimals=0, width=100),
    },
    sort=("answered_mean", False),
)

PORTS_DOWN = Panel(
    "Which ports are down that should be up?",
    "Ports of lines, uplinks, switches and access points that are down now, and those "
    f"that the estate names; never desks. None is good. {what_to_do('port_down')}",
    newest_rows(
        "interface",
        "up",
        "expected_up",
        "expected_why",
        by=("device", "port", "description"),
        variables=_SITE,
    ),
    "short",
    "table",
    width=12,
    height=7,
    rows_if=(RowTest("up_last", "equal", 0), RowTest("expected_up_last", "equal", 1)),
    columns={
        "device": _DEVICE,
        "port": _PORT,
        "description": TableColumn("Description", absent="-"),
        "expected_why_last": TableColumn(
            "Should be up because it is",
            value_texts=EXPECTED_WHY,
            colour="none",
            width=230,
        ),
        "up_last": TableColumn("Up", hidden=True),
        "expected_up_last": TableColumn("Expected", hidden=True),
    },
    newest=True,
)

PORTS_WITH_ERRORS = Panel(
    "Which ports have errors?",
    "Ports with damaged packets in the last hour, the worst first; none is good. "
    f"Dropped: a full buffer, so the port is too slow. {what_to_do('port_errors')}",
    (
        PanelQuery(
            select(
                "interface",
                ("in_errors_per_s", "mean"),
                ("out_errors_per_s", "mean"),
                ("out_discards_per_s", "mean"),
                by=("device", "port", "description"),
            ),
            variables=_SITE,
        ),
    ),
    "short",
    "table",
    width=12,
    height=7,
    rows_if=(
        RowTest("in_errors_per_s_mean", "greater", 0),
        RowTest("out_errors_per_s_mean", "greater", 0),
    ),
    rows_match="any",
    columns={
        "device": _DEVICE,
        "port": _PORT,
        "description": TableColumn("Description", absent="-"),
        "in_errors_per_s_mean": TableColumn(
            "In",
            "suffix:/s",
            steps=steps_of_rule("port_errors", field="in_errors_per_s"),
            width=90,
        ),
        "out_errors_per_s_mean": TableColumn("Out", "suffix:/s", width=90),
        "out_discards_per_s_mean": TableColumn("Dropped", "suffix:/s", width=90),
    },
    sort=("in_errors_per_s_mean", True),
    rows_at_most=50,
    time_from="60m",
)

PARTS = Panel(
    "Which parts have failed or are close to a limit?",
    "Sensors, fans, power supplies and batteries that are not well now, by the "
    "device's own states and limits, the worst first. None is good. "
    f"{what_to_do('sensor_critical')}",
    (
        PanelQuery(
            select(
                "sensor",
                ("severity", "last"),
                ("state", "last"),
                by=("device", "class", "sensor"),
            ),
            variables=_SITE,
        ),
        # The number of a state says nothing beside its word.
        PanelQuery(
            select(
                "sensor",
                ("value", "last"),
                by=("device", "class", "sensor"),
                where=of_class("state", negate=True),
            ),
            variables=_SITE,
        ),
    ),
    "short",
    "table",
    width=24,
    height=6,
    rows_if=(RowTest("severity_last", "greater", 0),),
    columns={
        "severity_last": TableColumn("Severity", value_texts=SEVERITIES, width=100),
        "device": _DEVICE,
        "sensor": TableColumn("Part"),
        "state_last": TableColumn("State", width=150, absent="-"),
        "value_last": TableColumn("Reading", "none", width=110, absent="-"),
        "class": TableColumn("Unit", value_texts=READINGS, colour="none", width=190),
    },
    sort=("severity_last", True),
    newest=True,
)

EVENTS = Panel(
    "What did devices report?",
    "Traps and informs of the selected range, the most severe first. Active: the "
    "device has not reported the end.",
    (
        PanelQuery(
            select(
                "event",
                ("level", "max"),
                ("text", "last"),
                ("active", "last"),
                ("count", "sum"),
                ("last_ms", "last"),
                by=("device", "event", "port", "about"),
            ),
            variables=_SITE,
        ),
    ),
    "short",
    "table",
    width=24,
    height=8,
    columns={
        "level_max": TableColumn(
            "Severity",
            value_texts={
                0: ("ok", GREEN),
                1: ("information", "blue"),
                2: ("notice", "blue"),
                3: ("warning", AMBER),
                4: ("critical", RED),
            },
            width=110,
        ),
        "last_ms_last": TableColumn("Latest", "dateTimeFromNow", width=130),
        "device": _DEVICE,
        "port": _PORT,
        "text_last": TableColumn("Message"),
        "active_last": TableColumn(
            "Now", value_texts={1: ("active", AMBER), 0: ("ended", GREEN)}, width=80
        ),
        "count_sum": TableColumn("Times", "short", decimals=0, width=80),
        "event": TableColumn("Event", hidden=True),
        "about": TableColumn("About", width=110, absent="-"),
    },
    sort=("level_max", True),
    rows_at_most=100,
)
