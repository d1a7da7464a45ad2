"""Panels about UPSs, PDUs, temperature and humidity of sites, the worst first."""

from collectors.store.query import Aggregate, Where
from dashboards.grafana.board import (
    AMBER,
    GREEN,
    RED,
    Panel,
    PanelQuery,
    RowTest,
    TableColumn,
    cell,
    column,
    link_to,
    select,
)
from dashboards.grafana.boards.device_panels import EVENT_COLUMNS
from dashboards.grafana.boards.key_texts import ROLES
from dashboards.grafana.boards.rule_texts import what_to_do
from dashboards.grafana.boards.sensor_panels import (
    SEVERITY,
    of_class,
)

_SITE = {"site": "site"}
_DEVICE = {"device": "device"}
_BY_DEVICE = ("device", "site")
# Network devices have sensors for every optic and chip: theirs are on the Switch board.
_NOT_NETWORK = Where(
    "role", ("switch", "router", "firewall", "access_point", "controller"), negate=True
)
# How long a UPS has been on battery is not how long it will last.
LEFT = Where("sensor", ("Time on battery",), negate=True)
_THIS_DEVICE = link_to("towpath-power", ("site",), device=cell())
_THAT_DEVICE = link_to("towpath-power", ("site",), device=column("device"))
_ITS_SITE = link_to("towpath-site", site=cell())
_DEVICE_COLUMN = TableColumn("Device", link=_THIS_DEVICE, link_title="Show this device")
_SITE_COLUMN = TableColumn("Site", link=_ITS_SITE, width=150)


def _of_class(
    name: str, aggregate: Aggregate, *more: Where, field: str = "value"
) -> PanelQuery:
    """One figure of every device at the sites; the aggregate names its column."""
    query = select(
        "sensor", (field, aggregate), by=_BY_DEVICE, where=(*of_class(name), *more)
    )
    return PanelQuery(query, variables=_SITE, searches={"device": "search"})


ON_BATTERY = Panel(
    "Is any UPS on battery?",
    "Whether a UPS at these sites runs on battery now. If so, it is the first one "
    f"below. {what_to_do('ups_runs_on_battery')}",
    (PanelQuery(select("sensor", ("on_battery", "max")), variables=_SITE),),
    "none",
    "stat",
    width=6,
    height=4,
    value_texts={0: ("No", GREEN), 1: ("Yes", RED)},
    newest=True,
    tiles=True,
    no_value="No UPS is polled",
)
SHORTEST = Panel(
    "How long does the weakest UPS last?",
    "Least time that any UPS at these sites says it would run on battery. Long enough "
    "to shut down what it powers, at least; it falls as batteries age and load grows.",
    (
        PanelQuery(
            select("sensor", ("value", "min"), where=(*of_class("runtime"), LEFT)),
            variables=_SITE,
        ),
    ),
    "m",
    "stat",
    width=6,
    height=4,
    steps=((None, "blue"),),
    decimals=0,
    newest=True,
    no_value="Not reported",
)
FAILING = Panel(
    "Is any part failing?",
    "The worst sensor of all devices at these sites but network devices, by its own "
    f"states and limits. {what_to_do('sensor_critical')}",
    (
        PanelQuery(
            select("sensor", ("severity", "max"), where=(_NOT_NETWORK,)),
            variables=_SITE,
        ),
    ),
    "none",
    "stat",
    width=6,
    height=4,
    value_texts={0: ("No", GREEN), 1: ("Nearly", AMBER), 2: ("Yes", RED)},
    newest=True,
    tiles=True,
    no_value="No limits known",
)
WARMEST = Panel(
    "How warm is the warmest room?",
    "Highest temperature that a UPS, a probe or another device that is no network "
    "device measures at these sites. Above 27 °C equipment ages; look at the cooling.",
    (
        PanelQuery(
            select(
                "sensor",
                ("value", "max"),
                where=(*of_class("temperature"), Where("role", ("environment",))),
            ),
            variables=_SITE,
        ),
    ),
    "celsius",
    "stat",
    width=6,
    height=4,
    steps=((None, "blue"),),
    decimals=1,
    newest=True,
    no_value="No probe is polled",
)
UPS = Panel(
    "Which UPS needs attention?",
    "One row per UPS, those on battery first. Load above 80 % leaves nothing for the "
    "other of two UPSs; charge below 100 % on mains power, or a time left that falls "
    f"over months: the battery ages. {what_to_do('ups_battery_low')}",
    (
        PanelQuery(
            select("sensor", ("on_battery", "max"), by=_BY_DEVICE),
            variables=_SITE,
            searches={"device": "search"},
        ),
        _of_class("runtime", "min", LEFT),
        _of_class("charge", "mean"),
        _of_class("load", "max", Where("role", ("firewall",), negate=True)),
    ),
    "none",
    "table",
    width=14,
    height=10,
    columns={
        "device": _DEVICE_COLUMN,
        "site": _SITE_COLUMN,
        "on_battery_max": TableColumn(
            "On battery",
            value_texts={1: ("Yes", RED), 0: ("No", GREEN)},
            width=95,
            absent="not reported",
        ),
        "value_min": TableColumn("Time left", "m", width=95, decimals=0),
        "value_mean": TableColumn(
            "Charge", "percent", gauge=True, maximum=100, width=130
        ),
        "value_max": TableColumn("Load", "percent", gauge=True, maximum=100, width=130),
    },
    sort=("on_battery_max", True),
    newest=True,
    no_value="No UPS is polled",
)
FAILING_DEVICES = Panel(
    "Which devices have a failing part?",
    "Devices with a sensor close to or past a limit, or in a faulty state, in the time "
    "range, the worst first. Select a device for its parts. "
    f"{what_to_do('sensor_critical')}",
    (
        PanelQuery(
            select("sensor", ("severity", "max"), by=("device", "site", "role")),
            variables=_SITE,
            searches={"device": "search"},
        ),
    ),
    "none",
    "table",
    width=10,
    height=10,
    columns={
        "device": _DEVICE_COLUMN,
        "site": _SITE_COLUMN,
        "role": TableColumn("Role", value_texts=ROLES, colour="none", width=110),
        "severity_max": TableColumn("Worst part", value_texts=SEVERITY, width=190),
    },
    rows_if=(RowTest("severity_max", "greaterOrEqual", 1),),
    sort=("severity_max", True),
    no_value="None",
)


