"""Boards in the code that Grafana itself runs show what they promise."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from grafana_asks import SERVERS
from grafana_libraries import LIBRARIES, install

from benchmarks.grafana_code import awkward_hour, made_up_rows, show_boards


@pytest.mark.soak
@pytest.mark.service
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("major", LIBRARIES)
@pytest.mark.parametrize("store", SERVERS)
def test_the_code_of_grafana_shows_each_board_without_a_fault(
    store: str, major: str
) -> None:
    if not (shutil.which("npm") and shutil.which("node")):
        pytest.skip("npm and node are not installed")
    try:
        install(major)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"npm does not answer: {error}")
    for rows in (made_up_rows(), awkward_hour()):
        shown = show_boards(rows, store, major)
        assert shown.counts["panels with rows"] > 200
        assert shown.counts["links"] > 1000
        assert shown.faults == []
