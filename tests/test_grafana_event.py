"""The board of a live event: the room's port, the links of the site, its line and its
calls, each as planted in a real InfluxDB."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import council
import pytest
from grafana_asks import (
    END_MS,
    SERVERS,
    Influx,
    chosen_text,
    figures,
    filled,
    running_influx,
)
from grafana_files import all_panels, grafana_dashboard
from shown_rows import panel_document, shown_rows

from dashboards.grafana import BOARDS
from dashboards.grafana.boards.room_panels import LINK_PORTS
from probes.wire.sample import Sample, Value

BOARD = "towpath-event"
MINUTE_MS = council.MINUTE_MS
# Whatever a device can call its ports.
ROOM = "Gi1/0/7 \"Châmber\" 'A' (1|2) $x"
ABOUT = "Council Chamber / desk 'A' \\ Ω"
SWITCH = "th sw/9"
TAGS = {"site": "town-hall", "role": "switch", "device": SWITCH}
CHOSEN = {
    "site": chosen_text("town-hall"),
    "device": chosen_text(SWITCH),
    "port": chosen_text(ROOM),
    "about": "",
}
# Port → why it should be up, errors and discards per second, its busiest minute.
PORTS: dict[str, tuple[str, float, float, float]] = {
    ROOM: ("", 0.25, 0.0, 0.01),
    "Te1/1/1": ("uplink", 0.0, 3.0, 0.9),
    "Te1/1/2": ("neighbour", 0.5, 0.0, 0.3),
    "Te1/1/3": ("pattern", 9.0, 9.0, 0.3),
    "Te1/1/4": ("line", 0.0, 0.0, 0.2),
}


def _port_rows(at: int) -> Iterator[Sample]:
    for port, (why, errors, discards, busiest) in PORTS.items():
        fields: dict[str, Value] = {
            "state": 0 if port == ROOM and at < END_MS - 10 * MINUTE_MS else 3,
            "in_bps": 6e6 if port == ROOM else 1e9,
            "out_bps": 1e5,
            "in_use_ratio": busiest if at > END_MS - 2 * MINUTE_MS else 0.01,
            "out_use_ratio": 0.02,
            "in_error_ratio": errors / 1000,
            "in_errors_per_s": errors,
            "out_errors_per_s": 0.0,
            "in_discards_per_s": 0.0,
            "out_discards_per_s": discards,
            "speed_bps": 1e9,
        }
        fields["expected_up"] = int(bool(why))
        if why:
            fields["expected_why"] = why
        tags = {**TAGS, "port": port}
        if port == ROOM:
            tags["description"] = ABOUT
        yield Sample("interface", tags, fields, at)
    yield Sample("device", TAGS, {"answered": 1, "icmp_rtt_ms": 3.0}, at)


def _planted(from_ms: int) -> Iterator[Sample]:
    steady = council.samples(from_ms, END_MS)
    yield from (row for row in steady if row.tags.get("line") != "th-wan")
    for at in range(from_ms + MINUTE_MS // 2, END_MS, MINUTE_MS):
        yield from _port_rows(at)
        busy = at > END_MS - 5 * MINUTE_MS
        for line, up, up_bps in (("th-wan", 1, 8e7 if busy else 2e7), ("th-4g", 0, 0)):
            tags = {"line": line, "site": "town-hall", "role": "primary"}
            fields: dict[str, Value] = {"up": up, "contract_up_bps": 1e8}
            if up:
                fields |= {"up_bps": up_bps, "up_use_ratio": up_bps / 1e8}
            yield Sample("line", {**tags, "supplier": "S"}, fields, at)
    for number, site in enumerate(("library", "town-hall"), 1):
        tags = {"silence": str(number), "site": site, "device": "", "rule": ""}
        planned: dict[str, Value] = {"planned": 1, "active": 0, "why": "new firmware"}
        yield Sample("silence", tags, planned, END_MS - MINUTE_MS)


@pytest.fixture(scope="module", params=SERVERS)
def influx(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Influx]:
    folder: Path = tmp_path_factory.mktemp("influx")
    with running_influx(request.param, folder) as database:
        asyncio.run(database.write(list(_planted(END_MS - 30 * MINUTE_MS))))
        yield database


def _shown(influx: Influx, title: str, **chosen: str) -> Any:
    return shown_rows(influx, BOARD, title, {**CHOSEN, **chosen})


def _figures(influx: Influx, title: str, **chosen: str) -> list[Any]:
    document = panel_document(BOARD, title)
    return [
        figures(influx.ask(filled(target["query"], {**CHOSEN, **chosen}), "towpath"))
        for target in document["targets"]
    ]


@pytest.mark.service
def test_a_room_is_found_by_any_part_of_its_ports_description(influx: Influx) -> None:
    title = "Which ports of the site have such a description?"
    [room] = _shown(influx, title, about=chosen_text("chamber / DESK 'a'"))
    assert (room["device"], room["port"], room["state_last"]) == (SWITCH, ROOM, 3)
    assert len(_shown(influx, title)) >= len(PORTS)
    assert not _shown(influx, title, about="chamber", site="library")


@pytest.mark.service
def test_the_room_is_chosen_from_the_table_whatever_its_port_is_called() -> None:
    panel = panel_document(BOARD, "Which ports of the site have such a description?")
    [address] = [
        item["value"][0]["url"]
        for override in panel["fieldConfig"]["overrides"]
        if override["matcher"]["options"] == "Port"
        for item in override["properties"]
        if item["id"] == "links"
    ]
    assert address.startswith(f"/d/{BOARD}?")
    for name in ("device", "port"):
        assert f"var-{name}=${{__data.fields.{name}:percentencode}}" in address
    assert "${site:queryparam}" in address
    assert "${__url_time_range}" in address


@pytest.mark.service
def test_the_rooms_port_alone_has_the_figures_of_its_row(influx: Influx) -> None:
    assert _figures(influx, "Is the room's port up?") == [[3]]
    [[damaged]] = _figures(influx, "Does it damage packets?")
    assert damaged == pytest.approx(0.00025)
    [states] = _figures(influx, "When was the room's port down?")
    assert states.count(0) == 20
    assert states.count(3) == 10
    received, sent = _figures(influx, "What does the room send and receive?")
    assert set(received) == {6e6}
    assert set(sent) == {1e5}


@pytest.mark.service
def test_links_of_the_site_are_listed_most_lossy_first_and_no_desks(
    influx: Influx,
) -> None:
    title = "Do the links of the site lose packets?"
    [answer] = influx.ask(filled(LINK_PORTS.query(), CHOSEN), "towpath")
    names = [row[1] for row in answer["values"]]
    ports = "|".join(map(chosen_text, names))
    # The ports of desks are not even read.
    assert ROOM not in names
    [target] = panel_document(BOARD, title)["targets"]
    read = influx.ask(
        filled(target["query"], {**CHOSEN, "link_ports": f"({ports})"}), "towpath"
    )
    assert {series["tags"]["port"] for series in read} == set(names)
    rows = _shown(influx, title, link_ports=f"({ports})")
    planted = [row for row in rows if row["device"] == SWITCH]
    assert [(row["port"], row["lost"]) for row in planted] == [
        ("Te1/1/1", pytest.approx(3.0)),
        ("Te1/1/2", pytest.approx(0.5)),
        ("Te1/1/4", 0),
    ]
    assert planted[0]["use"] == pytest.approx(0.9)
    others = {row["device"] for row in rows}
    assert others == {SWITCH, "th-sw1", "th-sw2", "th-sw3"}


@pytest.mark.service
def test_the_line_with_least_room_comes_first_and_one_that_is_down_has_none(
    influx: Influx,
) -> None:
    down, line = _shown(influx, "How much of the line is free for the stream?")
    assert (down["line"], down["up_last"], down["up_free"]) == ("th-4g", 0, None)
    assert line["up_free"] == pytest.approx(1e8 - 8e7)
    assert line["up_use_ratio_max"] == pytest.approx(0.8)


@pytest.mark.service
def test_maintenance_anywhere_is_listed(influx: Influx) -> None:
    rows = _shown(influx, "Is maintenance planned?")
    assert {"library", "town-hall"} <= {row["site"] for row in rows}


@pytest.mark.service
def test_calls_are_those_of_the_site_with_all_offices_beside_them(
    influx: Influx,
) -> None:
    title = "How good are calls from here, and where do they fail?"
    [here] = _shown(influx, title)
    assert here["group"] == "town-hall"
    assert here["mos_estimated_p50_last"] == pytest.approx(4.3)
    assert not _shown(influx, title, site="depot")
    graph = "How many calls are poor, here and in all offices?"
    for site, has_calls in (("library", True), ("depot", False)):
        own, offices = _figures(influx, graph, site=site)
        assert bool(own) == has_calls
        assert offices


def test_a_load_takes_few_queries_and_every_order_of_rows_is_numbered() -> None:
    document = grafana_dashboard(BOARD)
    shown = [panel for panel in document["panels"] if panel["type"] != "row"]
    assert sum(len(panel.get("targets", ())) for panel in shown) <= 27
    titles = [row["title"] for row in document["panels"] if row["type"] == "row"]
    numbered = [title[:2] for title in titles if title[0].isdigit()]
    assert numbered == ["1.", "2.", "3.", "4.", "5."]
    text = json.dumps(
        [panel["options"] for panel in all_panels(document) if panel["type"] == "text"]
    )
    assert all(f"{number} " in text for number in numbered)


def test_links_of_the_board_keep_the_site() -> None:
    [board] = [board for board in BOARDS if board.uid == BOARD]
    assert board.variables[0].name == "site"
    assert not board.variables[0].multiple
