"""One laptop's own results: personal data, left out by default.

It queries the personal database, is in a folder of its own, and the data is kept for 30
days. No name of a person, network or program is in it.
"""

from dashboards.grafana.board import Board, BoardRow, Variable
from dashboards.grafana.boards.laptop_figures import (
    BANDWIDTH,
    CABLE,
    DELAY,
    DISTURBED,
    HOP_LOSS,
    HOPS,
    LOADED,
    LOSS,
    MACHINE,
    MOS,
    RADIO,
    ROAMS,
    SIGNAL,
    TARGETS,
    VPN_ABOUT,
    VPN_DELAY,
    VPN_UP,
    WAITING,
    WEB_PHASES,
)
from dashboards.grafana.boards.laptop_tests import (
    LATEST,
    NAMES,
    RESULTS,
    WEB_SERVICES,
    WHEREABOUTS,
)

LAPTOP = Board(
    "towpath-laptop",
    "One laptop (personal data)",
    "What happened on one laptop, known by its pseudonym. Personal data: only for the "
    "person who asked, and whoever helps them.",
    (
        BoardRow("What happened, in order of time?", (WHEREABOUTS, RESULTS)),
        BoardRow("What failed?", (WEB_SERVICES, NAMES)),
        BoardRow("Calls and the path", (MOS, LOSS, DELAY, HOPS, HOP_LOSS)),
        BoardRow("Last results", (LATEST,), collapsed=True),
        BoardRow("Microsoft's media targets", (TARGETS,), collapsed=True),
        BoardRow("Wi-Fi", (SIGNAL, RADIO, DISTURBED, ROAMS), collapsed=True),
        BoardRow("VPN", (VPN_UP, VPN_DELAY, VPN_ABOUT), collapsed=True),
        BoardRow("Web requests", (WEB_PHASES,), collapsed=True),
        BoardRow("Speed tests", (BANDWIDTH, LOADED), collapsed=True),
        BoardRow("The laptop itself", (MACHINE, CABLE, WAITING), collapsed=True),
    ),
    (Variable("agent", "Laptop", "agent", "agent", multiple=False),),
    personal=True,
)
