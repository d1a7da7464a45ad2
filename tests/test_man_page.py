"""The manual page is that of the commands as they are, and correct roff."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from typer.main import get_command

from towpath.cli import app
from towpath.man_page import PAGE, man_page


def test_the_manual_page_is_current() -> None:
    assert man_page(get_command(app)) == PAGE.read_text(encoding="utf-8"), "make docs"


def test_every_command_and_option_has_a_place() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for part in (
        ".SS towpath poll [OPTIONS] [HOST[:PORT]]",
        ".SS towpath alerts ack [OPTIONS] KEY",
        "\\fB\\-\\-at\\-once\\fR \\fIN\\fR",
        ".B TOWPATH_SNMP_AUTH_PASSWORD",
    ):
        assert part in text


@pytest.mark.parametrize(
    "command",
    [["mandoc", "-T", "lint", "-W", "error"], ["man", "--warnings", "-l"]],
    ids=["mandoc", "man"],
)
def test_the_manual_page_has_no_error(command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    shown = subprocess.run(
        [*command, str(PAGE)], capture_output=True, text=True, check=False
    )
    assert (shown.returncode, shown.stderr) == (0, "")
