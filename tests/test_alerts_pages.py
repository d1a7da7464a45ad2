"""What a page says, how pages are packed, and what the command line shows of alerts."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts import alert_commands
from alerts.alert import Alert
from alerts.alert_access import add_silence, open_alerts
from alerts.alert_store import AlertStore, CycleChanges
from alerts.alert_text import format_value
from alerts.notify import PageSettings, build_page
from alerts.notify.delivery import backoff_s, delivery_notes, next_message
from alerts.outbox_entry import OutboxEntry, WaitingDelivery
from alerts.silence import Silence

NOW_MS = 1_777_888_800_000
ALERT = Alert(
    rule="device_unreachable",
    subject={"device": "core-1"},
    severity="critical",
    state="firing",
    since_ms=NOW_MS - 300_000,
    site="hall",
    firing_ms=NOW_MS - 300_000,
    summary="<b>Core</b> & co do not answer",
    cause="No power.",
    runbook="Ring the hall.",
    affected={"devices": 4, "agents": 20},
)


class Outline(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words += data


def test_a_page_has_what_where_since_when_why_and_what_to_do_first() -> None:
    page = build_page(
        [ALERT],
        "page",
        ["e"],
        NOW_MS,
        PageSettings("https://t.example"),
        site_names={"hall": "Hall"},
    )
    for words in (
        "CRITICAL: <b>Core</b> & co do not answer",
        "Where: Hall",
        "Since: Mon 4 May, 10:55 (5 min ago)",
        "Affected: 4 devices, about 20 laptops",
        "Probable cause: No power.",
        "Do first: Ring the hall.",
        "https://t.example/sites/hall",
    ):
        assert words in page.text
    assert "4 devices, about 20 laptops affected" in page.subject


def test_the_html_is_escaped_structured_and_shows_nothing_by_colour_alone() -> None:
    page = build_page([ALERT], "page", ["e"], NOW_MS, PageSettings("https://t.example"))
    outline = Outline()
    outline.feed(page.html)
    assert '<html lang="en-GB">' in page.html
    assert "<b>" not in page.html
    assert outline.tags.count("h1") == 1
    assert "main" in outline.tags
    assert "CRITICAL" in outline.words
    for pair in re.findall(r"color:#([0-9a-f]{6})", page.html):
        if pair not in ("ffffff",):
            assert contrast(pair, "ffffff") >= 4.5


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance and contrast ratio."""

    def light(colour: str) -> float:
        parts = [int(colour[n : n + 2], 16) / 255 for n in (0, 2, 4)]
        r, g, b = (
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
        )
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_a_resolution_shows_how_long_the_alert_lasted() -> None:
    ended = msgspec.structs.replace(ALERT, state="resolved", resolved_ms=NOW_MS)
    page = build_page([ended], "resolution", ["e"], NOW_MS)
    assert "Lasted: 5 min, Mon 4 May, 10:55 to 11:00" in page.text
    assert page.thread == build_page([ALERT], "page", ["e"], NOW_MS).thread


def test_the_worst_comes_first_and_a_hundred_fit_on_one_page() -> None:
    mild = msgspec.structs.replace(ALERT, severity="warning", summary="mild")
    page = build_page(
        [mild] * 99 + [ALERT], "page", [str(n) for n in range(100)], NOW_MS
    )
    assert page.severity == "critical"
    assert page.subject.endswith("(and 99 more)")
    assert "… and 75 more." in page.text
    assert len(page.data["alerts"]) == 100


@given(st.text(min_size=1, max_size=400), st.sampled_from(["page", "resolution"]))
def test_no_text_breaks_a_page(text: str, kind: str) -> None:
    strange = msgspec.structs.replace(ALERT, summary=text, cause=text, runbook=text)
    page = build_page([strange], kind, ["e"], NOW_MS)  # type: ignore[arg-type]
    assert "\n" not in page.subject
    assert "\r" not in page.subject
    assert len(page.subject) <= 180
    Outline().feed(page.html)


def post(
    id: int,
    site: str = "hall",
    rule: str = ALERT.rule,
    device: str = "",
    **more: object,
) -> OutboxEntry:
    alert = msgspec.structs.replace(
        ALERT, site=site, rule=rule, subject={"device": device or f"sw-{id}"}
    )
    values = {"episode": f"e{id}", "kind": "page", "channel": "c", "next_ms": NOW_MS}
    return OutboxEntry(alert=alert, id=id, **(values | more))  # type: ignore[arg-type]


def test_the_same_fault_at_one_site_is_one_message() -> None:
    posts = [post(1), post(2), post(3, "depot"), post(4, kind="resolution")]
    assert [p.id for p in next_message(posts, NOW_MS)] == [1, 2]


def test_what_has_another_cause_is_not_buried_in_the_message() -> None:
    posts = [
        post(1, device="sw-1"),
        post(2, rule="port_errors", device="sw-2"),
        post(3, rule="sensor_critical", device="sw-1"),
    ]
    assert [p.id for p in next_message(posts, NOW_MS)] == [1, 3]
    assert [p.id for p in next_message(posts[1:2], NOW_MS)] == [2]


