"""`towpath-agent is-it-me`: writes the page for the laptop's user and opens it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from probes.diagnosis.agent_status import read_status
from probes.diagnosis.is_it_me_page import STYLE, page
from probes.diagnosis.sent_log import SentLog, sendings
from probes.wire.atomic_file import replace_file

NAME = "is-it-me.html"
_LOG_LINES = 1_000


def write_page(state: Path, folder: Path, now_ms: int) -> Path:
    """Writes the page to `folder` from the agent's files in `state`, readable by this
    user alone. Raises `OSError` if it cannot."""
    html = page(
        read_status(state),
        sendings(SentLog(state).last(_LOG_LINES)),
        now_ms,
        STYLE.read_text("utf-8"),
    )
    path = folder / NAME
    replace_file(path, html.encode(), durable=False)
    return path


def page_folder(state: Path, home: Path) -> Path:
    """The folder for the page: next to the agent's files. On Linux it is not in a
    hidden folder of the home directory, which snap and flatpak browsers cannot read."""
    hidden = state.is_relative_to(home) and any(
        part.startswith(".") for part in state.relative_to(home).parts
    )
    return home / "Towpath" if hidden and sys.platform == "linux" else state


def open_in_browser(address: str) -> bool:
    """Returns False, or raises `OSError`, if no browser could be started."""
    if sys.platform == "win32":
        # The library would look for a browser in the current folder too.
        os.startfile(address)
        return True
    import webbrowser

    try:
        return webbrowser.open(address)
    except webbrowser.Error:
        return False


def show(path: Path, open_page: Callable[[str], bool] = open_in_browser) -> bool:
    """Opens the page in the user's browser. Returns False if there is none."""
    try:
        return open_page(path.resolve().as_uri())
    except OSError:
        return False
