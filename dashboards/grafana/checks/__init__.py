"""Checks of boards: ours as values, and any council's as JSON files."""

from dashboards.grafana.checks.board_checks import check_boards
from dashboards.grafana.checks.dashboard_folder import check_folder
from dashboards.grafana.checks.finding import CHECKS, Finding

__all__ = ["CHECKS", "Finding", "check_boards", "check_folder"]
