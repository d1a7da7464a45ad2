"""Panels about one UPS, PDU or probe over time."""

from collectors.store.query import Where
from dashboards.grafana.board import GREEN, RED, Panel, PanelQuery, select
from dashboards.grafana.boards.power_panels import LEFT
from dashboards.grafana.boards.sensor_panels import highest, of_class

_DEVICE = {"device": "device"}


def _graph(title: str, description: str, kind: tuple[str, str], variable: str) -> Panel:
    """A graph of the chosen device's sensors of one class; `kind` is (class, unit)."""
    name, unit = kind
    query = select("sensor", ("value", "mean"), by=("sensor",), where=of_class(name))
    return Panel(
        title,
        description,
        (PanelQuery(query, "$tag_sensor", {**_DEVICE, "sensor": variable}),),
        unit,
        soft_minimum=0 if unit in ("percent", "amp", "watt") else None,
    )


def _lowest(
    title: str, description: str, kind: tuple[str, str], *where: Where
) -> Panel:
    """A graph of the lowest of the chosen device's sensors of one class."""
    name, unit = kind
    query = select("sensor", ("value", "min"), where=(*of_class(name), *where))
    return Panel(
        title,
        description,
        (PanelQuery(query, "lowest", _DEVICE),),
        unit,
        soft_minimum=0,
    )


BATTERY_STATE = Panel(
    "When was it on battery?",
    "Red: a UPS ran on battery at some time of the interval. Gap: not observed.",
    (
        PanelQuery(
            select("sensor", ("on_battery", "max"), by=("device",)),
            "$tag_device",
            _DEVICE,
        ),
    ),
    "none",
    "state-timeline",
    width=24,
    height=4,
    value_texts={1: ("On battery", RED), 0: ("On mains", GREEN)},
)
CHARGE = _lowest(
    "How full is its battery?",
    "Charge, the lowest of its batteries. On mains power it returns to 100 % within "
    "hours; if not, the battery is worn out.",
    ("charge", "percent"),
)
RUNTIME = _lowest(
    "How long would it last?",
    "Time left on battery at the present load. It falls as the battery ages: compare "
    "with last year.",
    ("runtime", "m"),
    LEFT,
)
LOAD = _graph(
    "How loaded is it?",
    "Share of its capacity, the highest outputs.",
    ("load", "percent"),
    "most_loaded",
)
VOLTAGE = _graph(
    "Is the mains voltage steady?",
    "The highest voltages that it measures. Dips and swells of the input show trouble "
    "of the supply before it fails.",
    ("voltage", "volt"),
    "highest_voltage",
)
CURRENT = _graph(
    "What current does it carry?",
    "Its circuits or outlets with the highest current.",
    ("current", "amp"),
    "most_current",
)
POWER = _graph(
    "What power does it draw?",
    "Its circuits or outlets with the highest power.",
    ("power", "watt"),
    "most_power",
)
HUMIDITY = _graph(
    "How damp is it?",
    "Relative humidity of its probes.",
    ("humidity", "humidity"),
    "dampest",
)

HIGHEST = (
    highest("most_loaded", "Most loaded outputs", "load"),
    highest("highest_voltage", "Highest voltages", "voltage"),
    highest("most_current", "Highest currents", "current"),
    highest("most_power", "Highest powers", "power"),
    highest("dampest", "Dampest probes", "humidity"),
)
