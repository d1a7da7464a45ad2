"""Everything for Grafana, made from the catalogue, `Query` values and the rules.

`dashboards.grafana.push` is imported by itself: its client takes a fifth of a second.
"""

from dashboards.grafana.board_checks import check_boards, check_folder
from dashboards.grafana.boards import BOARDS
from dashboards.grafana.build import BoardError, Built, build, files
from dashboards.grafana.grafana_config import GrafanaConfig

__all__ = [
    "BOARDS",
    "BoardError",
    "Built",
    "GrafanaConfig",
    "build",
    "check_boards",
    "check_folder",
    "files",
]
