"""The states of sites as the status page has them, with their colours."""

from dashboards.grafana.board import AMBER, BLUE, GREEN, RED, TableColumn, column
from dashboards.grafana.board_links import link_to

# By urgency, in the order in which the status page lists sites.
URGENCIES = {
    5: ("Down", "dark-red"),
    4: ("Problem", RED),
    3: ("Degraded", AMBER),
    2: ("No data", BLUE),
    1: ("Not monitored", BLUE),
    0: ("Working", GREEN),
}
STATE_COLOURS = dict(URGENCIES.values())
STATES_TEXT = (
    "Down: no device answers. Problem: a critical alert fires, a line is down or a "
    "device does not answer. Degraded: a warning fires or a backup line is down. No "
    "data: nothing arrived for minutes, so assume that Towpath is at fault."
)
TO_SITE = link_to("towpath-site", site=column("site"))


def site_column(width: int = 160, title: str = "Site") -> TableColumn:
    """Returns a column of sites that leads to the board of each."""
    return TableColumn(title, link=TO_SITE, link_title="Show this site", width=width)
