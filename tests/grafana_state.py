"""What a double of Grafana's HTTP API answers: boards with their versions,
folders with permissions, data sources, and the rights of a service account's role.

Status codes and bodies are those of Grafana's documentation and source
(pkg/services/dashboards/errors.go, pkg/api/apierrors, pkg/api/ds_query.go). `major` is
the version that it behaves as. No real Grafana takes part.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

# What Grafana gives a folder that is made, besides the rights of its maker.
ROLES = [{"role": "Viewer", "permission": 1}, {"role": "Editor", "permission": 2}]
MAKER = {"userId": 12, "permission": 4}
_RANKS = {"Viewer": 0, "Editor": 1, "Admin": 2}
Answer = tuple[int, Any]


@dataclass
class Version:
    number: int
    message: str
    author: str
    content: dict[str, Any]


@dataclass
class Board:
    folder: str
    versions: list[Version]
    provisioned: bool = False

    @property
    def newest(self) -> Version:
        return self.versions[-1]


@dataclass
class Folder:
    title: str
    permissions: list[dict[str, Any]]


@dataclass
class GrafanaState:
    """What one organisation of a Grafana holds, and the role of the token."""

    major: int = 12
    role: str = "Admin"
    organisation: int = 1
    boards: dict[str, Board] = field(default_factory=dict)
    folders: dict[str, Folder] = field(default_factory=dict)
    inherited: list[dict[str, Any]] = field(default_factory=list)
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    # False: a board's history is what was before the present version.
    lists_newest: bool = True
    # Boards that only administrators may read.
    hidden: set[str] = field(default_factory=set)
    writes: list[str] = field(default_factory=list)
    url: str = ""

    def edit(self, uid: str, /, author: str = "alice", **changes: Any) -> None:
        """A person changes keys of a board and saves it."""
        content = copy.deepcopy(self.boards[uid].newest.content)
        self._save(uid, {**content, **changes}, "", author)

    def move(self, uid: str, folder: str, author: str = "alice") -> None:
        """A person moves a board, which saves a version with the same content."""
        self.boards[uid].folder = folder
        self._save(uid, copy.deepcopy(self.boards[uid].newest.content), "", author)

    def add_board(
        self, uid: str, title: str, folder: str = "", author: str = "bob", **more: Any
    ) -> None:
        self.boards[uid] = Board(folder, [])
        self._save(uid, {"uid": uid, "title": title, "tags": [], **more}, "", author)

    def content(self, uid: str) -> dict[str, Any]:
        """The board without what Grafana sets itself."""
        content = self.boards[uid].newest.content
        return {key: value for key, value in content.items() if key != "version"}

    def _save(
        self, uid: str, content: dict[str, Any], message: str, author: str
    ) -> None:
        board = self.boards[uid]
        number = board.newest.number + 1 if board.versions else 1
        stored = {**content, "version": number, "id": 100 + len(uid)}
        if self.major >= 13:
            stored = _normalised(stored)
        board.versions.append(Version(number, message, author, stored))
        del board.versions[:-20]

    def answer(
        self, method: str, path: str, query: dict[str, list[str]], body: Any
    ) -> Answer:
        match method, path.split("/"):
            case "GET", ["org"]:
                return 200, {"id": self.organisation, "name": "Council"}
            case "GET", ["search"]:
                return 200, self._search(query)
            case "GET", ["folders", uid]:
                return self._get_folder(uid)
            case "POST", ["folders"]:
                return self._create_folder(body)
            case "GET", ["folders", uid, "permissions"]:
                if self.role != "Admin" and MAKER not in self.folders[uid].permissions:
                    return _denied("folders.permissions:read")
                parents = [{**entry, "inherited": True} for entry in self.inherited]
                return 200, [*self.folders[uid].permissions, *parents]
            case "POST", ["folders", uid, "permissions"]:
                self.writes.append(f"permissions {uid}")
                self.folders[uid].permissions = body["items"]
                return 200, {"message": "Folder permissions updated"}
            case "GET", ["dashboards", "uid", uid]:
                return self._get_board(uid)
            case "GET", ["dashboards", "uid", uid, "versions"]:
                return self._get_versions(uid)
            case "GET", ["dashboards", "uid", uid, "versions", number]:
                return self._get_version(uid, int(number))
            case "POST", ["dashboards", "db"]:
                return self._save_board(body)
            case "DELETE", ["dashboards", "uid", uid]:
                return self._delete_board(uid)
            case "GET", ["datasources", "uid", uid]:
                if self.role != "Admin":
                    return _denied("datasources:read")
                if uid not in self.sources:
                    return 404, {"message": "Data source not found"}
                return 200, self.sources[uid]
            case "POST", ["datasources"]:
                return self._create_source(body)
            case "POST", ["ds", "query"]:
                return self._query(body)
        return 404, {"message": "Not found"}

    def _allows(self, role: str) -> bool:
        return _RANKS[self.role] >= _RANKS[role]

    def _search(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        tags = set(query.get("tag", ()))
        # Grafana 9.0 does not know `folderUIDs`.
        folders = set(query.get("folderUIDs", ())) if self.major > 9 else set()
        return [
            {
                "uid": uid,
                "title": board.newest.content["title"],
                "type": "dash-db",
                "tags": board.newest.content.get("tags", []),
                **({"folderUid": board.folder} if board.folder else {}),
            }
            for uid, board in self.boards.items()
            if tags <= set(board.newest.content.get("tags", ()))
            and (not folders or board.folder in folders)
        ]

    def _get_folder(self, uid: str) -> Answer:
        if uid in self.folders:
            return 200, {"uid": uid, "title": self.folders[uid].title}
        if self.role != "Admin":
            # The scope of a folder that is not there cannot be resolved.
            return _denied("folders:read")
        return 404, {"status": "not-found", "message": "folder not found"}

    def _create_folder(self, body: Any) -> Answer:
        if not self._allows("Editor"):
            return _denied("folders:create")
        if body["uid"] in self.folders:
            if self.major >= 12:
                message = "the folder has been changed by someone else"
                return 412, {"status": "version-mismatch", "message": message}
            return 409, {
                "message": "a folder/dashboard with the same uid already exists"
            }
        titles = {folder.title for folder in self.folders.values()}
        if self.major < 11 and body["title"] in titles:
            message = (
                "a folder or dashboard in the general folder with the same name "
                "already exists"
            )
            return 409, {"message": message}
        self.writes.append(f"folder {body['uid']}")
        self.folders[body["uid"]] = Folder(body["title"], [*ROLES, MAKER])
        return 200, {**body, "version": 1}

    def _get_board(self, uid: str) -> Answer:
        board = self.boards.get(uid)
        hidden = uid in self.hidden and self.role != "Admin"
        if hidden or (board is None and self.role != "Admin" and self.major >= 10):
            # The scope of a board that is not there cannot be resolved.
            return _denied("dashboards:read")
        if board is None:
            return 404, {"message": "Dashboard not found"}
        meta = {
            "url": f"/d/{uid}/x",
            "version": board.newest.number,
            "folderUid": board.folder,
            "updatedBy": board.newest.author,
            "provisioned": board.provisioned,
            "provisionedExternalId": f"{uid}.json" if board.provisioned else "",
        }
        return 200, {"dashboard": board.newest.content, "meta": meta}

    def _get_versions(self, uid: str) -> Answer:
        if uid not in self.boards:
            return 404, {"message": "Dashboard not found"}
        if not self._allows("Editor"):
            return _denied("dashboards:write")
        rows = [
            {
                "version": version.number,
                "message": version.message,
                "createdBy": version.author,
            }
            for version in reversed(self.boards[uid].versions)
        ]
        if not self.lists_newest:
            del rows[:1]
        return 200, {
            "continueToken": "",
            "versions": rows,
        } if self.major >= 11 else rows

    def _get_version(self, uid: str, number: int) -> Answer:
        for version in self.boards[uid].versions:
            if version.number == number:
                return 200, {
                    "version": number,
                    "message": version.message,
                    "createdBy": version.author,
                    "data": version.content,
                }
        return 404, {"message": "Dashboard version not found"}

    def _save_board(self, body: Any) -> Answer:
        content, folder = body["dashboard"], body.get("folderUid", "")
        if not self._allows("Editor"):
            return _denied("dashboards:write")
        if folder and folder not in self.folders:
            return 400, {"message": "folder not found"}
        uid = content["uid"]
        board = self.boards.get(uid)
        if board is not None and board.provisioned:
            return 400, {"message": "Cannot save provisioned dashboard"}
        if self.major < 11 and any(
            other.folder == folder
            and other.newest.content["title"] == content["title"]
            and name != uid
            for name, other in self.boards.items()
        ):
            message = "A dashboard with the same name in the folder already exists"
            return 412, {"status": "name-exists", "message": message}
        if (
            board is not None
            and not body["overwrite"]
            and content.get("version") != board.newest.number
        ):
            message = "The dashboard has been changed by someone else"
            return 412, {"status": "version-mismatch", "message": message}
        self.writes.append(f"board {uid}")
        if board is None:
            self.boards[uid] = Board(folder, [])
        self.boards[uid].folder = folder
        self._save(uid, content, body.get("message", ""), "sa-1-towpath")
        number = self.boards[uid].newest.number
        return 200, {
            "status": "success",
            "uid": uid,
            "url": f"/d/{uid}/x",
            "version": number,
        }

    def _delete_board(self, uid: str) -> Answer:
        board = self.boards.get(uid)
        if board is None:
            return 404, {"message": "Dashboard not found"}
        if board.provisioned:
            return 400, {"message": "provisioned dashboard cannot be deleted"}
        self.writes.append(f"delete {uid}")
        del self.boards[uid]
        return 200, {"title": "x", "message": "Dashboard x deleted"}

    def _create_source(self, body: Any) -> Answer:
        if self.role != "Admin":
            return _denied("datasources:create")
        if any(s["name"] == body["name"] for s in self.sources.values()):
            return 409, {"message": "data source with the same name already exists"}
        self.writes.append(f"source {body['uid']}")
        self.sources[body["uid"]] = body
        return 200, {"message": "Datasource added", "datasource": body}

    def _query(self, body: Any) -> Answer:
        if body["queries"][0]["datasource"]["uid"] not in self.sources:
            if self.major == 10:
                message = "Query does not contain a valid data source identifier"
                return 400, {
                    "messageId": "query.invalidDatasourceId",
                    "message": message,
                }
            return 404, {"message": "Data source not found"}
        return 200, {"results": {"A": {"status": 200, "frames": []}}}


def shared_source() -> dict[str, Any]:
    return {
        "uid": "towpath-shared",
        "name": "Towpath",
        "type": "influxdb",
        "jsonData": {"version": "InfluxQL", "dbName": "towpath"},
    }


def personal_source() -> dict[str, Any]:
    return {
        "uid": "towpath-personal",
        "name": "Towpath personal data",
        "type": "influxdb",
        "jsonData": {"version": "InfluxQL", "dbName": "towpath_personal"},
    }


def _denied(permission: str) -> Answer:
    return 403, {
        "accessErrorId": "ACE0123456789",
        "message": "You'll need additional permissions to perform this action. "
        f"Permissions needed: {permission}",
        "title": "Access denied",
    }


def _normalised(content: dict[str, Any]) -> dict[str, Any]:
    """Grafana 13 stores boards by its schema: nulls go, defaults come."""
    kept = {key: value for key, value in content.items() if value is not None}
    kept["preload"] = False
    kept["panels"] = [
        {**panel, "pluginVersion": "13.2.0"} for panel in kept.get("panels", ())
    ]
    return kept
