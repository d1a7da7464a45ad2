"""Whatever order pushes and people's edits come in, no edit is lost silently."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

from grafana_double import TOKEN, direct_api
from grafana_state import Folder, GrafanaState, shared_source
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from dashboards.grafana import BOARDS
from dashboards.grafana.board import Board
from dashboards.grafana.board_changes import holds, is_same
from dashboards.grafana.classic import dashboard_json
from dashboards.grafana.grafana_server import GrafanaServer
from dashboards.grafana.push import PushOptions, PushReport, push

OURS = tuple(board for board in BOARDS if not board.personal)[:2]
UIDS = st.sampled_from([board.uid for board in OURS])


class PushHistories(RuleBasedStateMachine):
    """`edits`: uid → what a person saved last, while it differs from `pushed`."""

    def __init__(self) -> None:
        super().__init__()
        self.release = 0
        self.saves = 0
        self.edits: dict[str, dict[str, Any]] = {}
        self.pushed: dict[str, dict[str, Any]] = {}

    @initialize(major=st.sampled_from([9, 11, 13]), lists_newest=st.booleans())
    def start(self, major: int, lists_newest: bool) -> None:
        self.state = GrafanaState(
            major=major,
            role="Editor",
            lists_newest=lists_newest,
            folders={"noc": Folder("NOC", [])},
            sources={"towpath-shared": shared_source()},
        )

    def boards(self) -> tuple[Board, ...]:
        """The boards of the present release, which differ in their descriptions."""
        return tuple(
            dataclasses.replace(board, description=f"Release {self.release}.")
            for board in OURS
        )

    def push(self, **options: bool) -> PushReport:
        server = GrafanaServer("http://grafana.example", TOKEN)
        server._api = direct_api(self.state)
        return push(server, None, PushOptions(**options), self.boards())

    @rule()
    def release_another_version(self) -> None:
        self.release += 1

    @rule(overwrite=st.booleans())
    def push_all(self, overwrite: bool) -> None:
        report = self.push(overwrite=overwrite)
        if overwrite:
            self.edits.clear()
        edited = {board.uid for board in report.boards if board.outcome == "edited"}
        assert edited == set(self.edits)
        assert len(report.problems) == len(self.edits)
        for board in self.boards():
            if board.uid not in edited:
                ours = dashboard_json(board, self.boards())
                assert holds(ours, self.state.content(board.uid))
                self.pushed[board.uid] = self.state.content(board.uid)
        again = self.push()
        assert {board.outcome for board in again.boards} <= {"unchanged", "edited"}

    @rule(overwrite=st.booleans())
    def dry_run(self, overwrite: bool) -> None:
        before = len(self.state.writes)
        self.push(dry_run=True, overwrite=overwrite)
        assert len(self.state.writes) == before

    @rule(uid=UIDS, how=st.sampled_from(["title", "panel", "less", "unit"]))
    def edit(self, uid: str, how: str) -> None:
        if uid not in self.state.boards:
            return
        self.saves += 1
        content = copy.deepcopy(self.state.content(uid))
        panels = content["panels"]
        if how == "title":
            content["title"] = f"Title {self.saves}"
        elif how == "panel":
            panels.append({"id": 900 + self.saves, "title": "Mine", "type": "text"})
        elif how == "less":
            panels.pop()
        else:
            panels[-1]["fieldConfig"] = {"defaults": {"unit": f"u{self.saves}"}}
        self.state.edit(uid, **content)
        if is_same(self.state.content(uid), self.pushed[uid]):
            # A person took back what they had changed.
            self.edits.pop(uid, None)
        else:
            self.edits[uid] = self.state.content(uid)

    @rule(uid=UIDS)
    def save_without_a_change(self, uid: str) -> None:
        if uid in self.state.boards:
            self.state.edit(uid)

    @rule(uid=UIDS)
    def move(self, uid: str) -> None:
        if uid in self.state.boards:
            self.state.move(uid, "noc")

    @rule(uid=UIDS)
    def delete(self, uid: str) -> None:
        self.state.boards.pop(uid, None)
        self.edits.pop(uid, None)

    @invariant()
    def no_edit_is_lost(self) -> None:
        for uid, content in self.edits.items():
            assert is_same(self.state.content(uid), content)


PushHistories.TestCase.settings = settings(
    max_examples=30,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
test_no_history_of_pushes_loses_an_edit = PushHistories.TestCase
