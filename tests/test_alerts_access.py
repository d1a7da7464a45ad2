"""Other processes read the engine's file at any time, also while it is being made."""

from __future__ import annotations

from pathlib import Path

from alerts.alert_access import (
    list_silences,
    open_alerts,
    overdue_notifications,
    start_positions,
)
from alerts.baseline_access import baseline_parts


def test_a_file_whose_tables_are_not_made_yet_has_nothing(tmp_path: Path) -> None:
    path = tmp_path / "alerts.sqlite"
    for made in (False, True):
        if made:
            path.touch()
        assert list_silences(path, 0) == []
        assert open_alerts(path) == []
        assert start_positions(path) is None
        assert overdue_notifications(path, 0) == []
        assert baseline_parts(path) == []
