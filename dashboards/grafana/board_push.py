"""What a push does with each board, decided before anything is written.

Each push saves a version whose message has a hash of the board. So the history of a
board says what Towpath pushed last, whether that is what it would push now, and whether
somebody has changed it since: what Grafana adds to a board when it stores it does not
matter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from dashboards.grafana.board_changes import (
    content_hash,
    describe_changes,
    holds,
    is_same,
)
from dashboards.grafana.classic import PERSONAL_TAG, SHARED_TAG
from dashboards.grafana.grafana_server import BoardVersion, GrafanaServer, StoredBoard

Outcome = Literal["new", "changed", "unchanged", "edited", "refused", "gone"]
OWN_TAGS = (SHARED_TAG, PERSONAL_TAG)
_MESSAGE = "towpath dashboards push"
_HASH = re.compile(rf"^{_MESSAGE} ([0-9a-f]{{12}})$")


@dataclass(frozen=True)
class BoardPlan:
    """What a push does with one board, and why.

    `new`: it is created. `changed`: it is replaced. `unchanged`: nothing is written.
    `edited`: a person has changed it, so it is kept unless edits are overwritten.
    `refused`: it is not Towpath's to write. `gone`: Towpath has no such board any more.
    `details`: a line per difference. `problem`: one sentence if it is not written.
    `version`: Grafana's, 0 for none.
    """

    uid: str
    title: str
    outcome: Outcome
    address: str = ""
    details: tuple[str, ...] = ()
    problem: str = ""
    version: int = 0
    folder_uid: str = ""


def push_message(board: dict[str, Any]) -> str:
    """Returns the message of the version that a push of `board` saves."""
    return f"{_MESSAGE} {content_hash(board)}"


def plan_board(
    server: GrafanaServer, board: dict[str, Any], folder_uid: str
) -> BoardPlan:
    """Compares `board` with the one of its uid in Grafana. Writes nothing."""
    uid, title = str(board["uid"]), str(board["title"])
    stored = server.board(uid)
    if stored is None:
        return BoardPlan(uid, title, "new", folder_uid=folder_uid)
    versions = _versions(server, stored)
    plan = BoardPlan(
        uid,
        title,
        "refused",
        stored.address,
        version=stored.version,
        folder_uid=stored.folder_uid,
    )
    return _compare(server, board, stored, versions, plan)


def plan_removal(server: GrafanaServer, uid: str) -> BoardPlan | None:
    """Returns what to do with a board that Towpath no longer has; None if it is not
    Towpath's."""
    stored = server.board(uid)
    if stored is None:
        return None
    versions = _versions(server, stored)
    last_push = _last_push(versions)
    if last_push is None:
        return None
    plan = BoardPlan(uid, stored.title, "gone", stored.address, version=stored.version)
    if stored.provisioned:
        return _replaced(plan, "refused", _provisioned(stored, server))
    edited = _edits(server, stored, versions, last_push)
    if edited is None:
        return plan
    return _replaced(
        plan,
        "edited",
        f"the board {stored.title!r} ({stored.address}) is no longer one of Towpath's, "
        f"but {_editor(stored, versions)} has changed it: it is kept; --prune "
        "--overwrite removes it",
        edited,
    )


def _compare(
    server: GrafanaServer,
    board: dict[str, Any],
    stored: StoredBoard,
    versions: list[BoardVersion],
    plan: BoardPlan,
) -> BoardPlan:
    last_push = _last_push(versions)
    tags = stored.content.get("tags") or ()
    if last_push is None and not set(OWN_TAGS) & set(tags):
        return _replaced(
            plan,
            "refused",
            f"{server.url} has another board with the uid {plan.uid!r}: "
            f"{stored.title!r} ({stored.address}) is not Towpath's and was left as it "
            "is; give it another uid and push again",
        )
    if stored.provisioned:
        return _replaced(plan, "refused", _provisioned(stored, server))
    if is_same(board, stored.content):
        return _replaced(plan, "unchanged")
    if last_push is None:
        # Imported by hand, or its history is not available.
        if holds(board, stored.content):
            return _replaced(plan, "unchanged")
        edits: list[str] | None = describe_changes(board, stored.content)
    else:
        edits = _edits(server, stored, versions, last_push)
    if edits is not None:
        return _replaced(
            plan,
            "edited",
            f"{_editor(stored, versions)} has changed the board {stored.title!r} "
            f"({stored.address}) since Towpath pushed it: it is kept; --overwrite "
            "replaces it",
            edits,
        )
    assert last_push is not None
    pushed = _HASH.match(last_push.message)
    is_current = (
        pushed[1] == content_hash(board) if pushed else holds(board, stored.content)
    )
    if is_current:
        return _replaced(plan, "unchanged")
    details = describe_changes(stored.content, board) or ["~ details"]
    return _replaced(plan, "changed", "", details)


def _edits(
    server: GrafanaServer,
    stored: StoredBoard,
    versions: list[BoardVersion],
    last_push: BoardVersion,
) -> list[str] | None:
    """Returns what people have changed since the last push; None if nothing. Moving a
    board to another folder also saves a version, and changes nothing."""
    if last_push.number == max(stored.version, versions[0].number):
        return None
    version = server.version(str(stored.content["uid"]), last_push.number)
    pushed = None if version is None else version[1]
    if pushed is None:
        return ["~ details"]
    if is_same(pushed, stored.content):
        return None
    return describe_changes(pushed, stored.content, exact=True) or ["~ details"]


def _versions(server: GrafanaServer, stored: StoredBoard) -> list[BoardVersion]:
    """Returns the saved versions, newest first. Some versions of Grafana list only
    those before the present one."""
    uid = str(stored.content["uid"])
    versions = server.versions(uid)
    if versions and versions[0].number >= stored.version:
        return versions
    newest = server.version(uid, stored.version)
    return versions if newest is None else [newest[0], *versions]


def _last_push(versions: list[BoardVersion]) -> BoardVersion | None:
    """Returns the newest version that Towpath saved."""
    return next((v for v in versions if v.message.startswith(_MESSAGE)), None)


def _editor(stored: StoredBoard, versions: list[BoardVersion]) -> str:
    name = versions[0].author if versions else stored.updated_by
    return repr(name) if name else "a person"


def _provisioned(stored: StoredBoard, server: GrafanaServer) -> str:
    return (
        f"the board {stored.title!r} ({stored.address}) comes from a provisioning file "
        f"of {server.url}, which Grafana does not let anybody change: run `towpath "
        "dashboards build` for that folder, or take the file away and push again"
    )


def _replaced(
    plan: BoardPlan,
    outcome: Outcome,
    problem: str = "",
    details: list[str] | None = None,
) -> BoardPlan:
    return BoardPlan(
        plan.uid,
        plan.title,
        outcome,
        plan.address,
        tuple(details or ()),
        problem,
        plan.version,
        plan.folder_uid,
    )
