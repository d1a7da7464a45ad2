"""The whole estate on one screen, worst first: what is wrong, where, since when."""

from collectors.store.query import Where
from dashboards.grafana.board import (
    BUSY,
    GREEN,
    RED,
    Board,
    BoardRow,
    Panel,
    PanelLink,
    PanelQuery,
    RowGroups,
    RowTest,
    TableColumn,
    cell,
    column,
    label,
    link_to,
    search_box,
    select,
    steps_of_rule,
    verdict_steps,
)
from dashboards.grafana.boards.firing_alerts import (
    CHANGED_ALERTS,
    FIRING_BY_SEVERITY,
)
from dashboards.grafana.boards.rule_texts import what_to_do
from dashboards.grafana.boards.site_states import (
    STATE_COLOURS,
    STATES_TEXT,
    TO_SITE,
    URGENCIES,
    site_column,
    site_id_column,
)
from dashboards.grafana.boards.towpath_itself import IS_BLIND

_SEARCH = {"site": "search"}

HOW_MANY = Panel(
    "How many sites are in each state?",
    f"All sites, by their state now. All working is good. {STATES_TEXT}",
    (
        PanelQuery(
            select("site", ("urgency", "last"), ("state_text", "last"), by=("site",)),
            searches=_SEARCH,
        ),
    ),
    "short",
    "stat",
    width=10,
    height=4,
    sort=("urgency_last", True),
    grouped=RowGroups(("state_text_last",), {"site": "count"}),
    columns={
        "state_text_last": TableColumn("State"),
        "site (count)": TableColumn("Sites"),
    },
    tile="state_text_last",
    tile_colours=STATE_COLOURS,
    tiles=True,
    decimals=0,
    newest=True,
    no_value="No state is known",
)
POOR_CALLS = Panel(
    "Are calls good?",
    "Share of all laptops' test calls that missed a media target. If it is not green: "
    f"{what_to_do('calls_poor_everywhere')}",
    (
        PanelQuery(
            select(
                "experience",
                ("call_poor_ratio", "last"),
                where=(Where("by", ("all",)), Where("group", ("all",))),
            )
        ),
    ),
    "percentunit",
    "stat",
    width=4,
    height=4,
    steps=verdict_steps("call_poor_ratio"),
    decimals=1,
    tiles=True,
    newest=True,
    no_value="Too few laptops",
    links=(PanelLink("Show calls", link_to("towpath-calls")),),
)
TILES = Panel(
    "Which sites need attention?",
    "One tile for each site, the worst first; select one to open it. Type in the "
    f"search box to see fewer. {STATES_TEXT}",
    (
        PanelQuery(
            select("site", ("name", "last"), ("urgency", "last"), by=("site",)),
            searches=_SEARCH,
        ),
    ),
    "short",
    "stat",
    width=24,
    height=8,
    value_texts=URGENCIES,
    sort=("urgency_last", True),
    columns={
        "name_last": TableColumn("Name"),
        "site": TableColumn("Site"),
        "urgency_last": TableColumn("State", link=TO_SITE, link_title="Show this site"),
    },
    tile="name_last",
    tiles=True,
    stat_text="name",
    newest=True,
    no_value="No state is known",
)
REASONS = Panel(
    "What is wrong, and where?",
    "Each site that is not working, the worst first, with the reason in words; nothing "
    f"listed is good. {STATES_TEXT}",
    (
        PanelQuery(
            select(
                "site",
                ("name", "last"),
                ("urgency", "last"),
                ("why", "last"),
                ("devices_up", "last"),
                ("devices", "last"),
                ("alerts_firing", "last"),
                by=("site",),
            ),
            searches=_SEARCH,
        ),
    ),
    "short",
    "table",
    width=24,
    height=8,
    rows_if=(RowTest("urgency_last", "greater", 0),),
    columns={
        "name_last": site_column(220),
        "urgency_last": TableColumn(
            "State", value_texts=URGENCIES, colour="background", width=120
        ),
        "why_last": TableColumn("Why"),
        "devices_up_last": TableColumn("Answering", "short", decimals=0, width=100),
        "devices_last": TableColumn("Devices", "short", decimals=0, width=90),
        "alerts_firing_last": TableColumn("Alerts", "short", decimals=0, width=80),
        "site": TableColumn("Id", hidden=True),
    },
    sort=("urgency_last", True),
    newest=True,
)
BUSIEST = Panel(
    "Which lines are fullest?",
    "The busiest line of each site in the last minutes, as a share of the contracted "
    f"speed, the fullest first. If one is red: {what_to_do('line_full_down')}",
    (
        PanelQuery(
            select(
                "site",
                ("name", "last"),
                ("busiest_line", "last"),
                ("busiest_line_use_ratio", "last"),
                by=("site",),
            ),
            searches=_SEARCH,
        ),
    ),
    "short",
    "table",
    width=12,
    height=8,
    columns={
        "name_last": site_column(200),
        "busiest_line_last": TableColumn("Line", width=170),
        "busiest_line_use_ratio_last": TableColumn(
            "Use", "percentunit", steps=BUSY, gauge=True, decimals=0
        ),
        "site": TableColumn("Id", hidden=True),
    },
    sort=("busiest_line_use_ratio_last", True),
    rows_at_most=10,
    newest=True,
    links=(PanelLink("Show all lines", link_to("towpath-wan")),),
)
CALLS = Panel(
    "Where are calls poor?",
    "Sites by the share of their laptops' test calls that missed a media target, the "
    "worst first. A site is left out if too few laptops are there. If one is red: "
    f"{what_to_do('calls_poor_site')}",
    (
        PanelQuery(
            select(
                "experience",
                ("call_poor_ratio", "last"),
                ("mos_estimated_p50", "last"),
                ("mostly", "last"),
                by=("group",),
                where=(Where("by", ("site",)),),
            ),
            searches={"group": "search"},
        ),
    ),
    "short",
    "table",
    width=12,
    height=8,
    columns={
        "group": TableColumn(
            "Site",
            link=link_to("towpath-site", site=cell()),
            link_title="Show this site",
            width=170,
        ),
        "call_poor_ratio_last": TableColumn(
            "Poor calls",
            "percentunit",
            steps=verdict_steps("call_poor_ratio"),
            decimals=1,
            width=100,
        ),
        "mos_estimated_p50_last": TableColumn(
            "Estimated MOS",
            "none",
            steps=verdict_steps("mos_estimated_p50"),
            decimals=1,
            width=130,
        ),
        "mostly_last": TableColumn("Most fail at", absent="no poor calls"),
    },
    sort=("call_poor_ratio_last", True),
    rows_at_most=10,
    newest=True,
    links=(PanelLink("Show calls by site", link_to("towpath-calls", by="site")),),
)
DEVICES_CHANGED = Panel(
    "Which devices failed or restarted?",
    "Devices that missed a poll or restarted in the last hour, those that missed most "
    "first; nothing listed is good. One missed poll of many is no fault. "
    f"{what_to_do('device_restarted')}",
    (
        PanelQuery(
            select(
                "device",
                ("name", "last"),
                ("answered", "mean"),
                ("answered", "min"),
                ("restarted", "sum"),
                by=("device", "site"),
            ),
            searches=_SEARCH,
        ),
    ),
    "short",
    "table",
    width=10,
    height=9,
    rows_if=(
        RowTest("answered_min", "equal", 0),
        RowTest("restarted_sum", "greater", 0),
    ),
    rows_match="any",
    columns={
        "name_last": TableColumn(
            "Device",
            link=link_to("towpath-switch", device=column("device")),
            link_title="Show this device",
            width=170,
        ),
        "device": TableColumn("Id", hidden=True),
        "site": site_id_column(150),
        "answered_mean": TableColumn(
            "Answered",
            "percentunit",
            steps=((None, RED), (1, GREEN)),
            decimals=0,
            width=90,
        ),
        "restarted_sum": TableColumn(
            "Restarts",
            "short",
            steps=steps_of_rule("device_restarted"),
            decimals=0,
            width=90,
        ),
        "answered_min": TableColumn("Missed", "short", hidden=True),
    },
    sort=("answered_mean", False),
    time_from="60m",
)
MAP = Panel(
    "Where are the problems?",
    "Each site that has coordinates in the estate, in the colour of its state. Several "
    "neighbours that are down at once: look for a power cut or a supplier's fault. "
    f"{STATES_TEXT}",
    (
        PanelQuery(
            select(
                "site",
                ("name", "last"),
                ("urgency", "last"),
                ("why", "last"),
                ("latitude", "last"),
                ("longitude", "last"),
                by=("site",),
            ),
            searches=_SEARCH,
        ),
    ),
    "short",
    "geomap",
    width=24,
    height=16,
    rows_if=(RowTest("latitude_last", "greaterOrEqual", -90),),
    columns={
        "name_last": site_column(),
        "urgency_last": TableColumn("State", value_texts=URGENCIES),
        "why_last": TableColumn("Why"),
        "site": TableColumn("Id"),
        "latitude_last": TableColumn("Latitude"),
        "longitude_last": TableColumn("Longitude"),
    },
    sort=("urgency_last", False),
    place=("latitude_last", "longitude_last"),
    colour_by="urgency_last",
    newest=True,
)
OVER_TIME = Panel(
    "When did sites change their state?",
    "The worst state of each interval. Type part of a name in the search box to see "
    f"fewer sites. Gap: Towpath did not know. {STATES_TEXT}",
    (
        PanelQuery(
            select("site", ("urgency", "max"), by=("site",)),
            "$tag_site",
            searches=_SEARCH,
        ),
    ),
    "short",
    "state-timeline",
    width=24,
    height=16,
    value_texts=URGENCIES,
    link=PanelLink("Show this site", link_to("towpath-site", site=label("site"))),
)

ESTATE = Board(
    "towpath-estate",
    "Estate",
    "Every site, worst first: what is wrong, why, and what changed in the last hour.",
    (
        BoardRow("Now", (HOW_MANY, FIRING_BY_SEVERITY, POOR_CALLS, IS_BLIND)),
        BoardRow("Sites", (TILES, REASONS)),
        BoardRow("What changed in the last hour", (CHANGED_ALERTS, DEVICES_CHANGED)),
        BoardRow("Lines and calls", (BUSIEST, CALLS)),
        BoardRow("Map", (MAP,), collapsed=True),
        BoardRow("State over time", (OVER_TIME,), collapsed=True),
    ),
    (search_box("search", "Search sites"),),
    links=(
        "towpath-alerts",
        "towpath-wan",
        "towpath-remote",
        "towpath-calls",
        "towpath-vpn",
        "towpath-itself",
    ),
)
