"""Panels about radios: access points, their clients and channels, modems."""

from collectors.store.query import PERCENTILES, Aggregate, Where
from dashboards.grafana.board import (
    AMBER,
    GREEN,
    PLAIN,
    UP,
    Calculated,
    Panel,
    PanelQuery,
    TableColumn,
    busiest,
    cell,
    column,
    link_to,
    select,
    steps_of_rule,
)
from dashboards.grafana.boards.billed_percentiles import ESTIMATED, percentiles
from dashboards.grafana.boards.device_panels import EVENT_COLUMNS
from dashboards.grafana.boards.rule_texts import what_to_do

_LINES = 8
_SITE = {"site": "site"}
_DEVICE = {"device": "device"}
_IS_AP = (Where("role", ("access_point",)),)
_DEVICE_LINK = link_to("towpath-wifi", ("site",), device=column("device"))
_SWITCH_LINK = link_to("towpath-switch", ("site",), device=column("device"))


def _of(name: str) -> tuple[Where, ...]:
    return (Where("class", (name,)),)


def _radios(name: str, aggregate: Aggregate) -> PanelQuery:
    """One figure of every radio at the sites. The aggregate names its column."""
    query = (percentiles if aggregate in PERCENTILES else select)(
        "wireless",
        ("value", aggregate),
        by=("device", "site", "radio"),
        where=_of(name),
    )
    return PanelQuery(
        query,
        variables=_SITE,
        searches={"radio": "search"},
        estimated=aggregate in PERCENTILES,
    )


SITES_UP = Panel(
    "Where do access points not answer?",
    "Share of the last polls that the access points of a site answered, the worst "
    "site first. Not 100 %: an access point is off, or the switch port that powers "
    "it. These are access points that Towpath polls itself; those behind a controller "
    "are below.",
    (
        PanelQuery(
            select(
                "device",
                ("answered", "mean"),
                by=("site",),
                where=_IS_AP,
            ),
            variables=_SITE,
        ),
    ),
    "percentunit",
    "table",
    width=8,
    columns={
        "site": TableColumn("Site", link=link_to("towpath-site", site=cell())),
        "answered_mean": TableColumn(
            "Answering",
            "percentunit",
            steps=((None, AMBER), (1, GREEN)),
            width=110,
            decimals=0,
        ),
    },
    sort=("answered_mean", False),
    newest=True,
    no_value="No access point is polled itself",
)
ACCESS_POINTS = Panel(
    "Which access points were away?",
    "Access points that Towpath polls, by the share of polls answered in the time "
    f"range, the worst first. {what_to_do('device_unreachable')}",
    (
        PanelQuery(
            select(
                "device",
                ("name", "last"),
                ("answered", "last"),
                ("answered", "mean"),
                ("uptime_s", "last"),
                ("restarted", "sum"),
                by=("device", "site"),
                where=_IS_AP,
            ),
            variables=_SITE,
            searches={"device": "search"},
        ),
    ),
    "none",
    "table",
    width=16,
    columns={
        "name_last": TableColumn("Access point", link=_SWITCH_LINK),
        "device": TableColumn("Id", hidden=True),
        "site": TableColumn("Site", link=link_to("towpath-site", site=cell())),
        "answered_last": TableColumn("State", value_texts=UP, width=80),
        "answered_mean": TableColumn(
            "Answered",
            "percentunit",
            steps=((None, AMBER), (1, GREEN)),
            width=110,
            decimals=1,
        ),
        "uptime_s_last": TableColumn("Running for", "s", width=110, decimals=0),
        "restarted_sum": TableColumn("Restarts", "short", width=90, decimals=0),
    },
    sort=("answered_mean", False),
    no_value="No access point is polled itself",
)
CONTROLLERS = Panel(
    "How many access points does each controller have?",
    "Access points that are joined to a controller: now, and the fewest and most of "
    "the time range. Fewer now than at most: some have gone, and the controller's own "
    "pages name them; so do its traps below.",
    (
        PanelQuery(
            select(
                "wireless",
                ("value", "last"),
                ("value", "min"),
                ("value", "max"),
                by=("device", "site", "radio"),
                where=_of("ap-count"),
            ),
            variables=_SITE,
        ),
    ),
    "short",
    "table",
    width=12,
    height=7,
    columns={
        "device": TableColumn("Controller", link=_DEVICE_LINK),
        "site": TableColumn("Site", width=130),
        "radio": TableColumn("Counted"),
        "value_last": TableColumn("Now", "none", width=70, decimals=0),
        "value_min": TableColumn("Fewest", "none", width=80, decimals=0),
        "value_max": TableColumn("Most", "none", width=80, decimals=0),
        "gone": TableColumn(
            "Gone", "none", steps=((None, GREEN), (1, AMBER)), width=75, decimals=0
        ),
    },
    calculated=(Calculated("gone", "value_max", "-", "value_last"),),
    sort=("gone", True),
    no_value="No controller",
)
RADIO_EVENTS = Panel(
    "Which access points were reported?",
    "Traps of controllers about access points in the time range, the latest first.",
    (
        PanelQuery(
            select(
                "event",
                ("text", "last"),
                ("level", "last"),
                ("active", "last"),
                ("last_ms", "last"),
                ("count", "sum"),
                by=("device", "event", "port", "about"),
                where=(
                    Where(
                        "event",
                        (
                            "access_point_down",
                            "access_point_restarted",
                            "rogue_access_point",
                        ),
                    ),
                ),
            ),
            variables=_SITE,
        ),
    ),
    "none",
    "table",
    width=12,
    height=7,
    columns={
        "last_ms_last": EVENT_COLUMNS["last_ms_last"],
        "text_last": TableColumn(
            "Message", link=_SWITCH_LINK, link_title="Show the controller"
        ),
        "active_last": EVENT_COLUMNS["active_last"],
        "count_sum": EVENT_COLUMNS["count_sum"],
        "level_last": TableColumn("Severity", hidden=True),
        "device": TableColumn("Controller", hidden=True),
        "event": TableColumn("Event", hidden=True),
        "port": TableColumn("Port", hidden=True),
        "about": TableColumn("About", hidden=True),
    },
    sort=("last_ms_last", True),
    no_value="None",
)
RADIOS = Panel(
    "Which radios are too busy?",
    "One row per radio or network that reports any of this, the busiest channel "
    "first. A channel in use for half of the time leaves little for calls: fewer "
    "networks, another channel, narrower channels, or less power. Noise is good below "
    "-90 dBm; above -80 dBm something else transmits there. "
    f"{ESTIMATED}",
    (
        _radios("utilization", "p95"),
        _radios("clients", "max"),
        _radios("noise-floor", "mean"),
        _radios("channel", "last"),
        _radios("frequency", "min"),
        _radios("power", "p50"),
    ),
    "none",
    "table",
    width=24,
    height=12,
    columns={
        "radio": TableColumn("Radio or network"),
        "device": TableColumn("Device", link=_DEVICE_LINK, width=220),
        "site": TableColumn("Site", width=150),
        "value_p95": TableColumn(
            "Channel in use, p95", "percent", gauge=True, maximum=100, width=190
        ),
        "value_max": TableColumn("Clients, most", "none", width=120, decimals=0),
        "value_mean": TableColumn("Noise, mean", "dBm", width=120, decimals=0),
        "value_last": TableColumn("Channel", "none", width=90, decimals=0),
        "value_min": TableColumn("Frequency, MHz", "none", width=130, decimals=0),
        "value_p50": TableColumn("Transmit power", "dBm", width=130, decimals=0),
    },
    sort=("value_p95", True),
    no_value="No radio reports",
)
BUSIEST_DEVICES = busiest(
    "most_clients",
    "Devices with most clients",
    select("wireless", ("value", "max"), by=("device",), where=_of("clients")),
    _LINES,
    _SITE,
)
CLIENTS_OF_SITES = Panel(
    "Where are the most clients?",
    f"The {_LINES} access points or controllers with most clients: the total if the "
    "device reports one, else its busiest radio. Compare with the number of people "
    "there.",
    (
        PanelQuery(
            select("wireless", ("value", "max"), by=("device",), where=_of("clients")),
            "$tag_device",
            {"site": "site", "device": "most_clients"},
        ),
    ),
    "short",
    width=24,
    soft_minimum=0,
    soft_maximum=5,
    decimals=0,
)


