"""One device: its ports, its hardware, whether it answers."""

from dashboards.grafana.board import (
    Board,
    BoardRow,
    Variable,
    sites,
)
from dashboards.grafana.boards.device_panels import (
    ANSWERED,
    ANSWERS,
    EVENTS,
    FINDINGS,
    HAS_FINDINGS,
    INVENTORY,
    MEMORY,
    PING_LOSS,
    PINGS,
    POLL_TIME,
    PORTS_UP,
    PROCESSORS,
    REQUESTS,
    RESTARTS,
    ROUND_TRIP,
    RUNNING,
    STATE,
    STORAGE,
)
from dashboards.grafana.boards.ip_sla_panels import IP_SLA_OF_DEVICE
from dashboards.grafana.boards.neighbour_panels import NEIGHBOURS
from dashboards.grafana.boards.radio_graphs import RADIOS_OF_DEVICE
from dashboards.grafana.boards.sensor_panels import (
    CONSTANTS,
    FANS,
    HOTTEST,
    OPTICS,
    PARTS,
    POE_NOW,
    POE_PORTS,
    READINGS_TABLE,
    STACK,
    TEMPERATURE,
    WORST_PART,
)
from dashboards.grafana.boards.switch_ports import (
    DISCARDS,
    ERRORS,
    PORT_VARIABLES,
    PORTS_BY_LOSS,
    PORTS_BY_USE,
    TRAFFIC,
    UP_NOW,
    USE,
    WENT_DOWN,
)

SWITCH = Board(
    "towpath-switch",
    "Switch",
    "One switch, router, firewall or other device: which ports are up, busy or faulty, "
    "and how its hardware is. Rows below the first ones are closed, because not every "
    "device has what they show.",
    (
        BoardRow(
            "Now",
            (
                ANSWERS,
                RUNNING,
                ROUND_TRIP,
                PORTS_UP,
                WORST_PART,
                HAS_FINDINGS,
                INVENTORY,
            ),
        ),
        BoardRow("Ports", (UP_NOW, USE, PORTS_BY_USE, PORTS_BY_LOSS)),
        BoardRow("Traffic", (TRAFFIC,)),
        BoardRow("Answering", (ANSWERED, RESTARTS, STATE, POLL_TIME)),
        BoardRow("Pings", (PINGS, PING_LOSS), collapsed=True),
        BoardRow("SNMP requests", (REQUESTS,), collapsed=True),
        BoardRow("Ports that went down", (WENT_DOWN,), collapsed=True),
        BoardRow("Errors and discards over time", (ERRORS, DISCARDS), collapsed=True),
        BoardRow("Neighbours", (NEIGHBOURS,), collapsed=True),
        BoardRow("Findings and events", (FINDINGS, EVENTS), collapsed=True),
        BoardRow(
            "Processor, memory and disks",
            (PROCESSORS, MEMORY, STORAGE),
            collapsed=True,
        ),
        BoardRow("Parts and sensors", (PARTS, READINGS_TABLE), collapsed=True),
        BoardRow("Temperature and fans", (TEMPERATURE, FANS), collapsed=True),
        BoardRow("Power over Ethernet", (POE_NOW, POE_PORTS), collapsed=True),
        BoardRow("Optics", (OPTICS,), collapsed=True),
        BoardRow("Stack", (STACK,), collapsed=True),
        BoardRow("Radios and modems", (RADIOS_OF_DEVICE,), collapsed=True),
        BoardRow("Tests by the router (IP SLA)", (IP_SLA_OF_DEVICE,), collapsed=True),
    ),
    (
        sites(),
        Variable(
            "device", "Device", "device", "device", {"site": "site"}, multiple=False
        ),
        *PORT_VARIABLES,
        HOTTEST,
        *CONSTANTS,
    ),
    since="now-6h",
    links=("towpath-site", "towpath-port", "towpath-power"),
)
