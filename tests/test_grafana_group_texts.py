"""Groups of laptops have words on every board, and sites keep their ids."""

from __future__ import annotations

from collectors.store.query import Where
from dashboards.grafana import BOARDS
from dashboards.grafana.board import Panel, PanelQuery, select
from dashboards.grafana.boards.group_texts import group_texts
from dashboards.grafana.site_texts import name_sites


def _panel(*kinds: str) -> Panel:
    where = (Where("by", kinds),) if kinds else ()
    query = select(
        "experience", ("call_poor_ratio", "mean"), by=("group",), where=where
    )
    return Panel("P", "Shows.", (PanelQuery(query, "$tag_group"),))


def test_only_the_keys_of_the_kinds_that_are_listed_have_words() -> None:
    assert group_texts(_panel("site")) == {}
    assert set(group_texts(_panel("provider"))) == {"unknown"}
    assert group_texts(_panel("place"))["home"][0] == "At home"
    assert {"home", "wifi", "absent"} <= group_texts(_panel()).keys()


def test_tables_and_lines_of_groups_have_these_words() -> None:
    for panel in (panel for board in BOARDS for panel in board.panels):
        words = group_texts(panel).items()
        if panel.is_of_rows and "group" in panel.columns:
            assert words <= panel.columns["group"].value_texts.items(), panel.title
        elif any(target.legend == "$tag_group" for target in panel.targets):
            assert words <= panel.line_texts.items(), panel.title


def test_a_site_whose_id_is_a_key_has_its_name_where_sites_are_listed() -> None:
    named = {
        panel.title: panel
        for board in name_sites(BOARDS, {"home": "Home Farm"})
        for panel in board.panels
    }
    sites = named["Is it one site?"].columns["group"].value_texts
    assert sites == {"home": ("Home Farm", "text")}
    # Here the reader chooses what groups are of.
    either = named["Which groups have poor calls?"].columns["group"].value_texts
    assert either["home"][0] == "At home or Home Farm"
    assert either["office"][0] == "In offices"
