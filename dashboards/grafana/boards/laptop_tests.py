"""Panels about which tests of one laptop worked, and which did not."""

from collectors.store.query import Aggregate
from dashboards.figure_text import identifier_text
from dashboards.grafana.board import (
    BLUE,
    GREEN,
    NEUTRAL,
    RED,
    Panel,
    PanelQuery,
    TableColumn,
    select,
)
from probes.wire.failure import Outcome, state_number
from probes.wire.network_diagnosis import SLOW_LOOKUP_MS

AGENT = {"agent": "agent"}
STATES = {
    0: ("Failed", RED),
    1: ("Nothing there", BLUE),
    2: ("Not measured", NEUTRAL),
    3: ("Worked", GREEN),
}
_STATE_COLOURS = {number: colour for number, (_, colour) in STATES.items()}
OUTCOMES = {
    outcome.value: (
        identifier_text(outcome.value) if outcome is not Outcome.OK else "Worked",
        _STATE_COLOURS[state_number(outcome)],
    )
    for outcome in Outcome
}

WHEREABOUTS = Panel(
    "Where was it, and on which network?",
    "One line for each place, connection, VPN state and provider, blue while the "
    "laptop was there. Trouble that begins with a new line: look at what changed. No "
    "line: it was off or asleep, or could not send yet; results come later.",
    (
        PanelQuery(
            select(
                "agent",
                ("ok", "max"),
                by=("place", "site", "connection", "vpn", "provider"),
            ),
            "$tag_place $tag_site, $tag_connection, VPN $tag_vpn, $tag_provider",
            AGENT,
        ),
    ),
    "none",
    "state-timeline",
    width=24,
    height=7,
    value_texts={1: ("Here", BLUE), 0: ("Here, agent in trouble", RED)},
)
RESULTS = Panel(
    "Which tests failed, and when?",
    "Worst result of each quarter of an hour. Red: tried and failed. Blue: nothing "
    "there, such as a VPN that is off. Grey: not measured, such as on a metered "
    "connection. All red at once: the network that it was on. One alone: that service. "
    "Why: the tables below.",
    (
        PanelQuery(select("call_path", ("state", "min")), "test call", AGENT),
        PanelQuery(
            select("name_lookup", ("state", "min"), by=("target",)),
            "DNS $tag_target",
            AGENT,
        ),
        PanelQuery(
            select("web", ("state", "min"), by=("target",)), "web $tag_target", AGENT
        ),
        PanelQuery(select("vpn", ("state", "min")), "VPN", AGENT),
    ),
    "none",
    "state-timeline",
    width=24,
    height=10,
    value_texts=STATES,
)
_RESULT: tuple[tuple[str, Aggregate], ...] = (
    ("state", "min"),
    ("outcome", "last"),
    ("outcome", "count"),
)
_RESULT_COLUMNS = {
    "state_min": TableColumn("Worst result", value_texts=STATES, width=120),
    "outcome_last": TableColumn("Last result", value_texts=OUTCOMES, width=134),
    "outcome_count": TableColumn("Results", "short", decimals=0, width=80),
}
WEB_SERVICES = Panel(
    "Which web services failed?",
    "Each service over the selected range, those that failed first. One alone: that "
    "service. All: the network, a sign-in page, or the VPN.",
    (
        PanelQuery(
            select(
                "web",
                *_RESULT,
                ("total_ms", "mean"),
                ("total_ms", "max"),
                by=("target",),
            ),
            variables=AGENT,
        ),
    ),
    "ms",
    "table",
    height=7,
    columns={
        "target": TableColumn("Service"),
        **_RESULT_COLUMNS,
        "total_ms_mean": TableColumn("Time, mean", "ms", decimals=0, width=95),
        "total_ms_max": TableColumn("Longest", "ms", decimals=0, width=85),
    },
    sort=("state_min", False),
    no_value="No web service was tested",
)
NAMES = Panel(
    "Which names could not be found?",
    "DNS lookups over the selected range, those that failed first. A resolver in the "
    "home router that fails: restart the router, or use the provider's. Through the "
    "VPN: the council's resolver.",
    (
        PanelQuery(
            select(
                "name_lookup",
                *_RESULT,
                ("lookup_ms", "mean"),
                ("lookup_ms", "max"),
                ("resolver", "last"),
                by=("target",),
            ),
            variables=AGENT,
        ),
    ),
    "ms",
    "table",
    height=7,
    columns={
        "target": TableColumn("Name"),
        **_RESULT_COLUMNS,
        "lookup_ms_mean": TableColumn("Time, mean", "ms", decimals=0, width=95),
        "lookup_ms_max": TableColumn(
            "Longest",
            "ms",
            steps=((None, GREEN), (SLOW_LOOKUP_MS, RED)),
            decimals=0,
            width=85,
        ),
        "resolver_last": TableColumn("Resolver", width=90),
    },
    sort=("state_min", False),
    no_value="No name was looked up",
)
LATEST = Panel(
    "What was the last result of each test?",
    "The newest result within the selected range, in words. Green: it worked. Red: it "
    "failed, for the reason given. Blue or grey: nothing to measure, or not measured.",
    tuple(
        PanelQuery(select(probe, ("outcome", "last"), by=("target",)), name, AGENT)
        for probe, name in (
            ("call_path", "test call"),
            ("path", "path"),
            ("teams_relay", "Teams relay"),
            ("vpn", "VPN"),
            ("wifi", "Wi-Fi"),
            ("bandwidth", "speed test"),
        )
    ),
    "none",
    "stat",
    width=24,
    height=5,
    value_texts=OUTCOMES,
    tiles=True,
    no_value="No result",
)
