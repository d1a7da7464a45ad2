"""The boards. To add a panel, add a `Panel` to one of these. To add a board, add a
module and its name here."""

from dashboards.grafana.board import Board
from dashboards.grafana.boards.alert_links import RULE_COLUMN
from dashboards.grafana.boards.call_board import CALLS
from dashboards.grafana.boards.estate_overview import ESTATE
from dashboards.grafana.boards.firing_alerts import ALERTS
from dashboards.grafana.boards.group_texts import name_groups
from dashboards.grafana.boards.laptop import LAPTOP
from dashboards.grafana.boards.live_event import LIVE_EVENT
from dashboards.grafana.boards.microsoft_365 import MICROSOFT
from dashboards.grafana.boards.port_board import PORT
from dashboards.grafana.boards.power_board import POWER_BOARD
from dashboards.grafana.boards.remote_working import REMOTE_WORKING
from dashboards.grafana.boards.site import SITE
from dashboards.grafana.boards.switch import SWITCH
from dashboards.grafana.boards.towpath_itself import TOWPATH_ITSELF
from dashboards.grafana.boards.vpn_board import VPN
from dashboards.grafana.boards.wan_lines import WAN
from dashboards.grafana.boards.wifi_board import WIFI
from dashboards.grafana.rule_panels import link_alerts
from dashboards.grafana.shipped_rules import shipped_rules

BOARDS: tuple[Board, ...] = link_alerts(
    name_groups(
        (
            ESTATE,
            SITE,
            WAN,
            SWITCH,
            PORT,
            WIFI,
            POWER_BOARD,
            MICROSOFT,
            REMOTE_WORKING,
            CALLS,
            VPN,
            LIVE_EVENT,
            ALERTS,
            TOWPATH_ITSELF,
            LAPTOP,
        )
    ),
    tuple(shipped_rules().values()),
    RULE_COLUMN,
)

__all__ = ["BOARDS"]
