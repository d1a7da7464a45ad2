"""The states of sites as the status page has them, with their colours."""

from dashboards.grafana.board import AMBER, BLUE, GREEN, RED, TableColumn, column
from dashboards.grafana.board_links import cell, link_to

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


def site_column(width: int = 160) -> TableColumn:
    """Returns a column of the names of sites that leads to the board of each. The ids
    are in another column, `site`."""
    return TableColumn("Site", link=TO_SITE, link_title="Show this site", width=width)


def site_id_column(width: int = 160) -> TableColumn:
    """Returns a column of ids that leads to the board of each site. It shows names if
    the boards are made with a council's estate (`site_texts`)."""
    to_site = link_to("towpath-site", site=cell())
    return TableColumn("Site", link=to_site, link_title="Show this site", width=width)
