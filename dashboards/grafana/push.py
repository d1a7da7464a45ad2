"""Pushes the boards to a running Grafana through its API.

A token belongs to one organisation, and only that organisation's boards are pushed.
Everything is checked before anything is written.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dashboards.grafana.board import PERSONAL, SHARED, Board
from dashboards.grafana.board_push import (
    OWN_TAGS,
    BoardPlan,
    plan_board,
    plan_removal,
    push_message,
)
from dashboards.grafana.boards import BOARDS
from dashboards.grafana.classic import dashboard_json
from dashboards.grafana.grafana_connection import PushError, RefusedRequest
from dashboards.grafana.grafana_server import GrafanaServer
from dashboards.grafana.provisioning import datasources
from dashboards.grafana_config import GrafanaConfig

FOLDERS = {False: "towpath", True: "towpath-personal"}
_UID_PREFIX = "towpath-"


@dataclass(frozen=True)
class PushOptions:
    """`dry_run`: nothing is written. `overwrite`: boards that people have changed are
    replaced. `prune`: boards of earlier versions are removed. `create_data_sources`:
    those that are missing are created."""

    dry_run: bool = False
    overwrite: bool = False
    prune: bool = False
    create_data_sources: bool = False


@dataclass(frozen=True)
class PushReport:
    """What was done, or with a dry run would be. `notes`: what else people should
    know, a sentence each."""

    boards: tuple[BoardPlan, ...]
    created: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def problems(self) -> list[str]:
        """Returns a sentence for each board that is not as Towpath has it."""
        return [board.problem for board in self.boards if board.problem]


def push(
    server: GrafanaServer,
    config: GrafanaConfig | None = None,
    options: PushOptions = PushOptions(),
    boards: tuple[Board, ...] = BOARDS,
    environment: Mapping[str, str] = os.environ,
) -> PushReport:
    """Creates or replaces the boards of the token's organisation, each in its folder.

    A board that already is what Towpath has gets no new version. One that a person has
    changed is kept unless `options.overwrite`. One that is not Towpath's is never
    written or removed.

    Without `config.personal`, boards about one laptop are left out. With it they go
    only to `config.personal_organisation`, into a folder that neither Viewers nor
    Editors may open, with a data source of their own. Raises `PushError` if that folder
    is open, if a data source is missing, or if Grafana refuses or cannot be reached.
    """
    return _Push(server, config or GrafanaConfig(), options, boards, environment).run()


@dataclass
class _Push:
    server: GrafanaServer
    config: GrafanaConfig
    options: PushOptions
    boards: tuple[Board, ...]
    environment: Mapping[str, str]
    created: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def run(self) -> PushReport:
        kinds = self._kinds()
        wanted = tuple(board for board in self.boards if board.personal in kinds)
        kinds = {board.personal for board in wanted}
        missing_sources = list(self._missing_data_sources(kinds))
        new_folders = [kind for kind in sorted(kinds) if not self._has_folder(kind)]
        plans = [self._plan(board) for board in wanted]
        removals = list(self._removals({board.uid for board in wanted}))
        if self.options.dry_run:
            plans = self._unless_title_is_taken(plans)
        else:
            for settings in missing_sources:
                self.server.create_data_source(settings)
            for kind in new_folders:
                self._create_folder(kind)
            removals = [self._remove(plan) for plan in removals]
            plans = self._unless_title_is_taken(plans)
            plans = [
                self._save(board, plan)
                for board, plan in zip(wanted, plans, strict=True)
            ]
        self.created += [
            f"data source {settings['uid']}" for settings in missing_sources
        ]
        self.created += [f"folder {self._folder_title(kind)!r}" for kind in new_folders]
        return PushReport((*plans, *removals), tuple(self.created), tuple(self.notes))

    def _kinds(self) -> set[bool]:
        """Returns the kinds of boards, personal or not, of the token's organisation."""
        config = self.config
        homes = {False: config.organisation}
        if config.personal:
            homes[True] = config.personal_organisation
        elif "organisation" not in config.model_fields_set:
            return {False}
        own = self.server.organisation()
        if own is None:
            if config.personal:
                raise PushError(
                    f"the token may not read its organisation at {self.server.url}: "
                    "expected the right orgs:read, so that laptops' own results go to "
                    "no other organisation"
                )
            return {False}
        kinds = {personal for personal, home in homes.items() if home == own[0]}
        if not kinds:
            expected = " or ".join(
                f"{home} (grafana.{'personal_' if personal else ''}organisation)"
                for personal, home in homes.items()
            )
            raise PushError(
                f"the token for {self.server.url} is of organisation {own[0]} "
                f"({own[1]}), expected {expected}"
            )
        return kinds

    def _missing_data_sources(self, kinds: set[bool]) -> Iterator[dict[str, Any]]:
        """Returns the settings of data sources to create. Raises `PushError` if one is
        missing and may not be created, or has the wrong type or database."""
        declared = {
            source["uid"]: source for source in datasources(self.config)["datasources"]
        }
        for kind in sorted(kinds):
            uid = PERSONAL if kind else SHARED
            source = self.server.data_source(uid)
            if source is None:
                if not self.options.create_data_sources:
                    raise PushError(
                        f"{self.server.url} has no data source with the uid {uid!r}, "
                        "which the boards query: add --create-data-sources (with a "
                        "token of the role Admin), or provision the file "
                        "provisioning/datasources/towpath.yaml of `towpath dashboards "
                        "build`"
                    )
                yield self._data_source_settings(declared[uid])
                continue
            if source.kind not in (None, "influxdb"):
                raise PushError(
                    f"the data source {uid!r} of {self.server.url} is of the type "
                    f"{source.kind!r}, expected InfluxDB"
                )
            if not kind and source.database == self.config.personal_database:
                raise PushError(
                    f"the data source {uid!r} of {self.server.url} reads the database "
                    f"{source.database!r} of laptops' own results, expected "
                    f"{self.config.shared_database!r} (grafana.shared_database)"
                )
            expected = (
                self.config.personal_database if kind else self.config.shared_database
            )
            if source.database and source.database != expected:
                self.notes.append(
                    f"the data source {uid!r} of {self.server.url} reads the database "
                    f"{source.database!r}, expected {expected!r} (grafana."
                    f"{'personal' if kind else 'shared'}_database)"
                )
        if True not in kinds and self.server.data_source(PERSONAL) is not None:
            self.notes.append(
                f"this organisation of {self.server.url} has the data source "
                f"{PERSONAL!r}: every Viewer may query laptops' own results through "
                "it; expected it only in an organisation of its own "
                "(grafana.personal_organisation)"
            )

    def _data_source_settings(self, declared: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what the provisioning file says, with `$NAME` filled in from our
        environment: for its API, Grafana does not do that."""

        def fill(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: fill(inner) for key, inner in value.items()}
            if isinstance(value, str):
                return re.sub(r"\$(\w+)", self._variable, value)
            return value

        settings: dict[str, Any] = fill(dict(declared))
        for key in ("orgId", "editable"):
            settings.pop(key)
        # The default data source of an organisation is not ours to change.
        return {**settings, "isDefault": False}

    def _variable(self, match: re.Match[str]) -> str:
        value = self.environment.get(match[1])
        if not value:
            raise PushError(
                f"{match[1]} is not set in the environment: expected the value that "
                "Grafana's own environment has, to create the data source with "
                "(settings grafana.influx_url, grafana.shared_token, "
                "grafana.personal_token)"
            )
        return value

    def _has_folder(self, personal: bool) -> bool:
        """True if the folder exists. Raises `PushError` if it is the personal one and
        open: permissions that people have set are theirs to change."""
        exists = self.server.has_folder(FOLDERS[personal])
        if exists and personal:
            self._check_closed()
        return exists

    def _create_folder(self, personal: bool) -> None:
        uid = FOLDERS[personal]
        self.server.create_folder(self._folder_title(personal), uid)
        if personal:
            people = [
                {who: entry[who], "permission": entry["permission"]}
                for entry in self.server.folder_permissions(uid)
                for who in ("userId", "teamId")
                if entry.get(who) and not entry.get("inherited")
            ]
            self.server.set_folder_permissions(uid, people)
            self._check_closed()

    def _check_closed(self) -> None:
        entries = self.server.folder_permissions(FOLDERS[True])
        roles = {str(entry.get("role")) for entry in entries}
        if is_open := sorted(roles & {"Viewer", "Editor"}):
            raise PushError(
                f"the folder {self._folder_title(True)!r} of {self.server.url} is open "
                f"to every {' and '.join(is_open)}, so the board of laptops' own "
                "results was not put there: take them out of its permissions and push "
                "again"
            )

    def _folder_title(self, personal: bool) -> str:
        return self.config.personal_folder if personal else self.config.folder

    def _plan(self, board: Board) -> BoardPlan:
        folder_uid = FOLDERS[board.personal]
        plan = plan_board(self.server, dashboard_json(board, self.boards), folder_uid)
        if board.personal and plan.folder_uid != folder_uid:
            return dataclasses.replace(
                plan,
                outcome="refused",
                details=(),
                problem=f"the board {plan.title!r} ({plan.address}) is not in the "
                f"folder {self._folder_title(True)!r}, which only some may open: move "
                "it there and push again",
            )
        if plan.outcome == "edited" and self.options.overwrite:
            undone = tuple(f"undoes {line}" for line in plan.details)
            return dataclasses.replace(
                plan, outcome="changed", details=undone, problem=""
            )
        return plan

    def _unless_title_is_taken(self, plans: list[BoardPlan]) -> list[BoardPlan]:
        """Grafana up to 10 refuses a second board of a title in a folder; newer ones
        would have two that nobody can tell apart."""
        new = [plan for plan in plans if plan.outcome == "new"]
        folders = {
            plan.folder_uid for plan in new if self.server.has_folder(plan.folder_uid)
        }
        taken = {
            (folder, hit.title): hit.uid
            for folder in folders
            if self.server.has_folder(folder)
            for hit in self.server.find_boards(folder_uid=folder)
        }
        checked = []
        for plan in plans:
            uid = taken.get((plan.folder_uid, plan.title))
            if plan.outcome == "new" and uid is not None and uid != plan.uid:
                plan = dataclasses.replace(
                    plan, outcome="refused", problem=self._taken(plan, uid)
                )
            checked.append(plan)
        return checked

    def _taken(self, plan: BoardPlan, uid: str = "") -> str:
        title = self._folder_title(plan.folder_uid == FOLDERS[True])
        also = f" (uid {uid!r})" if uid else ""
        return (
            f"the folder {title!r} of {self.server.url} has another board called "
            f"{plan.title!r}{also}: it was left as it is; rename or move it and push "
            "again"
        )

    def _save(self, board: Board, plan: BoardPlan) -> BoardPlan:
        if plan.outcome not in ("new", "changed"):
            return plan
        content = dashboard_json(board, self.boards)
        try:
            address = self.server.save_board(
                content, plan.folder_uid, plan.version, push_message(content)
            )
        except RefusedRequest as refused:
            return dataclasses.replace(
                plan, outcome="refused", details=(), problem=self._why(plan, refused)
            )
        return dataclasses.replace(plan, address=address)

    def _why(self, plan: BoardPlan, refused: RefusedRequest) -> str:
        if refused.status == 412 and "name" in refused.reason:
            return self._taken(plan)
        if refused.status == 412 and not plan.version:
            return (
                f"{self.server.url} has a board with the uid {plan.uid!r} that the "
                "token may not read: it was left as it is; expected a service account "
                "that may edit it"
            )
        if refused.status == 412:
            return (
                f"somebody saved the board {plan.title!r} of {self.server.url} while "
                "it was pushed: their version was kept; push again"
            )
        return str(refused)

    def _removals(self, wanted: set[str]) -> Iterator[BoardPlan]:
        """Returns the plans for boards that an earlier version pushed."""
        found = {
            hit.uid: None
            for tag in OWN_TAGS
            for hit in self.server.find_boards(tag=tag)
            if hit.uid.startswith(_UID_PREFIX)
        }
        for uid in found:
            if uid in wanted:
                continue
            plan = plan_removal(self.server, uid)
            if plan is None:
                continue
            if plan.outcome == "edited" and self.options.overwrite:
                plan = dataclasses.replace(plan, outcome="gone", problem="")
            if plan.outcome == "gone" and not self.options.prune:
                self.notes.append(
                    f"the board {plan.title!r} ({plan.address}) is no longer one of "
                    "Towpath's: --prune removes it"
                )
                continue
            yield plan

    def _remove(self, plan: BoardPlan) -> BoardPlan:
        if plan.outcome != "gone":
            return plan
        try:
            self.server.delete_board(plan.uid)
        except RefusedRequest as refused:
            return dataclasses.replace(plan, outcome="refused", problem=str(refused))
        return plan
