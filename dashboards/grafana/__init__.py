"""Grafana's files, generated from the catalogue, `Query` values and the rules.

`dashboards.grafana.push` is imported on its own: its client takes a fifth of a second.
"""

from dashboards.grafana.boards import BOARDS
from dashboards.grafana.build import BoardError, BuiltFiles, build_folder, render_files
from dashboards.grafana.checks import CHECKS, Finding, check_boards, check_folder

__all__ = [
    "BOARDS",
    "CHECKS",
    "BoardError",
    "BuiltFiles",
    "Finding",
    "build_folder",
    "check_boards",
    "check_folder",
    "render_files",
]
