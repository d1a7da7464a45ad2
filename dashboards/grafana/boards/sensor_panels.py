"""Panels about the sensors of one device: each class in its own unit."""

from collectors.snmp.tables.quantities import SENSORS
from collectors.store.query import Where
from dashboards.grafana.board import (
    AMBER,
    GREEN,
    NEUTRAL,
    RED,
    Panel,
    PanelQuery,
    TableColumn,
    ValueTexts,
    Variable,
    busiest,
    select,
)
from dashboards.grafana.boards.device_panels import TO_PORT
from dashboards.grafana.boards.rule_texts import what_to_do

SEVERITY: ValueTexts = {
    0: ("Normal", GREEN),
    1: ("Close to a limit", AMBER),
    2: ("Failed or past a limit", RED),
}
_WORDS = {
    "airflow": "air flow",
    "charge": "battery charge",
    "current": "current",
    "dbm": "optical power",
    "delay": "delay",
    "fanspeed": "fan speed",
    "frequency": "mains frequency",
    "humidity": "humidity",
    "load": "load",
    "loss": "loss",
    "percent": "",
    "power": "power",
    "power_consumed": "energy",
    "pressure": "pressure",
    "runtime": "time on battery",
    "signal": "radio signal",
    "snr": "signal to noise",
    "temperature": "temperature",
    "voltage": "voltage",
}


def reading_text(name: str) -> str:
    """Returns the unit of a class of sensors and what it measures, such as `°C,
    temperature`."""
    unit = (SENSORS[name].unit or "").replace("C", "°C") if name in SENSORS else ""
    words = _WORDS.get(name, name.replace("_", " "))
    return ", ".join(part for part in (unit, words) if part)


READINGS: ValueTexts = {name: (reading_text(name), NEUTRAL) for name in SENSORS}
_LINES = 8
_DEVICE = {"device": "device"}


def of_class(*classes: str, negate: bool = False) -> tuple[Where, ...]:
    return (Where("class", classes, negate),)


def highest(name: str, label: str, sensor_class: str) -> Variable:
    """Returns the hidden variable of a device's sensors of one class that read most."""
    query = select(
        "sensor", ("value", "max"), by=("sensor",), where=of_class(sensor_class)
    )
    return busiest(name, label, query, _LINES, _DEVICE)


HOTTEST = highest("hottest", "Hottest sensors", "temperature")

