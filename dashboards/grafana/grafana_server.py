"""A running Grafana, through grafana-client: boards, folders, data sources.

Grafana 9 to 13 answer differently in places, which the comments name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from dashboards.grafana.grafana_connection import (
    GrafanaConnection,
    PushError,
    RefusedRequest,
)

_MOST_BOARDS = 5_000


@dataclass(frozen=True)
class StoredBoard:
    """A board as Grafana holds it. `content` has Grafana's own `id` and `version`."""

    content: dict[str, Any]
    version: int
    folder_uid: str
    address: str
    updated_by: str
    provisioned: bool

    @property
    def title(self) -> str:
        return str(self.content.get("title", ""))


@dataclass(frozen=True)
class BoardVersion:
    """One saved version of a board."""

    number: int
    message: str
    author: str


@dataclass(frozen=True)
class BoardHit:
    """A board in the results of a search."""

    uid: str
    title: str
    folder_uid: str


@dataclass(frozen=True)
class DataSource:
    """A data source. Only administrators may read `kind` and `database`; for others
    they are None."""

    uid: str
    kind: str | None = None
    database: str | None = None


class GrafanaServer:
    """`with GrafanaServer(url, token) as server:`, as `GrafanaConnection` has it."""

    def __init__(
        self, url: str, token: str, ca_file: Path | None = None, timeout_s: float = 15.0
    ) -> None:
        self._connection = GrafanaConnection(url, token, ca_file, timeout_s)
        self.url = self._connection.url
        self._api = self._connection.api

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def organisation(self) -> tuple[int, str] | None:
        """Returns the number and name of the token's organisation; None if the token
        may not read them."""
        try:
            answer = self._connection.call_for_object(
                "read its organisation", self._api.organization.get_current_organization
            )
        except RefusedRequest as refused:
            if refused.status == 403:
                return None
            raise
        return int(answer["id"]), str(answer.get("name", ""))

    def board(self, uid: str) -> StoredBoard | None:
        """Returns the board; None if there is none, or if the token may not see it: for
        a board that does not exist, Grafana from 10 on answers 403 to all but
        administrators. A board that is hidden is safe: only its present version could
        be replaced."""
        try:
            answer = self._connection.call_for_object(
                f"read the board {uid!r}", self._api.dashboard.get_dashboard, uid
            )
        except RefusedRequest as refused:
            if refused.status in (403, 404):
                return None
            raise
        content, meta = answer["dashboard"], answer.get("meta", {})
        return StoredBoard(
            content=content,
            version=int(content.get("version") or meta.get("version") or 0),
            folder_uid=str(meta.get("folderUid") or ""),
            address=self._connection.address(str(meta.get("url") or f"/d/{uid}")),
            updated_by=str(meta.get("updatedBy") or ""),
            provisioned=bool(
                meta.get("provisioned") or meta.get("provisionedExternalId")
            ),
        )

    def versions(self, uid: str) -> list[BoardVersion]:
        """Returns the saved versions of a board, newest first; none if the token may
        not read them."""
        try:
            answer = self._connection.call(
                f"read the versions of the board {uid!r}",
                self._api.dashboard_versions.get_dashboard_versions_by_uid,
                uid,
            )
        except RefusedRequest as refused:
            if refused.status in (403, 404):
                return []
            raise
        # Grafana 9 and 10 answer with the list alone.
        rows = answer.get("versions", []) if isinstance(answer, dict) else answer
        versions = [_board_version(row) for row in rows]
        return sorted(versions, key=lambda version: version.number, reverse=True)

    def version(
        self, uid: str, number: int
    ) -> tuple[BoardVersion, dict[str, Any] | None] | None:
        """Returns one version and its content; None if Grafana does not give it."""
        try:
            answer = self._connection.call_for_object(
                f"read version {number} of the board {uid!r}",
                self._api.dashboard_versions.get_dashboard_version_by_uid,
                uid,
                number,
            )
        except RefusedRequest as refused:
            if refused.status in (403, 404):
                return None
            raise
        content = answer.get("data")
        return _board_version(answer), content if isinstance(content, dict) else None

    def save_board(
        self, content: dict[str, Any], folder_uid: str, version: int, message: str
    ) -> str:
        """Saves a board if `version` is still the newest (0: if there is none), and
        returns its address. Status 412 means that somebody saved it meanwhile."""
        answer = self._connection.call_for_object(
            f"save the board {content['title']!r}",
            self._api.dashboard.update_dashboard,
            {
                "dashboard": {**content, "id": None, "version": version},
                "folderUid": folder_uid,
                "overwrite": False,
                "message": message,
            },
        )
        return self._connection.address(
            str(answer.get("url") or f"/d/{content['uid']}")
        )

    def delete_board(self, uid: str) -> None:
        self._connection.call(
            f"delete the board {uid!r}", self._api.dashboard.delete_dashboard, uid
        )

    def find_boards(self, tag: str = "", folder_uid: str = "") -> list[BoardHit]:
        """Returns the boards with `tag`, or in the folder."""
        rows = self._connection.call(
            "search the boards",
            self._api.search.search_dashboards,
            tag=tag or None,
            type_="dash-db",
            folder_uids=folder_uid or None,
            limit=_MOST_BOARDS,
        )
        hits = [
            BoardHit(
                str(row["uid"]), str(row["title"]), str(row.get("folderUid") or "")
            )
            for row in rows
        ]
        # Grafana 9 ignores `folderUIDs`.
        return [hit for hit in hits if not folder_uid or hit.folder_uid == folder_uid]

    def has_folder(self, uid: str) -> bool:
        """False if the folder does not exist, or if the token may not see it: for a
        folder that does not exist, Grafana answers 403 to all but administrators."""
        try:
            self._connection.call(
                f"read the folder {uid!r}", self._api.folder.get_folder, uid
            )
        except RefusedRequest as refused:
            # Some versions answer 500 (grafana/grafana#109608).
            if refused.status in (403, 404, 500):
                return False
            raise
        return True

    def create_folder(self, title: str, uid: str) -> None:
        try:
            self._connection.call(
                f"create the folder {title!r}",
                self._api.folder.create_folder,
                title,
                uid,
            )
        except RefusedRequest as refused:
            if refused.status in (409, 412):
                raise PushError(
                    f"{self.url} has a folder {title!r} already that is not Towpath's, "
                    "or that the token may not open: expected another name in "
                    f"grafana.folder, or access to the folder with uid {uid!r}"
                ) from None
            raise

    def folder_permissions(self, uid: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._connection.call(
            f"read the permissions of the folder {uid!r}",
            self._api.folder.get_folder_permissions,
            uid,
        )
        return rows

    def set_folder_permissions(self, uid: str, items: list[dict[str, Any]]) -> None:
        self._connection.call(
            f"set the permissions of the folder {uid!r}",
            self._api.folder.update_folder_permissions,
            uid,
            {"items": items},
        )

    def data_source(self, uid: str) -> DataSource | None:
        """Returns the data source, or None if there is none."""
        try:
            answer = self._connection.call_for_object(
                f"read the data source {uid!r}",
                self._api.datasource.get_datasource_by_uid,
                uid,
            )
        except RefusedRequest as refused:
            if refused.status == 404:
                return None
            if refused.status != 403:
                raise
            # Only administrators may read it, but everybody may query it.
            return DataSource(uid) if self._may_query(uid) else None
        settings = answer.get("jsonData") or {}
        return DataSource(
            uid,
            str(answer.get("type") or ""),
            str(settings.get("dbName") or answer.get("database") or ""),
        )

    def create_data_source(self, settings: dict[str, Any]) -> None:
        self._connection.call(
            f"create the data source {settings['uid']!r}",
            self._api.datasource.create_datasource,
            settings,
        )

    def _may_query(self, uid: str) -> bool:
        """False if there is no such data source. One that answers with an error does
        exist: what is wrong with it is not the boards' concern."""
        query = {
            "refId": "A",
            "datasource": {"type": "influxdb", "uid": uid},
            "rawQuery": True,
            "query": "SHOW MEASUREMENTS LIMIT 1",
            "resultFormat": "table",
        }
        request = {"queries": [query], "from": "now-5m", "to": "now"}
        try:
            self._connection.call(
                f"query the data source {uid!r}",
                self._api.client.POST,
                "/ds/query",
                json=request,
            )
        except RefusedRequest as refused:
            return refused.status != 404 and not (
                refused.status == 400 and "data source" in refused.reason.lower()
            )
        return True


def _board_version(row: dict[str, Any]) -> BoardVersion:
    return BoardVersion(
        int(row["version"]),
        str(row.get("message") or ""),
        str(row.get("createdBy") or ""),
    )
