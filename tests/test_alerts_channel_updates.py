"""Updates of what a channel shows: counted by reason, logged once per change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import structlog
from alert_histories import fast_folder  # noqa: F401 - a fixture
from delivering_world import DeliveringWorld

from alerts.alert import Alert
from alerts.notify import Page, RetryLater
from alerts.notify.delivery_result import UnauthorisedCall
from alerts.notify_samples import notify_samples

CHANNELS = {
    "desk": {"kind": "webhook", "url": "https://desk.example"},
    "duty": {"kind": "webhook", "url": "https://duty.example"},
}


class Desk:
    """Shows what lasts, if its mood lets it."""

    refresh_s = 300.0

    def __init__(self) -> None:
        self.mood: Exception | None = None

    async def refresh(self, page: Page, told: Mapping[str, Alert]) -> None:
        if self.mood is not None:
            raise self.mood


async def test_failed_updates_are_counted_by_reason_and_logged_once_per_change(
    fast_folder: Path,  # noqa: F811
) -> None:
    world, desk = DeliveringWorld(fast_folder, CHANNELS), Desk()
    world.begin("e1")
    await world.deliver()
    moods = [
        None,
        UnauthorisedCall("desk: answered 401"),
        UnauthorisedCall("desk: answered 401, request 2"),
        RetryLater("desk: no answer in 10 s"),
        RetryLater("desk: no answer in 10 s"),
        None,
        None,
    ]
    with structlog.testing.capture_logs() as logged:
        for desk.mood in moods:
            await world.delivery.try_refresh("desk", desk)
    assert [(line["event"], line.get("error", "")) for line in logged] == [
        ("notifications_fail", "desk: answered 401"),
        ("notifications_fail", "desk: no answer in 10 s"),
        ("notifications_recovered", ""),
    ]
    rows = {
        sample.tags["channel"]: sample.fields
        for sample in notify_samples("all", CHANNELS, world.delivery, {}, 0)
    }
    assert rows["desk"]["refresh_failed"] == 4
    assert rows["desk"]["unauthorised"] == 2
    assert rows["desk"]["refresh_failing"] == 0
    # The messages themselves did not fail.
    assert rows["desk"]["failed"] == 0
    # A channel that shows nothing that lasts has no updates.
    assert "refresh_failing" not in rows["duty"]
    desk.mood = RetryLater("desk: no answer in 10 s")
    await world.delivery.try_refresh("desk", desk)
    [row, _] = notify_samples("all", CHANNELS, world.delivery, {}, 0)
    assert row.fields["refresh_failing"] == 1
    world.close()
