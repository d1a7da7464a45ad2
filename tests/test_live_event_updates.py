"""Whoever was paged for a switch learns that an event is near in a room behind it."""

from __future__ import annotations

from pathlib import Path

from late_cause_world import KillableCouncil

from alerts import recording
from alerts.alert import Alert
from alerts.estate_index import EstateIndex
from alerts.notify import build_page
from alerts.rule_files import load_rules
from collectors.estate.estate_model import Estate
from collectors.server_measurements import CATALOGUE

ROOMED = EstateIndex(
    Estate.model_validate(
        {
            "sites": [{"id": "hall", "name": "Town Hall"}],
            "devices": [
                {"id": "core", "site": "hall", "address": "10.0.0.1"},
                {"id": "edge", "site": "hall", "address": "10.0.0.2"},
            ],
            "rooms": [
                {
                    "id": "chamber",
                    "name": "Council chamber",
                    "site": "hall",
                    "ports": ["edge Gi1/0/12"],
                }
            ],
        }
    )
)


def test_an_event_in_a_room_behind_a_paged_switch_is_an_update_and_no_new_page(
    tmp_path: Path,
) -> None:
    council = KillableCouncil(tmp_path, ROOMED)

    def with_room(count: int, to_start: float) -> None:
        for minute in range(count):
            fields = {"up": 0, "ready": 0, "text": "edge does not answer"}
            fields["event_text"] = "Cabinet, 14:00 to 16:00"
            fields["minutes_to_start"] = to_start - minute
            council.put("room", {"room": "chamber", "site": "hall"}, fields)
            poll(0)

    def poll(edge_is_up: int) -> None:
        council.device("core", 1)
        council.device("edge", edge_is_up)
        for _ in range(4):
            council.step("")

    for _ in range(3):
        poll(1)
    with_room(5, 100.0)
    assert council.kinds() == ["page"]
    assert "Cabinet" not in council.arrived[0][1].text
    with_room(12, 62.0)
    assert council.kinds() == ["page", "update"]
    update = council.arrived[1][1]
    assert "Live events: Council chamber: Cabinet, 14:00 to 16:00" in update.text
    assert "1 room with an event" in update.text
    assert update.text.startswith("A live event depends on this.")
    assert update.thread == council.arrived[0][1].thread
    assert council.store is not None
    council.store.close()


def _ended(up: list[int], to_start: list[float | None]) -> Alert:
    """The alert of a chamber after these rows, one every 30 s."""
    fields = {
        "up": up,
        "minutes_to_start": to_start,
        "event_text": "Cabinet, 14:00 to 16:00",
    }
    recorded = recording.Recording.model_validate(
        {
            "estate": ROOMED.estate,
            "rules": ["room_down_at_event"],
            "cases": [
                {
                    "name": "chamber",
                    "rows": [
                        {
                            "measurement": "room",
                            "tags": {"room": "chamber", "site": "hall"},
                            "every": "30s",
                            "fields": fields,
                        }
                    ],
                    "until": "15m",
                    "expect": {},
                }
            ],
        }
    )
    _, [alert] = recording.replay(recorded.cases[0], recorded, load_rules(CATALOGUE))
    assert alert.state == "resolved"
    return alert


def test_an_alert_that_ends_with_its_event_says_that_nothing_has_recovered() -> None:
    during: list[float | None] = [-100.0] * 10
    over = _ended([0] * 24, [*during, *[None] * 14])
    assert over.why == "the event is over"
    [page] = build_page([over], "resolution", ["e"], over.resolved_ms or 0).alerts
    assert "the event is over; no recovery was measured" in page.text
    # The next event is on another day.
    assert _ended([0] * 24, [*during, *[1440.0] * 14]).why == "the event is over"
    assert _ended([*[0] * 10, *[1] * 14], [-100.0] * 24).why == ""
    assert _ended([*[0] * 9, *[1] * 15], [*during, *[None] * 14]).why == ""
