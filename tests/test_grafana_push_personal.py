"""The board of laptops' own results has its own organisation, folder and source."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from grafana_double import FEW, grafana, outcomes, pushed
from grafana_state import (
    MAKER,
    ROLES,
    Folder,
    GrafanaState,
    personal_source,
    shared_source,
)

from dashboards.grafana.grafana_connection import PushError
from dashboards.grafana_config import GrafanaConfig

SHARED = {board.uid for board in FEW if not board.personal}
PERSONAL = GrafanaConfig(personal=True)


@pytest.fixture
def state() -> Iterator[GrafanaState]:
    with grafana() as running:
        yield running


@pytest.mark.parametrize("role", ["Editor", "Admin"])
def test_a_data_source_of_personal_data_among_the_shared_ones_is_reported(
    role: str,
) -> None:
    sources = {"towpath-shared": shared_source(), "towpath-personal": personal_source()}
    with grafana(role=role, sources=sources) as state:
        [note] = pushed(state).notes
        assert "every Viewer may query laptops' own results through it" in note


def test_the_personal_board_alone_goes_to_its_own_organisation_in_a_closed_folder() -> (
    None
):
    sources = {"towpath-personal": personal_source()}
    with grafana(organisation=2, sources=sources) as state:
        report = pushed(state, PERSONAL)
        assert [board.uid for board in report.boards] == ["towpath-laptop"]
        assert state.boards["towpath-laptop"].folder == "towpath-personal"
        folder = state.folders["towpath-personal"]
        assert folder.permissions == [MAKER]
        # Whom people let in afterwards stays in.
        folder.permissions.append({"teamId": 3, "permission": 1})
        assert outcomes(pushed(state, PERSONAL)) == {"unchanged"}
        assert len(folder.permissions) == 2
        # Out of the closed folder it is not written any more.
        state.move("towpath-laptop", "")
        [problem] = pushed(state, PERSONAL).problems
        assert "which only some may open: move it there" in problem


def test_the_organisation_of_the_shared_boards_gets_no_personal_one(
    state: GrafanaState,
) -> None:
    pushed(state, PERSONAL)
    assert set(state.boards) == SHARED


def test_the_personal_board_needs_its_own_data_source() -> None:
    with grafana(organisation=2) as state:
        with pytest.raises(
            PushError, match="no data source with the uid 'towpath-pers"
        ):
            pushed(state, PERSONAL)
        assert state.writes == []


@pytest.mark.parametrize("roles", [["Viewer"], ["Editor"], ["Editor", "Viewer"]])
@pytest.mark.parametrize("inherited", [False, True])
def test_an_open_folder_gets_no_personal_board(
    roles: list[str], inherited: bool
) -> None:
    entries = [{"role": role, "permission": 1} for role in roles]
    sources = {"towpath-personal": personal_source()}
    with grafana(organisation=2, sources=sources) as state:
        own, state.inherited = ([], entries) if inherited else (entries, [])
        state.folders["towpath-personal"] = Folder("x", list(own))
        with pytest.raises(
            PushError, match=f"is open to every {' and '.join(roles)}, so"
        ):
            pushed(state, PERSONAL)
        assert state.boards == {}
        # What people have set is theirs to change.
        assert state.folders["towpath-personal"].permissions == own


def test_a_folder_that_stays_open_by_its_parent_gets_no_personal_board() -> None:
    sources = {"towpath-personal": personal_source()}
    with grafana(organisation=2, sources=sources, inherited=ROLES) as state:
        with pytest.raises(PushError, match="is open to every Editor and Viewer"):
            pushed(state, PERSONAL)
        assert state.boards == {}


@pytest.mark.parametrize("config", [PERSONAL, GrafanaConfig(organisation=1)], ids=str)
def test_a_token_of_a_third_organisation_is_refused(config: GrafanaConfig) -> None:
    with grafana(organisation=5) as state:
        with pytest.raises(
            PushError, match=r"is of organisation 5 \(Council\), expected 1"
        ):
            pushed(state, config)
        assert state.writes == []
