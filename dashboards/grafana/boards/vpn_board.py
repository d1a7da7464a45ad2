"""VPN gateways, laptops' tunnels, and what the tunnel adds to the direct path."""

from dashboards.grafana.board import Board, BoardRow
from dashboards.grafana.boards.gateway_panels import (
    ANSWERING,
    CERTIFICATES,
    CONNECTING,
    GATEWAY,
    GATEWAYS,
    SLOWEST_GATEWAYS,
    STATES,
)
from dashboards.grafana.boards.session_panels import (
    MOST_SESSIONS,
    SESSIONS,
    SESSIONS_OVER_TIME,
)
from dashboards.grafana.boards.tunnel_panels import (
    ADDED,
    ADDED_BY_PRODUCT,
    ADDED_NOW,
    CALLS,
    CONNECT_TIME,
    DELAYS,
    LAPTOPS_BY_PLACE,
    LAPTOPS_NOW,
    LOSSES,
    PRODUCTS,
    RECONNECTED,
    SLOWEST_VPNS,
    TEAMS,
    UP_BY_PLACE,
    UP_NOW,
)

VPN = Board(
    "towpath-vpn",
    "VPN",
    "Do gateways answer, and how fast? Are laptops' tunnels up? Is the route through "
    "the tunnel worse than the direct one?",
    (
        BoardRow("Now", (ANSWERING, UP_NOW, LAPTOPS_NOW, ADDED_NOW)),
        BoardRow("Gateways", (GATEWAYS, STATES, CONNECTING)),
        BoardRow(
            "Tunnel and direct path",
            (PRODUCTS, DELAYS, LOSSES, ADDED, ADDED_BY_PRODUCT),
        ),
        BoardRow("Calls", (CALLS,)),
        BoardRow("Laptops outside offices", (UP_BY_PLACE, LAPTOPS_BY_PLACE)),
        BoardRow("Certificates and Teams", (CERTIFICATES, TEAMS)),
        BoardRow("Reconnecting", (RECONNECTED, CONNECT_TIME), collapsed=True),
        BoardRow(
            "Sessions and licences", (SESSIONS, SESSIONS_OVER_TIME), collapsed=True
        ),
    ),
    (GATEWAY, SLOWEST_GATEWAYS, SLOWEST_VPNS, MOST_SESSIONS),
    links=("towpath-estate", "towpath-remote", "towpath-calls"),
)
