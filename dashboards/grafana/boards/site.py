"""One site: its state and why, its alerts, lines, devices, ports with faults, calls."""

from collectors.store.query import Where
from dashboards.grafana.board import (
    BUSY,
    PLAIN,
    Board,
    BoardRow,
    Panel,
    PanelLink,
    PanelQuery,
    TableColumn,
    busiest,
    choice,
    label,
    link_to,
    select,
    sites,
    steps_of_rule,
    verdict_steps,
)
from dashboards.grafana.boards.firing_alerts import firing
from dashboards.grafana.boards.newest_rows import newest_rows
from dashboards.grafana.boards.radio_panels import BUSIEST_DEVICES
from dashboards.grafana.boards.rule_texts import what_to_do
from dashboards.grafana.boards.site_device_panels import (
    DEVICES,
    DEVICES_OVER_TIME,
    EVENTS,
    PARTS,
    PORTS_DOWN,
    PORTS_WITH_ERRORS,
)
from dashboards.grafana.boards.site_line_panels import (
    BACKUPS,
    STATES,
    TRAFFIC,
    USE_DOWN,
    USE_UP,
)
from dashboards.grafana.boards.site_states import STATES_TEXT, URGENCIES

_SITE = {"site": "site"}
_GROUP = {"group": "site"}
# The chosen site, as its selector shows it.
_NAME = "${site:text}"
_AT_SITE = (Where("by", ("site",)),)
_TO_POWER = PanelLink(
    "Show power and environment of this site", link_to("towpath-power", ("site",))
)
STATE = Panel(
    "How is the site, and why?",
    f"Its state now, as the status page has it. Working is good. {STATES_TEXT} No row: "
    "Towpath does not know; look at the board of Towpath itself.",
    newest_rows(
        "site",
        "name",
        "urgency",
        "why",
        "devices_up",
        "devices",
        "lines_up",
        "lines",
        "alerts_firing",
        "busiest_line_use_ratio",
        "call_poor_ratio",
        by=("site",),
        variables=_SITE,
    ),
    "short",
    "table",
    width=24,
    height=4,
    columns={
        "name_last": TableColumn("Site", width=200),
        "urgency_last": TableColumn(
            "State", value_texts=URGENCIES, colour="background", width=120
        ),
        "why_last": TableColumn("Why", absent="-"),
        "devices_up_last": TableColumn("Answering", "short", decimals=0, width=95),
        "devices_last": TableColumn("Devices", "short", decimals=0, width=85),
        "lines_up_last": TableColumn("Lines up", "short", decimals=0, width=85),
        "lines_last": TableColumn("Lines", "short", decimals=0, width=70),
        "alerts_firing_last": TableColumn("Alerts", "short", decimals=0, width=75),
        "busiest_line_use_ratio_last": TableColumn(
            "Busiest line",
            "percentunit",
            steps=BUSY,
            decimals=0,
            width=110,
            absent="not measured",
        ),
        "call_poor_ratio_last": TableColumn(
            "Poor calls",
            "percentunit",
            steps=verdict_steps("call_poor_ratio"),
            decimals=1,
            width=120,
            absent="too few laptops",
        ),
        "site": TableColumn("Id", hidden=True),
    },
    newest=True,
    no_value="The state of this site is not known",
)
SITE_OVER_TIME = Panel(
    "When was the site not working?",
    f"The worst state of each interval. Gap: Towpath did not know. {STATES_TEXT}",
    (PanelQuery(select("site", ("urgency", "max"), by=("site",)), _NAME, _SITE),),
    "short",
    "state-timeline",
    width=24,
    height=4,
    value_texts=URGENCIES,
)
_TO_CALLS = PanelLink(
    "Show its calls", link_to("towpath-calls", by="site", group=choice("site"))
)
MOS = Panel(
    "How good are calls here, and at home?",
    "Estimated MOS (narrowband E-model), median of the laptops at the site and, to "
    "compare, of all at home. Poor here and good at home: the site's Wi-Fi or line. "
    "Poor in both: what they share. No line: too few laptops.",
    (
        PanelQuery(
            select(
                "experience",
                ("mos_estimated_p50", "mean"),
                by=("group",),
                where=_AT_SITE,
            ),
            _NAME,
            _GROUP,
        ),
        PanelQuery(
            select(
                "experience",
                ("mos_estimated_p50", "mean"),
                by=("group",),
                where=(Where("by", ("place",)), Where("group", ("home",))),
            ),
            "at home",
        ),
    ),
    "none",
    width=8,
    steps=verdict_steps("mos_estimated_p50"),
    decimals=1,
    soft_minimum=3,
    soft_maximum=4.5,
    links=(_TO_CALLS,),
)
POOR = Panel(
    "How many calls are poor?",
    "Share of test calls by laptops at the site that missed a media target. "
    f"{what_to_do('calls_poor_site')}",
    (
        PanelQuery(
            select(
                "experience", ("call_poor_ratio", "mean"), by=("group",), where=_AT_SITE
            ),
            _NAME,
            _GROUP,
        ),
    ),
    "percentunit",
    width=8,
    steps=verdict_steps("call_poor_ratio"),
    soft_minimum=0,
    soft_maximum=0.2,
    links=(_TO_CALLS,),
)
LOOKUPS = Panel(
    "Do name lookups and web requests work here?",
    "Share of the DNS queries and web requests of laptops at the site that were "
    "answered; near 100% is good. Both fall: without names nothing else works. The "
    "web alone: the site's firewall or proxy, or the service. "
    f"{what_to_do('names_fail_site')}",
    tuple(
        PanelQuery(
            select("experience", (name, "mean"), by=("group",), where=_AT_SITE),
            shown,
            _GROUP,
        )
        for name, shown in (
            ("name_ok_ratio", "name lookups"),
            ("web_ok_ratio", "web requests"),
        )
    ),
    "percentunit",
    width=8,
    steps=steps_of_rule("names_fail_site"),
    soft_minimum=0.9,
    soft_maximum=1,
)
CLIENTS = Panel(
    "How many Wi-Fi clients are there?",
    "The access points or controllers with most clients: the total if the device "
    "reports one, else its busiest radio. None in working hours on one while the "
    "others have some: look at that access point.",
    (
        PanelQuery(
            select(
                "wireless",
                ("value", "max"),
                by=("device",),
                where=(Where("class", ("clients",)),),
            ),
            "$tag_device",
            {**_SITE, "device": BUSIEST_DEVICES.name},
        ),
    ),
    "short",
    steps=PLAIN,
    decimals=0,
    soft_minimum=0,
    link=PanelLink(
        "Show this device", link_to("towpath-switch", ("site",), device=label("device"))
    ),
)
POWER = Panel(
    "Do UPSs and their batteries hold?",
    "Lowest charge of all batteries at the site, per cent. It should be near 100 and "
    f"fall only while mains power is off. {what_to_do('ups_battery_low')}",
    (
        PanelQuery(
            select("sensor", ("value", "min"), where=(Where("class", ("charge",)),)),
            "lowest charge",
            _SITE,
        ),
    ),
    "percent",
    steps=PLAIN,
    soft_minimum=0,
    soft_maximum=100,
    links=(_TO_POWER,),
)
WARMEST = busiest(
    "warmest",
    "Warmest devices",
    select(
        "sensor",
        ("value", "max"),
        by=("device",),
        where=(Where("class", ("temperature",)),),
    ),
    8,
    _SITE,
)
TEMPERATURES = Panel(
    "How warm is it?",
    "The eight warmest devices, each by its warmest sensor. All rise at once: the "
    "room's cooling. "
    f"{what_to_do('sensor_warning')}",
    (
        PanelQuery(
            select(
                "sensor",
                ("value", "max"),
                by=("device",),
                where=(Where("class", ("temperature",)),),
            ),
            "$tag_device",
            {**_SITE, "device": WARMEST.name},
        ),
    ),
    "celsius",
    steps=PLAIN,
    links=(_TO_POWER,),
)

SITE = Board(
    "towpath-site",
    "Site",
    "One site: its state and why, alerts, lines, devices, ports with faults, calls.",
    (
        BoardRow("Now", (STATE, firing(_SITE, 6))),
        BoardRow("Over time", (SITE_OVER_TIME, DEVICES_OVER_TIME)),
        BoardRow("Lines", (USE_DOWN, USE_UP, TRAFFIC, STATES)),
        BoardRow("Devices and ports", (DEVICES, PORTS_DOWN, PORTS_WITH_ERRORS, PARTS)),
        BoardRow("Calls, names and the web", (MOS, POOR, LOOKUPS)),
        BoardRow("Backup lines", (BACKUPS,), collapsed=True),
        BoardRow("Events", (EVENTS,), collapsed=True),
        BoardRow("Wi-Fi", (CLIENTS,), collapsed=True),
        BoardRow("Power and temperature", (POWER, TEMPERATURES), collapsed=True),
    ),
    (
        sites(multiple=False),
        BUSIEST_DEVICES,
        WARMEST,
    ),
    links=(
        "towpath-estate",
        "towpath-switch",
        "towpath-wan",
        "towpath-calls",
        "towpath-alerts",
    ),
)