WORST_PART = Panel(
    "Is any part failing?",
    "The worst of all its sensors, by its own states and limits: fans, power "
    "supplies, temperatures, optics, batteries. If it is not normal: "
    f"{what_to_do('sensor_critical')}",
    (PanelQuery(select("sensor", ("severity", "max")), variables=_DEVICE),),
    "none",
    "stat",
    width=4,
    height=4,
    value_texts={0: ("No", GREEN), 1: ("Nearly", AMBER), 2: ("Yes", RED)},
    newest=True,
    no_value="No limits known",
)
PARTS = Panel(
    "Which parts report a fault?",
    "What the device says of its power supplies, fans, modules, batteries and links, "
    f"the worst first. {what_to_do('sensor_critical')}",
    (
        PanelQuery(
            select(
                "sensor",
                ("severity", "last"),
                ("state", "last"),
                ("severity", "max"),
                by=("sensor",),
                where=of_class("state"),
            ),
            variables=_DEVICE,
        ),
    ),
    "none",
    "table",
    width=10,
    height=11,
    columns={
        "sensor": TableColumn("Part"),
        "state_last": TableColumn("State", width=170),
        "severity_last": TableColumn(
            "Now", value_texts=SEVERITY, width=150, absent="not rated"
        ),
        "severity_max": TableColumn(
            "Worst", value_texts=SEVERITY, width=150, absent="not rated"
        ),
    },
    sort=("severity_last", True),
    no_value="None",
)
READINGS_TABLE = Panel(
    "Which readings are close to a limit?",
    "All figures that the device measures, each with its unit, those past a limit "
    "first. Limits are the device's own; a figure without one cannot be rated. "
    f"{what_to_do('sensor_warning')}",
    (
        PanelQuery(
            select(
                "sensor",
                ("severity", "last"),
                ("value", "last"),
                ("value", "min"),
                ("value", "max"),
                ("low", "last"),
                ("high", "last"),
                by=("class", "sensor"),
                where=of_class("state", negate=True),
            ),
            variables=_DEVICE,
        ),
    ),
    "none",
    "table",
    width=14,
    height=11,
    columns={
        "sensor": TableColumn("Sensor"),
        "value_last": TableColumn("Now", "none", width=80, align="right"),
        "class": TableColumn("Unit", value_texts=READINGS, colour="none", width=140),
        "severity_last": TableColumn(
            "Rating", value_texts=SEVERITY, width=140, absent="no limit"
        ),
        "value_min": TableColumn("Lowest", "none", width=80),
        "value_max": TableColumn("Highest", "none", width=80),
        "low_last": TableColumn("Lower limit", "none", width=95),
        "high_last": TableColumn("Upper limit", "none", width=95),
    },
    sort=("severity_last", True),
    no_value="It reports no readings",
)
TEMPERATURE = Panel(
    "How warm does it get?",
    f"Its {_LINES} hottest sensors. Parts of a device run far hotter than its room: "
    "compare with its own limits below, and with last week. A rise of all: the room's "
    "cooling, or a blocked fan.",
    (
        PanelQuery(
            select(
                "sensor",
                ("value", "max"),
                by=("sensor",),
                where=of_class("temperature"),
            ),
            "$tag_sensor",
            {"device": "device", "sensor": "hottest"},
        ),
    ),
    "celsius",
)
FANS = Panel(
    "Do its fans turn?",
    "Each fan's speed, the slowest first. 0: it stands still. What is normal differs "
    "by model: compare fans of one device.",
    (
        PanelQuery(
            select(
                "sensor",
                ("value", "last"),
                ("value", "min"),
                ("value", "max"),
                ("severity", "last"),
                by=("sensor",),
                where=of_class("fanspeed"),
            ),
            variables=_DEVICE,
        ),
    ),
    "rotrpm",
    "table",
    columns={
        "sensor": TableColumn("Fan"),
        "value_last": TableColumn("Now", "rotrpm", width=110, decimals=0),
        "value_min": TableColumn("Slowest", "rotrpm", width=110, decimals=0),
        "value_max": TableColumn("Fastest", "rotrpm", width=110, decimals=0),
        "severity_last": TableColumn(
            "Rating", value_texts=SEVERITY, width=150, absent="no limit"
        ),
    },
    sort=("value_last", False),
)
POE_NOW = Panel(
    "How much PoE power is left?",
    "What the switch can give to telephones, cameras and access points, and what they "
    "draw. If what is drawn comes close to the budget, ports lose power in the order "
    "of their priority: move devices to another switch, or add a power supply.",
    (
        PanelQuery(
            select(
                "sensor", ("value", "mean"), by=("sensor",), where=of_class("power")
            ),
            "$tag_sensor",
            _DEVICE,
            searches={"sensor": "poe_budget"},
        ),
        PanelQuery(
            select("sensor", ("value", "max"), by=("sensor",), where=of_class("power")),
            "$tag_sensor",
            _DEVICE,
            searches={"sensor": "poe_drawn"},
        ),
    ),
    "watt",
    soft_minimum=0,
    decimals=1,
)
POE_PORTS = Panel(
    "Which ports draw PoE power?",
    "The port that draws most first, beside the switch's own budget if it reports one. "
    "0 W on a port with a telephone or an access point: it has no power.",
    (
        PanelQuery(
            select(
                "sensor",
                ("value", "last"),
                ("value", "max"),
                ("value", "min"),
                by=("sensor",),
                where=of_class("power"),
            ),
            variables=_DEVICE,
            searches={"sensor": "poe"},
        ),
    ),
    "watt",
    "table",
    columns={
        "sensor": TableColumn("Port or supply"),
        "value_last": TableColumn("Now", "watt", width=100, decimals=1),
        "value_max": TableColumn("Highest", "watt", width=100, decimals=1),
        "value_min": TableColumn("Lowest", "watt", width=100, decimals=1),
    },
    sort=("value_last", True),
)
OPTICS = Panel(
    "Which optics have too little light?",
    "Power that optics send and receive, the weakest first. -40 dBm is dark: no "
    "cable, or the far end is off. Power that falls over weeks: a dirty connector or "
    "an ageing optic. Past a limit of the optic: clean or replace it.",
    (
        PanelQuery(
            select(
                "sensor",
                ("value", "last"),
                ("value", "min"),
                ("value", "max"),
                ("low", "last"),
                ("high", "last"),
                ("severity", "last"),
                by=("sensor", "port"),
                where=of_class("dbm"),
            ),
            variables=_DEVICE,
        ),
    ),
    "dBm",
    "table",
    width=24,
    height=9,
    columns={
        "sensor": TableColumn("Optic"),
        "port": TableColumn("Port", width=170, link=TO_PORT),
        "value_last": TableColumn("Now", "dBm", width=110, decimals=1),
        "value_min": TableColumn("Lowest", "dBm", width=110, decimals=1),
        "value_max": TableColumn("Highest", "dBm", width=110, decimals=1),
        "low_last": TableColumn("Lower limit", "dBm", width=120, decimals=1),
        "high_last": TableColumn("Upper limit", "dBm", width=120, decimals=1),
        "severity_last": TableColumn(
            "Rating", value_texts=SEVERITY, width=170, absent="no limit"
        ),
    },
    sort=("value_last", False),
)
STACK = Panel(
    "Is the stack complete?",
    "Members, roles, ring and ports of the stack, the worst first. A ring that is open "
    f"still works, but not through the next fault. {what_to_do('device_fault')}",
    (
        PanelQuery(
            select(
                "sensor",
                ("state", "last"),
                ("severity", "last"),
                ("severity", "max"),
                by=("sensor",),
                where=of_class("state"),
            ),
            variables=_DEVICE,
            searches={"sensor": "stack"},
        ),
    ),
    "none",
    "table",
    width=24,
    columns={
        "sensor": TableColumn("Member, role or port"),
        "state_last": TableColumn("State", width=250),
        "severity_last": TableColumn(
            "Now", value_texts=SEVERITY, width=180, absent="not rated"
        ),
        "severity_max": TableColumn(
            "Worst", value_texts=SEVERITY, width=180, absent="not rated"
        ),
    },
    sort=("severity_last", True),
)
CONSTANTS = tuple(
    Variable(name, label, kind="constant", multiple=False, default=text)
    for name, label, text in (
        ("poe", "Sensors of PoE", "PoE"),
        ("poe_budget", "PoE budget", "PoE budget"),
        ("poe_drawn", "PoE drawn", "PoE drawn"),
        ("stack", "Sensors of a stack", "Stack"),
    )
)
