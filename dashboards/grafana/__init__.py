"""Everything for Grafana, made from the catalogue, `Query` values and the rules."""

from dashboards.grafana.boards import BOARDS
from dashboards.grafana.build import BoardError, Built, build, files
from dashboards.grafana.check import check_boards, check_folder
from dashboards.grafana.config import GrafanaConfig
from dashboards.grafana.push import PushError, push

__all__ = [
    "BOARDS",
    "BoardError",
    "Built",
    "GrafanaConfig",
    "PushError",
    "build",
    "check_boards",
    "check_folder",
    "files",
    "push",
]