def test_a_fault_of_its_own_stays_apart_from_a_storm() -> None:
    posts = [post(n, f"site-{n}") for n in range(30)]
    posts.append(post(99, "site-3", rule="vpn_gateway_down"))
    assert 99 not in [p.id for p in next_message(posts, NOW_MS)]


def test_what_follows_within_the_window_is_taken_along() -> None:
    assert [
        p.id for p in next_message([post(1), post(2, next_ms=NOW_MS + 9_000)], NOW_MS)
    ] == [
        1,
        2,
    ]
    assert next_message([post(2, next_ms=NOW_MS + 9_000)], NOW_MS) == []


def test_what_was_sent_together_is_sent_together_again() -> None:
    posts = [post(1, batch_id=1), post(2, batch_id=1), post(3)]
    assert [p.id for p in next_message(posts, NOW_MS)] == [1, 2]


def test_what_waits_for_business_hours_is_not_taken_along() -> None:
    later = post(2, next_ms=NOW_MS + 5_000, deferred=1)
    assert [p.id for p in next_message([post(1), later], NOW_MS)] == [1]


def test_a_storm_over_many_sites_is_one_message() -> None:
    posts = [post(n, f"site-{n}") for n in range(30)]
    assert len(next_message(posts, NOW_MS)) == 30


def test_tries_back_off_to_ten_minutes_and_are_spread() -> None:
    waits = [backoff_s(tries, "x") for tries in range(12)]
    assert 4 <= waits[0] <= 6
    assert all(wait <= 660 for wait in waits)
    assert waits[-1] >= 540
    assert len({backoff_s(3, str(n)) for n in range(50)}) > 25


def book_with(folder: Path, *alerts: Alert, deferred: int = 0) -> Path:
    path = folder / "alerts.sqlite"
    book = AlertStore(path)
    posts = [OutboxEntry(a.key, "page", "c", a, NOW_MS, deferred) for a in alerts]
    shown = {a.key: a for a in alerts}
    book.write(CycleChanges({}, shown, posts, [], [], 0, [], {}, {}), NOW_MS)
    book.close()
    return path


def test_the_command_line_shows_acknowledges_and_silences(tmp_path: Path) -> None:
    path = book_with(tmp_path, ALERT)
    lines: list[str] = []
    assert alert_commands.alerts_list(path, NOW_MS, out=lines.append) == 1
    assert "do not answer" in lines[0]
    assert alert_commands.alerts_ack(path, "core", "ada", "", NOW_MS, lines.append) == 2
    assert (
        alert_commands.alerts_ack(path, ALERT.key, "ada", "", NOW_MS, lines.append) == 0
    )
    assert open_alerts(path)[0].acknowledged_by == "ada"
    everywhere = Silence(0, NOW_MS, 0, who="ada", why="x")
    hall = msgspec.structs.replace(everywhere, site="hall")

    def silence(lasting: str, wanted: Silence) -> int:
        return alert_commands.alerts_silence(path, lasting, wanted, out=lines.append)

    assert silence("2 weeks", hall) == 2
    assert silence("2h", everywhere) == 2
    assert silence("2h", hall) == 0
    alert_commands.alerts_silences(path, NOW_MS, out=lines.append)
    assert "silence: site hall" in lines[-1]
    assert alert_commands.alerts_unsilence(path, 1, NOW_MS + 1, lines.append) == 0
    assert alert_commands.alerts_unsilence(path, 1, NOW_MS + 2, lines.append) == 2
    lines.clear()
    assert alert_commands.alerts_list(path, NOW_MS, as_json=True, out=lines.append) == 1
    assert msgspec.json.decode(lines[0])[0]["key"] == ALERT.key


def test_nothing_wrong_is_exit_0(tmp_path: Path) -> None:
    lines: list[str] = []
    assert alert_commands.alerts_list(tmp_path / "x", NOW_MS, out=lines.append) == 0
    assert lines == ["No problems known to Towpath."]


def test_a_page_that_waits_for_the_morning_is_dropped_when_all_is_well(
    tmp_path: Path,
) -> None:
    book = AlertStore(book_with(tmp_path, ALERT, deferred=1))
    ended = CycleChanges({}, {}, [], [ALERT.key], [], 0, [], {}, {})
    book.write(ended, NOW_MS)
    assert book.outbox.due("c", NOW_MS + 86_400_000) == []
    book.close()


def test_a_page_given_up_owes_no_resolution(tmp_path: Path) -> None:
    book = AlertStore(book_with(tmp_path, ALERT))
    book.write(CycleChanges({}, {}, [], [ALERT.key], [], 0, [], {}, {}), NOW_MS)
    book.outbox.give_up(book.outbox.due("c", NOW_MS), "gave up", NOW_MS)
    assert book.outbox.due("c", NOW_MS + 86_400_000) == []
    assert book.outbox.count_waiting(NOW_MS) == {}
    book.close()


