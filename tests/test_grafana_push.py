"""Boards pushed into a running Grafana, against a double of its HTTP API."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from grafana_double import FEW, PLAIN, grafana, outcomes, pushed
from grafana_state import (
    ROLES,
    Folder,
    GrafanaState,
    shared_source,
)

from dashboards.grafana import BOARDS
from dashboards.grafana.board import Board
from dashboards.grafana.grafana_connection import PushError
from dashboards.grafana.grafana_server import GrafanaServer
from dashboards.grafana.push import PushOptions
from dashboards.grafana_config import GrafanaConfig

SHARED = {board.uid for board in FEW if not board.personal}
FIRST = next(board for board in FEW if not board.personal)
PERSONAL = GrafanaConfig(personal=True)
DRY = PushOptions(dry_run=True)
OVERWRITE = PushOptions(overwrite=True)
ALL_VERSIONS = pytest.mark.parametrize("major", [9, 10, 11, 12, 13])


@pytest.fixture
def state() -> Iterator[GrafanaState]:
    with grafana() as running:
        yield running


def renamed(board: Board) -> Board:
    """A board of the next version: its first panel has another description."""
    first_row = board.rows[0]
    panel = dataclasses.replace(first_row.panels[0], description="What is new.")
    row = dataclasses.replace(first_row, panels=(panel, *first_row.panels[1:]))
    return dataclasses.replace(board, rows=(row, *board.rows[1:]))


def next_version() -> tuple[Board, ...]:
    return tuple(renamed(b) if b is FIRST else b for b in FEW)


@ALL_VERSIONS
@pytest.mark.parametrize("role", ["Editor", "Admin"])
def test_a_first_push_makes_the_folder_and_puts_the_shared_boards_into_it(
    major: int, role: str
) -> None:
    with grafana(major=major, role=role) as state:
        report = pushed(state)
        assert outcomes(report) == {"new"}
        assert report.problems == []
        assert {uid: b.folder for uid, b in state.boards.items()} == dict.fromkeys(
            SHARED, "towpath"
        )
        assert list(state.folders) == ["towpath"]


def test_all_shared_boards_are_pushed_and_the_personal_one_is_not(
    state: GrafanaState,
) -> None:
    assert outcomes(pushed(state, boards=BOARDS)) == {"new"}
    assert set(state.boards) == {board.uid for board in BOARDS if not board.personal}


@ALL_VERSIONS
def test_boards_that_are_the_same_get_no_new_version(major: int) -> None:
    with grafana(major=major, role="Editor") as state:
        pushed(state)
        before = len(state.writes)
        assert outcomes(pushed(state)) == {"unchanged"}
        assert len(state.writes) == before


@ALL_VERSIONS
def test_a_new_version_of_one_board_changes_only_that_one(major: int) -> None:
    with grafana(major=major, role="Editor") as state:
        pushed(state)
        report = pushed(state, None, DRY, next_version())
        [changed] = [board for board in report.boards if board.outcome == "changed"]
        title = FIRST.rows[0].panels[0].title
        assert changed.details == (f"~ panel {title!r}: description",)
        assert changed.address == f"{state.url}/d/{FIRST.uid}/x"
        del state.writes[:]
        pushed(state, None, PushOptions(), next_version())
        assert state.writes == [f"board {FIRST.uid}"]


def test_a_dry_run_writes_nothing(state: GrafanaState) -> None:
    report = pushed(state, None, DRY)
    assert outcomes(report) == {"new"}
    assert report.created == ("folder 'Towpath'",)
    assert state.writes == []


@ALL_VERSIONS
@pytest.mark.parametrize("boards", [FEW, next_version()], ids=["same", "newer"])
def test_the_edit_of_a_person_is_kept_and_named(
    major: int, boards: tuple[Board, ...]
) -> None:
    with grafana(major=major, role="Editor") as state:
        pushed(state)
        panels = state.content(FIRST.uid)["panels"]
        edited = [*panels[:1], {**panels[1], "title": "Mine"}, *panels[2:]]
        state.edit(FIRST.uid, author="alice", panels=edited)
        report = pushed(state, None, PushOptions(), boards)
        [problem] = report.problems
        assert problem == (
            f"'alice' has changed the board {FIRST.title!r} "
            f"({state.url}/d/{FIRST.uid}/x) since Towpath pushed it: it is kept; "
            "--overwrite replaces it"
        )
        [kept] = [board for board in report.boards if board.outcome == "edited"]
        assert kept.details == (f"- panel {panels[1]['title']!r}", "+ panel 'Mine'")
        assert state.content(FIRST.uid)["panels"][1]["title"] == "Mine"
        both = PushOptions(dry_run=True, overwrite=True)
        [would] = [
            board
            for board in pushed(state, None, both, boards).boards
            if board.outcome == "changed"
        ]
        assert would.details == tuple(f"undoes {line}" for line in kept.details)
        assert pushed(state, None, OVERWRITE, boards).problems == []
        assert state.content(FIRST.uid)["panels"][1]["title"] != "Mine"
        assert outcomes(pushed(state, None, PushOptions(), boards)) == {"unchanged"}


def test_a_board_that_people_moved_stays_where_they_put_it(
    state: GrafanaState,
) -> None:
    pushed(state)
    state.folders["noc"] = Folder("NOC", list(ROLES))
    state.move(FIRST.uid, "noc")
    assert outcomes(pushed(state)) == {"unchanged"}
    pushed(state, None, PushOptions(), next_version())
    assert state.boards[FIRST.uid].folder == "noc"
    assert state.content(FIRST.uid)["panels"][1]["description"] == "What is new."


def test_a_save_between_the_check_and_the_push_is_kept(
    state: GrafanaState, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed(state)
    save_board = GrafanaServer.save_board

    def save_after_alice(server: GrafanaServer, *values: Any) -> str:
        state.edit(FIRST.uid, title="Alice's")
        return save_board(server, *values)

    monkeypatch.setattr(GrafanaServer, "save_board", save_after_alice)
    [problem] = pushed(state, None, PushOptions(), next_version()).problems
    assert "while it was pushed: their version was kept; push again" in problem
    assert state.content(FIRST.uid)["title"] == "Alice's"


@pytest.mark.parametrize("options", [PushOptions(), OVERWRITE], ids=str)
def test_a_board_of_somebody_else_with_our_uid_is_never_written(
    state: GrafanaState, options: PushOptions
) -> None:
    state.add_board(FIRST.uid, "Bob's board")
    before = state.content(FIRST.uid)
    [problem] = pushed(state, None, options).problems
    assert problem.startswith(f"{state.url} has another board with the uid")
    assert "'Bob's board'" in problem or '"Bob\'s board"' in problem
    assert state.content(FIRST.uid) == before
    assert len(state.boards) == len(SHARED)


@ALL_VERSIONS
def test_a_board_that_the_token_may_not_read_is_never_written(major: int) -> None:
    with grafana(major=major, role="Editor", hidden={FIRST.uid}) as state:
        state.add_board(FIRST.uid, "Secret")
        before = state.content(FIRST.uid)
        for options in (PLAIN, OVERWRITE):
            [problem] = pushed(state, None, options).problems
            assert "that the token may not read: it was left as it is" in problem
        assert state.content(FIRST.uid) == before


@ALL_VERSIONS
def test_a_board_of_somebody_else_with_our_title_in_our_folder_is_left(
    major: int,
) -> None:
    with grafana(major=major) as state:
        state.folders["towpath"] = Folder("Towpath", list(ROLES))
        state.add_board("bobs", FIRST.title, folder="towpath")
        before = state.content("bobs")
        assert len(pushed(state, None, DRY).problems) == 1
        [problem] = pushed(state).problems
        assert f"has another board called {FIRST.title!r}" in problem
        assert state.content("bobs") == before
        assert set(state.boards) == {*SHARED, "bobs"} - {FIRST.uid}


def test_a_board_of_the_same_title_elsewhere_does_no_harm(state: GrafanaState) -> None:
    state.add_board("bobs", FIRST.title, folder="")
    assert pushed(state).problems == []
    assert state.content("bobs")["title"] == FIRST.title


@pytest.mark.parametrize("major", [9, 10])
def test_a_folder_of_somebody_else_with_our_name_is_left(major: int) -> None:
    with grafana(major=major) as state:
        state.folders["xyz"] = Folder("Towpath", list(ROLES))
        with pytest.raises(PushError, match="expected another name in"):
            pushed(state)
        assert state.boards == {}
        pushed(state, GrafanaConfig(folder="Towpath monitoring"))
        assert state.folders["towpath"].title == "Towpath monitoring"


def test_provisioned_boards_are_left_to_their_files(state: GrafanaState) -> None:
    pushed(state)
    for board in state.boards.values():
        board.provisioned = True
    del state.writes[:]
    report = pushed(state, None, OVERWRITE, next_version())
    assert outcomes(report) == {"refused"}
    assert all("comes from a provisioning file" in p for p in report.problems)
    assert state.writes == []


def test_a_board_imported_by_hand_is_adopted_or_kept(state: GrafanaState) -> None:
    pushed(state)
    for version in state.boards[FIRST.uid].versions:
        version.message = ""
    assert outcomes(pushed(state)) == {"unchanged"}
    state.edit(FIRST.uid, title="Changed")
    assert outcomes(pushed(state)) == {"unchanged", "edited"}


def test_boards_that_towpath_no_longer_has_are_named_and_removed_only_with_prune(
    state: GrafanaState,
) -> None:
    pushed(state)
    fewer = tuple(board for board in FEW if board is not FIRST)
    state.add_board("towpath-mine", "Bob's", tags=["towpath"])
    [note] = pushed(state, None, PushOptions(), fewer).notes
    assert "is no longer one of Towpath's: --prune removes it" in note
    assert FIRST.uid in state.boards
    prune = PushOptions(prune=True)
    pushed(state, None, dataclasses.replace(prune, dry_run=True), fewer)
    assert FIRST.uid in state.boards
    state.edit(FIRST.uid, title="Changed")
    [problem] = pushed(state, None, prune, fewer).problems
    assert "'alice' has changed it: it is kept" in problem
    assert FIRST.uid in state.boards
    report = pushed(state, None, PushOptions(prune=True, overwrite=True), fewer)
    assert "gone" in outcomes(report)
    assert FIRST.uid not in state.boards
    # It has our tag and a uid like ours, but Towpath never pushed it.
    assert "towpath-mine" in state.boards


@ALL_VERSIONS
@pytest.mark.parametrize("role", ["Editor", "Admin"])
def test_a_data_source_removed_by_hand_is_named_before_anything_is_written(
    role: str, major: int
) -> None:
    with grafana(role=role, major=major, sources={}) as state:
        with pytest.raises(PushError, match="has no data source with the uid 'towpath"):
            pushed(state)
        assert state.writes == []


def test_missing_data_sources_are_created_if_asked_for() -> None:
    options = PushOptions(create_data_sources=True)
    environment = {"INFLUX_URL": "http://influx:8086", "INFLUX_TOKEN": "secret"}
    with grafana(sources={}) as state:
        with pytest.raises(PushError, match="INFLUX_URL is not set in the environment"):
            pushed(state, None, options, environment={})
        report = pushed(
            state,
            None,
            dataclasses.replace(options, dry_run=True),
            environment=environment,
        )
        assert report.created == ("data source towpath-shared", "folder 'Towpath'")
        assert state.writes == []
        pushed(state, None, options, environment=environment)
        source = state.sources["towpath-shared"]
        assert source["url"] == "http://influx:8086"
        assert source["secureJsonData"] == {"httpHeaderValue1": "Token secret"}
        assert source["isDefault"] is False
    with grafana(sources={}, role="Editor") as state:
        with pytest.raises(PushError, match=r"may not create the data source .* Admin"):
            pushed(state, None, options, environment=environment)
        assert state.writes == []


def test_a_data_source_of_another_type_or_database_is_refused(
    state: GrafanaState,
) -> None:
    state.sources["towpath-shared"]["type"] = "prometheus"
    with pytest.raises(PushError, match="of the type 'prometheus', expected InfluxDB"):
        pushed(state)
    state.sources["towpath-shared"] = {
        **shared_source(),
        "jsonData": {"dbName": "telegraf"},
    }
    [note] = pushed(state, None, DRY).notes
    assert "reads the database 'telegraf', expected 'towpath'" in note
    state.sources["towpath-shared"] = {
        **shared_source(),
        "jsonData": {"dbName": "towpath_personal"},
    }
    with pytest.raises(PushError, match="reads the database 'towpath_personal' of lap"):
        pushed(state)
    assert state.writes == []
