"""The boards of a council with 200 sites: every site once, and the worst first."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import council
import pytest
import services
from grafana_asks import END_MS, Influx
from grafana_files import RULES, all_panels, grafana_dashboard, grafana_dashboards
from large_council import IN_TROUBLE, SITES, large_council_rows, site_id, use_ratio
from shown_rows import panel_document, shown_rows

from dashboards.web.site_rows import URGENCIES

CHOICES = {"search": "", "site": ".*", "supplier": ".*"}
ROWS_MS = 10 * 60_000
DOWN = sorted(site for site, text in IN_TROUBLE.items() if text == "Down")


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    with services.running(
        services.influxd(tmp_path_factory.mktemp("influx"))
    ) as server:
        database = Influx(server)
        rows = large_council_rows(END_MS - ROWS_MS, END_MS)
        ended = council.samples(END_MS - ROWS_MS, END_MS)
        alerts = (row for row in ended if row.measurement in ("alert", "incident"))
        asyncio.run(database.write([*rows, *alerts]))
        yield database


def _shown(influx: Influx, board: str, title: str, **chosen: str) -> Any:
    return shown_rows(influx, board, title, {**CHOICES, **chosen})


@pytest.mark.service
def test_every_site_has_one_tile_and_the_worst_come_first(influx: Influx) -> None:
    tiles = _shown(influx, "towpath-estate", "Which sites need attention?")
    assert sorted(tile["site"] for tile in tiles) == [site_id(n) for n in range(SITES)]
    urgencies = [tile["urgency_last"] for tile in tiles]
    assert urgencies == sorted(urgencies, reverse=True)
    assert sorted(tile["site"] for tile in tiles[:2]) == DOWN
    limit = panel_document("towpath-estate", "Which sites need attention?")["options"]
    assert limit["reduceOptions"]["limit"] >= SITES


@pytest.mark.service
def test_sites_in_trouble_are_listed_with_the_reason_and_no_others(
    influx: Influx,
) -> None:
    rows = _shown(influx, "towpath-estate", "What is wrong, and where?")
    assert {row["site"] for row in rows} == set(IN_TROUBLE)
    words = [IN_TROUBLE[row["site"]] for row in rows]
    assert words == sorted(words, key=lambda word: -URGENCIES[word])
    assert all(row["why_last"] for row in rows[: len(DOWN)])


@pytest.mark.service
def test_a_search_finds_sites_by_any_part_of_their_id(influx: Influx) -> None:
    found = _shown(
        influx, "towpath-estate", "Which sites need attention?", search="E-15"
    )
    assert sorted(row["site"] for row in found) == [site_id(n) for n in range(150, 160)]


@pytest.mark.service
def test_the_ten_fullest_lines_are_listed_fullest_first(influx: Influx) -> None:
    sites = [n for n in range(SITES) if site_id(n) not in DOWN]
    fullest = sorted(map(use_ratio, sites), reverse=True)[:10]
    for board, title, name in (
        (
            "towpath-estate",
            "Which lines are fullest?",
            "busiest_line_use_ratio_last",
        ),
        ("towpath-wan", "Which lines are busiest now?", "down_use_ratio_mean"),
    ):
        shown = [row[name] for row in _shown(influx, board, title)]
        assert shown == pytest.approx(fullest)


@pytest.mark.service
def test_lines_that_are_down_are_named_and_their_rates_are_no_zeros(
    influx: Influx,
) -> None:
    for title in ("Which lines are down?", "Which lines were down?"):
        rows = _shown(influx, "towpath-wan", title)
        assert sorted(row["site"] for row in rows) == DOWN
    bandwidth = _shown(influx, "towpath-wan", "Which line needs more bandwidth?")
    assert len(bandwidth) == SITES
    for row in bandwidth:
        assert (row["down_use_ratio_p95"] is None) == (row["site"] in DOWN)


@pytest.mark.service
def test_devices_that_failed_in_the_last_hour_are_listed_and_no_others(
    influx: Influx,
) -> None:
    rows = _shown(influx, "towpath-estate", "Which devices failed or restarted?")
    assert sorted(row["site"] for row in rows) == DOWN


@pytest.mark.service
def test_what_fires_is_listed_worst_first_and_consequences_apart(
    influx: Influx,
) -> None:
    firing = _shown(influx, "towpath-alerts", "What is firing now?")
    assert [row["rule"] for row in firing] == ["line_down", "line_full"]
    [behind] = _shown(influx, "towpath-alerts", "What does another alert explain?")
    assert behind["subject"] == "device=dep-sw1"
    changed = _shown(influx, "towpath-estate", "Which alerts began or ended?")
    assert "port_errors" in {row["rule"] for row in changed}


def test_every_rule_leads_to_a_panel_that_is_there_and_unknown_ones_to_a_board() -> (
    None
):
    numbers = {
        document["uid"]: {panel["id"] for panel in all_panels(document)}
        for document in grafana_dashboards().values()
    }
    panel = panel_document("towpath-alerts", "What is firing now?")
    [mappings] = [
        item["value"]
        for override in panel["fieldConfig"]["overrides"]
        if override["matcher"]["options"] == "Panel"
        for item in override["properties"]
        if item["id"] == "mappings"
    ]
    known, other = mappings
    addresses = {rule: to["text"] for rule, to in known["options"].items()}
    assert {rule.id for rule in RULES} <= addresses.keys()
    for address in addresses.values():
        match = re.match(r"([a-z0-9-]+)\?viewPanel=(\d+)(&|$)", address)
        assert match, address
        board, number, _ = match.groups()
        assert int(number) in numbers[board]
    assert addresses["monitor_cut_off"].startswith("towpath-itself?")
    assert addresses["line_down"].startswith(("towpath-wan?", "towpath-site?"))
    assert other["options"]["result"]["text"].rstrip("?") in numbers


def test_the_first_screen_of_the_estate_takes_few_queries() -> None:
    document = grafana_dashboard("towpath-estate")
    open_panels = [panel for panel in document["panels"] if panel["type"] != "row"]
    assert sum(len(panel["targets"]) for panel in open_panels) < 25
