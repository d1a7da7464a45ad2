"""The boards. To add a panel, add a `Panel` to one of these. To add a board, add a
module and its name here."""

from dashboards.grafana.board import Board
from dashboards.grafana.boards.laptop import LAPTOP
from dashboards.grafana.boards.remote import REMOTE
from dashboards.grafana.boards.site import SITE
from dashboards.grafana.boards.switch import SWITCH
from dashboards.grafana.boards.towpath_itself import TOWPATH_ITSELF

BOARDS: tuple[Board, ...] = (SITE, SWITCH, REMOTE, TOWPATH_ITSELF, LAPTOP)

__all__ = ["BOARDS"]
