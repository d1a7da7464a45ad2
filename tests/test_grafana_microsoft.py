"""The board of Microsoft 365: whom an outage reaches, as planted in a real InfluxDB."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import council
import pytest
from council_groups import ANSWERED
from grafana_asks import (
    END_MS,
    SERVERS,
    Influx,
    chosen_text,
    figures,
    filled,
    running_influx,
    selections,
)
from grafana_files import RULES, grafana_dashboard
from shown_rows import panel_document, shown_rows

from dashboards.grafana import BOARDS
from dashboards.grafana.rule_panels import panel_of
from probes.wire.sample import Sample, Value

BOARD = "towpath-microsoft"
STEP_MS = 300_000
# A provider by any name; from this time on nothing of Microsoft's answers there.
PROVIDER = 'Mŷnydd "Fibre" / O\'Neil (UK) | +44'
CHOSEN = {
    "site": ".*",
    "provider": ".*",
    "largest_sites": ".*",
    "largest_providers": ".*",
}
SITES = 20


def _planted() -> Iterator[Sample]:
    for sample in council.samples(END_MS - 12 * STEP_MS, END_MS, STEP_MS):
        if sample.measurement == "experience":
            yield sample
    for n in range(12):
        at = END_MS - STEP_MS // 2 - n * STEP_MS
        failed = n < 4
        yield _group("provider", PROVIDER, at, 0.2 if failed else 0.998, 15)
        for site in range(SITES):
            yield _group("site", f"site-{site:02}", at, 0.99 - site / 1000, 10 + site)


def _group(by: str, group: str, at: int, answered: float, laptops: int) -> Sample:
    fields: dict[str, Value] = {
        "agents": laptops,
        "microsoft_checks": laptops * 3,
        "microsoft_ok_ratio": answered,
        "microsoft_connect_p50_ms": 33.0,
        "relay_checks": laptops,
        "relay_blocked_ratio": 0.02,
    }
    return Sample("experience", {"by": by, "group": group}, fields, at)


@pytest.fixture(scope="module", params=SERVERS)
def influx(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Influx]:
    folder: Path = tmp_path_factory.mktemp("influx")
    with running_influx(request.param, folder) as database:
        asyncio.run(database.write(list(_planted())))
        yield database


def _shown(influx: Influx, title: str, **chosen: str) -> Any:
    return shown_rows(influx, BOARD, title, {**CHOSEN, **chosen})


@pytest.mark.service
def test_one_providers_outage_is_first_and_all_others_are_well(influx: Influx) -> None:
    worst, *others = _shown(influx, "Is it one provider?")
    assert worst["group"] == PROVIDER
    assert worst["microsoft_ok_ratio_last"] == pytest.approx(0.2)
    assert worst["microsoft_connect_p50_ms_last"] == pytest.approx(33.0)
    # Nobody there has timed other services: that is not measured, and no zero.
    assert worst["other_web_ok_ratio_last"] is None
    assert {row["group"] for row in others} == {"Moor Broadband", "Northern Fibre"}
    assert all(row["microsoft_ok_ratio_last"] > 0.99 for row in others)


@pytest.mark.service
def test_a_provider_by_any_name_is_chosen_alone(influx: Influx) -> None:
    chosen = {"provider": chosen_text(PROVIDER)}
    [row] = _shown(influx, "Is it one provider?", **chosen)
    assert row["group"] == PROVIDER
    title = "Through which providers did Microsoft 365 not answer?"
    query = panel_document(BOARD, title)["targets"][0]["query"]
    largest = {"largest_providers": chosen_text(PROVIDER)}
    text = filled(query, {**CHOSEN, **chosen, **largest}, interval="5m")
    [series] = influx.ask(text, "towpath")
    assert series["tags"] == {"group": PROVIDER}
    values = [value for _, value in series["values"] if value is not None]
    assert [value < 0.5 for value in values].count(True) == 4


@pytest.mark.service
def test_home_offices_and_all_have_a_row_each(influx: Influx) -> None:
    rows = _shown(influx, "Is it us or Microsoft: at home and in offices?")
    assert {(row["by"], row["group"]) for row in rows} == {
        ("all", "all"),
        ("place", "home"),
        ("place", "office"),
    }


@pytest.mark.service
def test_sites_over_time_are_the_twelve_with_most_laptops(influx: Influx) -> None:
    [board] = [board for board in BOARDS if board.uid == BOARD]
    [chosen] = selections(influx, board)
    title = "At which sites did Microsoft 365 not answer?"
    query = panel_document(BOARD, title)["targets"][0]["query"]
    series = influx.ask(filled(query, chosen, interval="5m"), "towpath")
    shown = {one["tags"]["group"] for one in series}
    # The Town Hall has 45 laptops, the library 15.
    largest = {f"site-{n:02}" for n in range(SITES - 11, SITES)}
    assert shown == largest | {"town-hall"}


@pytest.mark.service
def test_a_front_door_has_the_figure_of_all_laptops(influx: Influx) -> None:
    document = panel_document(BOARD, "Does Microsoft 365 answer?")
    names = [target["alias"] for target in document["targets"]]
    assert names == ["Microsoft Teams", "Exchange Online", "Microsoft sign-in"]
    answers = [
        figures(influx.ask(filled(target["query"], CHOSEN), "towpath"))
        for target in document["targets"]
    ]
    shares = ("microsoft_teams", "microsoft_exchange", "microsoft_sign_in")
    assert answers == [[pytest.approx(ANSWERED[name])] for name in shares]


def test_alerts_about_relays_lead_to_a_graph_of_relays() -> None:
    boards = {
        rule.id: panel[0]
        for rule in RULES
        if rule.id.startswith("relay_blocked") and (panel := panel_of(rule, BOARDS))
    }
    # This board has graphs of places and sites, and none of all laptops together.
    assert boards == {
        "relay_blocked_site": BOARD,
        "relay_blocked_everywhere": "towpath-calls",
    }


def test_a_load_takes_few_queries() -> None:
    document = grafana_dashboard(BOARD)
    shown = [panel for panel in document["panels"] if panel["type"] != "row"]
    assert sum(len(panel.get("targets", ())) for panel in shown) <= 25