def test_a_page_is_overdue_when_refused_or_two_minutes_late_and_not_before(
    tmp_path: Path,
) -> None:
    book = AlertStore(book_with(tmp_path, ALERT))
    outbox = book.outbox
    assert outbox.count_waiting(NOW_MS + 10_000) == {"c": WaitingDelivery(1, 0)}
    assert outbox.count_waiting(NOW_MS + 120_000) == {"c": WaitingDelivery(1, 1)}
    posts = outbox.due("c", NOW_MS)
    outbox.start_attempt(posts)
    outbox.retry(posts, "451 later", NOW_MS + 5_000)
    assert outbox.count_waiting(NOW_MS + 10_000) == {"c": WaitingDelivery(1, 0)}
    outbox.retry(posts, "550 no", NOW_MS + 5_000, refused=True)
    assert outbox.count_waiting(NOW_MS + 10_000) == {"c": WaitingDelivery(1, 1)}
    # Its resolution waits for it, and is not counted again.
    book.write(CycleChanges({}, {}, [], [ALERT.key], [], 0, [], {}, {}), NOW_MS)
    assert outbox.count_waiting(NOW_MS + 900_000)["c"].overdue == 1
    book.close()


def test_the_list_of_alerts_shows_what_a_channel_refuses(tmp_path: Path) -> None:
    path = book_with(tmp_path, ALERT)
    book = AlertStore(path)
    posts = book.outbox.due("c", NOW_MS)
    book.outbox.start_attempt(posts)
    book.outbox.retry(posts, "answered 403", NOW_MS + 5_000, refused=True)
    ended = msgspec.structs.replace(ALERT, state="resolved", resolved_ms=NOW_MS)
    book.write(CycleChanges({}, {ALERT.key: ended}, [], [], [], 0, [], {}, {}), NOW_MS)
    book.close()
    lines: list[str] = []
    assert alert_commands.alerts_list(path, NOW_MS, out=lines.append) == 0
    assert lines[-1] == "not delivered by c since Mon 4 May 11:00 (1): answered 403"


def test_a_page_for_monday_morning_is_not_overdue_on_saturday(tmp_path: Path) -> None:
    book = AlertStore(tmp_path / "alerts.sqlite")
    monday_ms = NOW_MS + 2 * 86_400_000
    page = OutboxEntry(ALERT.key, "page", "c", ALERT, monday_ms, deferred=1)
    book.write(CycleChanges({}, {}, [page], [], [], 0, [], {}, {}), NOW_MS)
    assert book.outbox.count_waiting(NOW_MS + 86_400_000) == {}
    # Nor is it given up for its age when it is first tried.
    [due] = book.outbox.due("c", monday_ms)
    assert due.due_ms == monday_ms
    book.close()


def test_a_late_page_and_one_for_another_channel_say_so() -> None:
    late = post(1, due_ms=NOW_MS - 7_500_000)
    assert delivery_notes([late], NOW_MS) == [
        "This message is 2 h 5 min late: it could not be delivered before."
    ]
    assert delivery_notes([post(1, due_ms=NOW_MS - 15_000)], NOW_MS) == []
    instead = post(1, due_ms=NOW_MS, instead_of="duty")
    [note] = delivery_notes([instead], NOW_MS)
    assert note == "Sent here because channel duty fails."
    page = build_page([ALERT], "page", ["e"], NOW_MS, notes=[note])
    assert page.text.startswith(note)
    assert note in page.html
    assert page.data["notes"] == [note]


def _step_back(db: sqlite3.Connection, version: int) -> None:
    """Undoes what later versions of the file have added."""
    columns = {"outbox": ["held"]}
    if version < 3:
        db.execute("DROP INDEX silence_time")
        for table in ("maintenance", "used_link"):
            db.execute(f"DROP TABLE {table}")
        columns["silence"] = ["line", "supplier", "source", "uid", "ended_by"]
        columns["outbox"] += ["unacknowledged_ms"]
    if version == 1:
        columns["outbox"] += ["due_ms", "refused", "instead_of"]
    for table, names in columns.items():
        for name in names:
            db.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
    db.execute(f"PRAGMA user_version = {version}")
    db.commit()


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_file_of_a_version_before_is_brought_up_to_date(
    tmp_path: Path, version: int
) -> None:
    path = book_with(tmp_path, ALERT)
    silence = add_silence(path, Silence(0, NOW_MS, NOW_MS + 1, site="hall"))
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE outbox SET due_ms = created_ms")
        _step_back(db, version)
    book = AlertStore(path)
    [page] = book.outbox.due("c", NOW_MS)
    assert page.due_ms == NOW_MS
    assert book.silences(NOW_MS) == [silence]
    book.close()


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0.873, "ratio", "87 %"),
        (0.0042, "ratio", "0.42 %"),
        (5400, "s", "1 h 30 min"),
        (8000, "ms", "8 s"),
        (20.5, "d", "20 days"),
        (2e8, "bit/s", "200 Mbit/s"),
        (64e6, "byte", "64 MB"),
        (4, "1", "4"),
    ],
)
def test_values_are_written_with_their_units(
    value: float, unit: str, said: str
) -> None:
    assert format_value(value, unit) == said