def _room(
    title: str, description: str, name: str, unit: str, *where: Where, decimals: int = 1
) -> Panel:
    """A table of the sensors of one class, the highest first."""
    return Panel(
        title,
        description,
        (
            PanelQuery(
                select(
                    "sensor",
                    ("value", "last"),
                    ("value", "min"),
                    ("value", "max"),
                    ("severity", "last"),
                    by=("device", "site", "sensor"),
                    where=(*of_class(name), *where),
                ),
                variables=_SITE,
                searches={"device": "search"},
            ),
        ),
        unit,
        "table",
        height=9,
        columns={
            "sensor": TableColumn("Sensor"),
            "device": TableColumn("Device", link=_THAT_DEVICE, width=140),
            "site": TableColumn("Site", link=_ITS_SITE, width=105),
            "value_last": TableColumn("Now", unit, width=80, decimals=decimals),
            "value_min": TableColumn("Lowest", unit, width=80, decimals=decimals),
            "value_max": TableColumn("Highest", unit, width=80, decimals=decimals),
            "severity_last": TableColumn(
                "Rating", value_texts=SEVERITY, width=125, absent="no limit"
            ),
        },
        sort=("value_last", True),
        rows_at_most=200,
        no_value="Not measured",
    )


TEMPERATURES = _room(
    "Where is it warm?",
    "Temperatures that probes, UPSs and PDUs measure, the warmest first; network "
    "devices are left out, because their chips say little about the room. Rooms are "
    f"best between 18 and 27 °C. {what_to_do('sensor_critical')}",
    "temperature",
    "celsius",
    _NOT_NETWORK,
)
HUMIDITIES = _room(
    "Where is it damp?",
    "Relative humidity that probes measure, the dampest first. Good between about 20 "
    "and 80 %: below, static electricity; above, condensation.",
    "humidity",
    "humidity",
    _NOT_NETWORK,
    decimals=0,
)
CURRENTS = _room(
    "Which PDUs and circuits carry most?",
    "Current of PDUs, their banks and outlets, and of UPSs, the highest first. A "
    "circuit trips near its rating: move something before it carries 80 % of that.",
    "current",
    "amp",
    _NOT_NETWORK,
)
POWERS = _room(
    "What draws most power?",
    "Power of PDUs, their outlets and of UPSs, the highest first.",
    "power",
    "watt",
    _NOT_NETWORK,
)
EVENTS = Panel(
    "What did UPSs and PDUs report?",
    "Traps of devices that are no network devices, the latest first.",
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
                where=(_NOT_NETWORK,),
            ),
            variables=_SITE,
            searches={"device": "search"},
        ),
    ),
    "none",
    "table",
    width=24,
    height=7,
    columns={
        "last_ms_last": EVENT_COLUMNS["last_ms_last"],
        "device": TableColumn("Device", link=_THIS_DEVICE, width=220),
        "level_last": EVENT_COLUMNS["level_last"],
        "text_last": TableColumn("Message"),
        "active_last": EVENT_COLUMNS["active_last"],
        "count_sum": EVENT_COLUMNS["count_sum"],
        "event": TableColumn("Event", hidden=True),
        "port": TableColumn("Port", hidden=True),
        "about": TableColumn("About", hidden=True),
    },
    sort=("last_ms_last", True),
    no_value="None",
)
