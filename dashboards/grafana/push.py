"""Puts the boards into a running Grafana through its API."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from grafana_client.api import GrafanaApi
from grafana_client.client import GrafanaClientError, GrafanaException

from dashboards.grafana.board import Board
from dashboards.grafana.boards import BOARDS
from dashboards.grafana.classic import dashboard
from dashboards.grafana.config import GrafanaConfig

_FOLDERS = {False: "towpath", True: "towpath-personal"}


class PushError(RuntimeError):
    """Grafana did not take the boards; the text says which and why."""


def push(
    url: str,
    token: str,
    config: GrafanaConfig | None = None,
    boards: tuple[Board, ...] = BOARDS,
    timeout_s: float = 15.0,
) -> list[str]:
    """Creates or replaces every board, in its folder; the addresses of the boards.
    Without `config.personal` those about one laptop are left out.

    `token` is a service account's with the right to write folders and dashboards. The
    data sources `towpath-shared` and `towpath-personal` have to be there already.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise PushError(f"{url!r} is not an address, expected https://grafana.example")
    settings = config or GrafanaConfig()
    boards = tuple(each for each in boards if settings.personal or not each.personal)
    api: Any = GrafanaApi.from_url(url, credential=token, timeout=timeout_s)
    titles = {False: settings.folder, True: settings.personal_folder}
    made: list[str] = []
    try:
        for personal, uid in _FOLDERS.items():
            if any(board.personal is personal for board in boards):
                _ensure_folder(api, titles[personal], uid)
        for board in boards:
            answer = api.dashboard.update_dashboard(
                {
                    "dashboard": dashboard(board, boards),
                    "folderUid": _FOLDERS[board.personal],
                    "overwrite": True,
                    "message": "towpath dashboards push",
                }
            )
            made.append(url.rstrip("/") + str(answer.get("url", f"/d/{board.uid}")))
    except GrafanaException as error:
        raise PushError(
            f"{url} refused: {error.message} ({error.status_code})"
        ) from None
    except OSError as error:
        raise PushError(f"{url} cannot be reached: {error}") from None
    return made


def _ensure_folder(api: Any, title: str, uid: str) -> None:
    try:
        api.folder.get_folder(uid)
    except GrafanaClientError as error:
        if error.status_code != 404:
            raise
        api.folder.create_folder(title, uid)
