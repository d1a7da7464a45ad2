"""Pushes the boards to a running Grafana through its API.

A token belongs to one organisation, and only that organisation's boards are pushed.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from grafana_client.api import GrafanaApi
from grafana_client.client import GrafanaClientError, GrafanaException

from dashboards.grafana.board import Board
from dashboards.grafana.boards import BOARDS
from dashboards.grafana.classic import dashboard_json
from dashboards.grafana.grafana_config import GrafanaConfig

_FOLDERS = {False: "towpath", True: "towpath-personal"}


class PushError(RuntimeError):
    """Grafana did not accept the boards; the text is the reason."""


def push(
    url: str,
    token: str,
    config: GrafanaConfig | None = None,
    boards: tuple[Board, ...] = BOARDS,
    timeout_s: float = 15.0,
) -> list[str]:
    """Creates or replaces the boards of the token's organisation, each in its folder.
    Returns their addresses.

    Without `config.personal`, boards about one laptop are left out. With it they go
    only to `config.personal_organisation`, into a folder that neither Viewers nor
    Editors may open. Raises `PushError` if that folder is open to them.

    `token` is a service account's, with the right to write folders and dashboards and,
    for the personal board, their permissions. The data sources `towpath-shared` and
    `towpath-personal` must already exist.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise PushError(f"{url!r} is not an address, expected https://grafana.example")
    settings = config or GrafanaConfig()
    api: Any = GrafanaApi.from_url(url, credential=token, timeout=timeout_s)
    titles = {False: settings.folder, True: settings.personal_folder}
    addresses: list[str] = []
    try:
        kinds = sorted(_board_kinds(api, settings, url))
        for personal in kinds:
            if any(board.personal is personal for board in boards):
                is_new = _ensure_folder(api, titles[personal], _FOLDERS[personal])
                if personal:
                    _keep_private(api, titles[personal], _FOLDERS[personal], is_new)
        boards = tuple(board for board in boards if board.personal in kinds)
        for board in boards:
            answer = api.dashboard.update_dashboard(
                {
                    "dashboard": dashboard_json(board, boards),
                    "folderUid": _FOLDERS[board.personal],
                    "overwrite": True,
                    "message": "towpath dashboards push",
                }
            )
            addresses.append(
                url.rstrip("/") + str(answer.get("url", f"/d/{board.uid}"))
            )
    except GrafanaException as error:
        raise PushError(
            f"{url} refused: {error.message} ({error.status_code})"
        ) from None
    except OSError as error:
        raise PushError(f"{url} cannot be reached: {error}") from None
    return addresses


def _board_kinds(api: Any, config: GrafanaConfig, url: str) -> set[bool]:
    """Returns the kinds of boards, personal or not, of the token's organisation."""
    if not config.personal:
        return {False}
    own = api.organization.get_current_organization()
    number = own.get("id")
    homes = {False: config.organisation, True: config.personal_organisation}
    kinds = {personal for personal, home in homes.items() if home == number}
    if not kinds:
        raise PushError(
            f"the token for {url} is of organisation {number} ({own.get('name')}), "
            f"expected {homes[False]} (grafana.organisation) or {homes[True]} "
            "(grafana.personal_organisation)"
        )
    return kinds


def _ensure_folder(api: Any, title: str, uid: str) -> bool:
    """Creates the folder if it is missing; returns whether it did."""
    try:
        api.folder.get_folder(uid)
    except GrafanaClientError as error:
        if error.status_code != 404:
            raise
        api.folder.create_folder(title, uid)
        return True
    return False


def _keep_private(api: Any, title: str, uid: str, is_new: bool) -> None:
    """Removes Viewers and Editors from a new folder, and checks that they are out.
    Permissions that people have set on an existing folder are not changed."""
    if is_new:
        own = [
            {who: entry[who], "permission": entry["permission"]}
            for entry in api.folder.get_folder_permissions(uid)
            for who in ("userId", "teamId")
            if entry.get(who) and not entry.get("inherited")
        ]
        api.folder.update_folder_permissions(uid, {"items": own})
    roles = {entry.get("role") for entry in api.folder.get_folder_permissions(uid)}
    if is_open := sorted(roles & {"Viewer", "Editor"}):
        raise PushError(
            f"the folder {title!r} is open to every {' and '.join(is_open)}, so the "
            "board of laptops' own results was not put there; take them out of its "
            "permissions in Grafana and push again"
        )