WEAK = Panel(
    "Is the Wi-Fi too weak for calls?",
    "Share of laptops' Wi-Fi readings at the site at -75 dBm or below, which is too "
    "weak for calls. Only groups of enough laptops are shown. "
    f"{what_to_do('wifi_weak_site')}",
    (
        PanelQuery(
            select(
                "experience",
                ("wifi_weak_ratio", "mean"),
                by=("group",),
                where=(Where("by", ("site",)),),
            ),
            "$tag_group",
            {"group": "weakest"},
        ),
    ),
    "percentunit",
    width=24,
    steps=steps_of_rule("wifi_weak_site"),
    soft_minimum=0,
    soft_maximum=0.1,
)
SIGNAL = Panel(
    "How strong is the Wi-Fi that laptops see?",
    "Median level of laptops' Wi-Fi at the site, of the sites with the weakest. Above "
    "-65 dBm is good; below -75 dBm is too weak for calls: an access point is away, or "
    "the room needs one. Only groups of enough laptops are shown.",
    (
        PanelQuery(
            select(
                "experience",
                ("signal_p50_dbm", "mean"),
                by=("group",),
                where=(Where("by", ("site",)),),
            ),
            "$tag_group",
            {"group": "weakest"},
        ),
    ),
    "dBm",
    width=24,
    steps=PLAIN,
    soft_minimum=-90,
    soft_maximum=-40,
)
WEAKEST = busiest(
    "weakest",
    "Sites with the weakest Wi-Fi",
    select(
        "experience",
        ("wifi_weak_ratio", "max"),
        by=("group",),
        where=(Where("by", ("site",)),),
    ),
    _LINES,
    {"group": "site"},
)
