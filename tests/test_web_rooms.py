"""Cards of rooms before and during events, and teams before a shift: they show what
others have judged, and judge nothing themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import accessible
import council
import pytest
from council_page import CSS, NOW_MS, page_client, page_text
from store_doubles import AlertList, AnswerStore, MemoryStore

from alerts.silence import Silence
from collectors.estate.estate_model import (
    SMALL_TEAMS,
    Estate,
    MediaEdge,
    Reflector,
    Room,
    Team,
)
from collectors.store.query import Row
from dashboards.web import room_cards
from dashboards.web.room_cards import RoomCard, RoomCheck
from dashboards.web.site_state import DeviceNow, LineNow
from probes.wire.sample import Sample, Value

MINUTE_MS = 60_000
ROOM = Room(
    id="chamber",
    name="Council Chamber",
    site="town-hall",
    ports=("th-sw2 Gi1/0/12",),
)


def estate(**more: object) -> Estate:
    changed = {
        "rooms": (ROOM,),
        "teams": (Team(id="contact-centre", name="Contact centre"),),
    }
    return council.estate().model_copy(update=changed | more)


def rows(states: dict[int, int], starts_in: float) -> list[Sample]:
    """Rows of the room: minutes ago → its state. The event starts in `starts_in`."""
    texts = {0: "th-sw2 Gi1/0/12 is down", 3: ""}
    return [
        Sample(
            "room",
            {"room": "chamber", "site": "town-hall"},
            {
                "state": state,
                "event_text": "Planning Committee, 18:00 to 20:00",
                "minutes_to_start": starts_in + ago,
                "minutes_to_end": starts_in + ago + 120,
                **({"text": texts[state]} if texts.get(state) else {}),
            },
            NOW_MS - ago * MINUTE_MS,
        )
        for ago, state in states.items()
    ]


def card(
    row: Row | None, line: str = "ok", silences: tuple[Silence, ...] = ()
) -> RoomCard:
    whole = estate()
    device = DeviceNow(whole.device("th-sw2"), "ok", "Answering")
    lines = [LineNow(whole.line("th-wan"), line, "Full", 9e8, 1e8, 0.9, 0.1)]  # type: ignore[arg-type]
    return room_cards.room_card(
        ROOM, row, whole, {"th-sw2": device}, lines, silences, NOW_MS
    )


def row(state: int, starts_in: float, text: str = "", **more: object) -> Row:
    values: dict[str, object] = {
        "state_last": state,
        "text_last": text,
        "minutes_to_start_last": starts_in,
        "minutes_to_end_last": starts_in + 60,
    }
    return Row(None, {"room": "chamber"}, values | more)  # type: ignore[arg-type]


STREAMED = ROOM.model_copy(update={"stream_url": "https://cdn.example/live.m3u8"})


@pytest.mark.parametrize(
    ("stream", "starts_in", "word", "verdict"),
    [
        (3, 10, "Advancing", "Go"),
        (1, 10, "Standing still", "No go"),
        (0, 10, "Not there", "No go"),
        (0, -10, "Not there", "No go"),
        # An hour before, the encoder need not be on.
        (0, 59, "Not there", "Look at it first"),
        (2, 10, "Not measured", "Not known"),
        (None, 10, "Not measured", "Not known"),
        (None, 200, "", "Go"),
    ],
)
def test_a_stream_advances_stands_still_is_not_there_or_not_measured(
    stream: int | None, starts_in: float, word: str, verdict: str
) -> None:
    known: dict[str, Any] = {} if stream is None else {"stream_state_last": stream}
    latest = row(3, starts_in, stream_text_last="why", **known)
    own = room_cards.room_card(STREAMED, latest, estate(), {}, (), (), NOW_MS)
    shown = [check for check in own.checks if check.what == "Live stream"]
    assert [check.word for check in shown] == ([word] if word else [])
    assert own.verdict == verdict
    text = "" if stream in (3, None) else "why"
    assert {check.text for check in shown} <= {text, "why" if stream is None else text}
    assert not [check for check in card(latest).checks if check.what == "Live stream"]


@pytest.mark.parametrize(
    ("state", "line", "verdict"),
    [
        (3, "ok", "Go"),
        (3, "warn", "Look at it first"),
        (1, "ok", "Look at it first"),
        (2, "ok", "Not known"),
        (0, "ok", "No go"),
        (2, "bad", "No go"),
    ],
)
def test_the_worst_of_what_the_event_needs_decides(
    state: int, line: str, verdict: str
) -> None:
    assert card(row(state, 30), line).verdict == verdict


def test_whatever_is_wrong_on_a_card_says_what_helps_and_who_is_rung() -> None:
    until_ms = NOW_MS + 90 * MINUTE_MS
    work = Silence(1, NOW_MS, until_ms, site="town-hall", why="patching", planned=1)
    whole = estate()
    full = LineNow(whole.line("th-wan"), "bad", "Full", 9e8, 1e8, 0.98, 0.1)
    down = LineNow(whole.line("th-wan"), "bad", "Down")
    silent = DeviceNow(whole.device("th-sw2"), "bad", "Not answering")
    known = row(0, 5, "th-sw2 Gi1/0/12 is down", stream_state_last=1)
    made = room_cards.room_card(
        STREAMED, known, whole, {"th-sw2": silent}, (full, down), (work,), NOW_MS
    )
    wrong = [check for check in made.checks if check.level != "ok"]
    assert len(wrong) == 6
    assert all(check.do for check in wrong)
    text = " ".join(check.do for check in wrong)
    line = whole.line("th-wan")
    assert f"Ring {line.supplier} on {line.supplier_phone}" in text
    assert "Stop copies and updates at Town Hall" in text
    # A line that is down cannot be emptied, even if nobody knows whose it is.
    unknown = whole.line("th-wan").model_copy(update={"supplier": ""})
    alone = replace(down, line=unknown)
    made_alone = room_cards.room_card(STREAMED, known, whole, {}, (alone,), (), NOW_MS)
    assert "Stop copies" not in " ".join(check.do for check in made_alone.checks)
    assert "Ring Town Hall: is its power on?" in [c.do for c in made_alone.checks]
    # And what is well asks for nothing.
    assert not any(check.do for check in made.checks if check.level == "ok")


def test_a_room_without_a_row_is_not_measured_and_not_ready() -> None:
    assert card(None).verdict == "Not known"
    assert not card(None).is_due(NOW_MS)


def test_a_text_from_before_all_was_well_again_is_not_shown() -> None:
    assert room_cards.room_check("", row(3, 30, "was down")).text == ""
    assert room_cards.room_check("", row(0, 30, "is down")).text == "is down"


@pytest.mark.parametrize(
    ("scope", "from_min", "to_min", "clashes"),
    [
        ({"site": "town-hall"}, 20, 40, True),
        ({"device": "th-sw2"}, -10, 31, True),
        ({"line": "th-wan"}, 89, 200, True),
        ({"supplier": "Northern Fibre"}, 20, 40, True),
        ({}, 20, 40, True),
        ({"site": "library"}, 20, 40, False),
        ({"device": "th-sw1"}, 20, 40, False),
        ({"site": "town-hall", "rule": "line_full"}, 20, 40, False),
        ({"site": "town-hall"}, 90, 200, False),
        ({"site": "town-hall"}, -60, 30, False),
    ],
)
def test_maintenance_clashes_only_if_it_is_then_and_there(
    scope: dict[str, str], from_min: int, to_min: int, clashes: bool
) -> None:
    # The event lasts from minute 30 to minute 90.
    from_ms, until_ms = (NOW_MS + at * MINUTE_MS for at in (from_min, to_min))
    window = Silence(1, from_ms, until_ms, planned=1, **scope)  # type: ignore[arg-type]
    checks = card(row(3, 30), silences=(window,)).checks
    assert ("Maintenance" in [check.what for check in checks]) is clashes


def test_a_card_shows_how_the_room_was_60_and_15_minutes_before_and_is_now() -> None:
    # It was down an hour before, works since, and the event starts in ten minutes.
    store = MemoryStore(rows({50: 0, 49: 0, 5: 3, 2: 3, 1: 3}, starts_in=10))
    with page_client(store=store, estate=estate(), alerts=AlertList()) as client:
        listed, own = client.get("/rooms").text, client.get("/rooms/chamber").text
    for text in map(page_text, (listed, own)):
        assert "Planning Committee, 18:00 to 20:00" in text
        assert "60 minutes before Down th-sw2 Gi1/0/12 is down" in text
        assert "15 minutes before Working" in text
        assert "What the room needs Working" in text
    # The latest row is a minute old.
    assert "in 11 min" in page_text(listed)


@pytest.mark.parametrize(
    ("url", "starts_in", "word"),
    [
        ("https://r.example", 16, "Will stop"),
        ("https://r.example", 15, "Stopped"),
        ("https://r.example", -10, "Stopped"),
        ("", 15, ""),
    ],
)
def test_a_card_says_whether_speed_tests_are_stopped_if_any_are_run(
    url: str, starts_in: float, word: str
) -> None:
    reflector = Reflector(id="r", host="r.example", ndt7_url=url)
    whole = estate(reflectors=(reflector,))
    own = room_cards.room_card(ROOM, row(3, starts_in), whole, {}, (), (), NOW_MS)
    words = [check.word for check in own.checks if check.what == "Speed tests"]
    assert words == ([word] if word else [])
    assert own.verdict == "Go"


def test_the_page_of_a_room_shows_its_stream_before_and_during_the_event() -> None:
    shown = [
        Sample(
            sample.measurement,
            sample.tags,
            {**sample.fields, "stream_state": state, "stream_age_s": 4.0},
            sample.time_ms,
        )
        for sample, state in zip(rows({5: 3, 1: 3}, starts_in=10), (1, 3), strict=True)
    ]
    whole = estate(rooms=(STREAMED,))
    with page_client(MemoryStore(shown), estate=whole, alerts=AlertList()) as client:
        page = client.get("/rooms/chamber").text
    text = page_text(page)
    assert "Live stream Advancing" in text
    assert "Live stream 15 minutes before Standing still" in text
    assert "Live stream 60 minutes before Not measured" in text
    assert "Live stream: seconds since its newest segment" in text
    assert accessible.findings(page, CSS) == []


def test_a_room_whose_event_is_later_has_no_card_yet() -> None:
    store = MemoryStore(rows({2: 3, 1: 3}, starts_in=200))
    with page_client(store=store, estate=estate(), alerts=AlertList()) as client:
        text = page_text(client.get("/rooms").text)
    assert "No event begins within the hour." in text
    assert "Council Chamber , Town Hall" in text or "Council Chamber, Town Hall" in text


def test_pages_of_rooms_and_teams_say_what_is_not_known_and_are_accessible() -> None:
    broken = AnswerStore(lambda query: [])
    broken.broken = "gone"
    for store in (broken, MemoryStore(), MemoryStore(rows({1: 3}, 10))):
        with page_client(store=store, estate=estate(), alerts=AlertList()) as client:
            for path in ("/rooms", "/rooms/chamber", "/teams"):
                page = client.get(path)
                assert page.status_code == 200
                assert accessible.findings(page.text, CSS) == []
                assert (store is broken) <= ("ot known" in page.text)
            assert client.get("/rooms/nowhere").status_code == 404


def test_a_team_is_ready_for_calls_by_the_limits_of_all_groups() -> None:
    teams = (Team(id="contact-centre", name="Contact centre"), Team(id="tiny"))
    with page_client(estate=estate(teams=teams)) as client:
        text = page_text(client.get("/teams").text)
    assert "Contact centre Ready for calls" in text
    assert "tiny Not known" in text
    assert "tiny Ready" not in text


EDGE = MediaEdge(id="london", host="a.example", port=3478, over="stun")


@pytest.mark.parametrize(
    ("figures", "edge", "answer"),
    [
        (
            (0.99, 31.0),
            "Answering 99% of about 40 tests answered, round trip 31 ms",
            "Ready for calls",
        ),
        ((0.9, 31.0), "Slow, or not always answering", "Calls may not be good"),
        ((1.0, 240.0), "Not answering well enough", "Not ready for calls"),
        (
            (0.0, None),
            "Not answering well enough 0% of about 40 tests answered",
            "Not ready for calls",
        ),
        ((None, None), "Not known", "Ready for calls"),
    ],
)
def test_a_team_whose_media_edge_does_not_answer_is_not_ready(
    figures: tuple[float | None, float | None], edge: str, answer: str
) -> None:
    names = ("media_edge_ok_ratio", "media_edge_rtt_p95_ms")
    pairs = zip(names, figures, strict=True)
    known = {name: value for name, value in pairs if value is not None}
    known |= {"media_edge_checks": 40}
    fields: dict[str, Value] = {"agents": 15, "call_poor_ratio": 0.0, **known}
    tags = {"by": "team", "group": "calls"}
    store = MemoryStore([Sample("experience", tags, fields, NOW_MS - 60_000)])
    named = (Team(id="calls", name="Calls", media_edges=(EDGE,)), Team(id="other"))
    with page_client(store, estate=estate(teams=named)) as client:
        page = client.get("/teams").text
    text = page_text(page)
    assert f"Calls {answer}" in text
    assert edge in text
    assert "none is set" in text
    assert accessible.findings(page, CSS) == []
    with page_client(store, estate=estate(teams=(Team(id="calls"),))) as client:
        assert "Media edge" not in client.get("/teams").text


def test_teams_of_too_few_are_one_row_if_their_figures_may_be_shown() -> None:
    named = (Team(id="contact-centre"), Team(id="tiny", name="Tiny"), Team(id="wee"))
    figures = {"agents": 15, "call_poor_ratio": 0.2, "calls": 32}
    tags = {"by": "team", "group": SMALL_TEAMS}
    merged = Sample("experience", tags, figures, NOW_MS - 60_000)
    few = [
        Sample(
            "self_team",
            {"team": team, "site": ""},
            {"name": team, "enough": 0, "state_text": "few"},
            NOW_MS - 60_000,
        )
        for team in ("tiny", "wee")
    ]
    for more, is_one in (([merged], True), ([], False)):
        store = MemoryStore([*few, *more])
        with page_client(store, estate=estate(teams=named)) as client:
            page = client.get("/teams").text
        text = page_text(page)
        assert ("Teams of fewer than 10 Tiny, wee Not ready for calls" in text) is (
            is_one
        )
        assert ("Tiny Not known" in text) is not is_one
        # 32 tests: to five, as they may be of few people.
        assert ("20.0% of about 30 tests" in text) is is_one
        assert accessible.findings(page, CSS) == []


def test_a_check_of_nothing_is_no_go_for_nobody() -> None:
    empty = RoomCard(ROOM, "", "", None, None, ())
    assert empty.verdict == "Not known"
    good = RoomCheck("x", "ok", "Working")
    assert RoomCard(ROOM, "", "", None, None, (good,)).verdict == "Go"
