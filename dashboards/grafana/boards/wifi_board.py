"""Access points, controllers and their radios, by site and by device."""

from collectors.store.query import Where
from dashboards.grafana.board import (
    Board,
    BoardRow,
    Variable,
    search_box,
    sites,
)
from dashboards.grafana.boards.radio_graphs import (
    BUSIEST_RADIOS,
    CHANNEL_USE,
    CLIENTS,
    FULLEST_CHANNELS,
    LOUDEST_RADIOS,
    NOISE,
    RADIOS_OF_DEVICE,
)
from dashboards.grafana.boards.radio_panels import (
    ACCESS_POINTS,
    BUSIEST_DEVICES,
    CLIENTS_OF_SITES,
    CONTROLLERS,
    RADIO_EVENTS,
    RADIOS,
    SIGNAL,
    SITES_UP,
    WEAK,
    WEAKEST,
)

_RADIO_CLASSES = ("ap-count", "clients", "utilization", "noise-floor", "frequency")

WIFI = Board(
    "towpath-wifi",
    "Wi-Fi",
    "Access points and controllers of the sites: which are away, how many clients they "
    "have, how busy their channels are; then one of them over time.",
    (
        BoardRow("Sites", (CLIENTS_OF_SITES, RADIOS)),
        BoardRow("Controllers", (CONTROLLERS, RADIO_EVENTS), collapsed=True),
        BoardRow("Clients of $device", (CLIENTS,), collapsed=True),
        BoardRow("Channels of $device", (CHANNEL_USE, NOISE), collapsed=True),
        BoardRow(
            "Access points that are polled themselves",
            (SITES_UP, ACCESS_POINTS),
            collapsed=True,
        ),
        BoardRow("All figures of $device", (RADIOS_OF_DEVICE,), collapsed=True),
        BoardRow("What laptops see", (WEAK, SIGNAL), collapsed=True),
    ),
    (
        sites(),
        search_box("search", "Radio or access point has"),
        Variable(
            "device",
            "One device",
            "wireless",
            "device",
            {"site": "site"},
            multiple=False,
            where=(Where("class", _RADIO_CLASSES),),
        ),
        BUSIEST_DEVICES,
        BUSIEST_RADIOS,
        FULLEST_CHANNELS,
        LOUDEST_RADIOS,
        WEAKEST,
    ),
    links=("towpath-site", "towpath-switch", "towpath-remote"),
)
