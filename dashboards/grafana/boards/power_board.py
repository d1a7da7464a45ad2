"""Power and environment: UPSs, PDUs, temperature and humidity."""

from dashboards.grafana.board import (
    Board,
    BoardRow,
    Variable,
    search_box,
    sites,
)
from dashboards.grafana.boards.power_graphs import (
    BATTERY_STATE,
    CHARGE,
    CURRENT,
    HIGHEST,
    HUMIDITY,
    LOAD,
    POWER,
    RUNTIME,
    VOLTAGE,
)
from dashboards.grafana.boards.power_panels import (
    CURRENTS,
    EVENTS,
    FAILING,
    FAILING_DEVICES,
    HUMIDITIES,
    ON_BATTERY,
    POWERS,
    SHORTEST,
    TEMPERATURES,
    UPS,
    WARMEST,
)
from dashboards.grafana.boards.sensor_panels import (
    HOTTEST,
    PARTS,
    READINGS_TABLE,
    TEMPERATURE,
)

POWER_BOARD = Board(
    "towpath-power",
    "Power and environment",
    "UPSs, PDUs, temperature and humidity of the sites, the worst first; then one "
    "device over time.",
    (
        BoardRow(
            "Sites",
            (ON_BATTERY, SHORTEST, FAILING, WARMEST, UPS, FAILING_DEVICES),
        ),
        BoardRow("Parts of $device", (PARTS, READINGS_TABLE)),
        BoardRow(
            "$device over time: battery",
            (BATTERY_STATE, CHARGE, RUNTIME, LOAD, VOLTAGE),
            collapsed=True,
        ),
        BoardRow("$device over time: circuits", (CURRENT, POWER), collapsed=True),
        BoardRow(
            "$device over time: temperature and humidity",
            (TEMPERATURE, HUMIDITY),
            collapsed=True,
        ),
        BoardRow("Rooms", (TEMPERATURES, HUMIDITIES), collapsed=True),
        BoardRow("PDUs and circuits", (CURRENTS, POWERS), collapsed=True),
        BoardRow("Events", (EVENTS,), collapsed=True),
    ),
    (
        sites(),
        Variable(
            "device", "One device", "sensor", "device", {"site": "site"}, multiple=False
        ),
        search_box("search", "Device has"),
        HOTTEST,
        *HIGHEST,
    ),
    links=("towpath-site", "towpath-switch"),
)
