"""Messages: links to act, who handles an alert, and reminders."""

from __future__ import annotations

from pathlib import Path

import msgspec
from alert_files import ALERT, NOW_MS

from alerts.alert import Acknowledgement
from alerts.alert_config import AlertConfig
from alerts.estate_index import EstateIndex
from alerts.notify import Page
from alerts.notify.email import compose_message
from alerts.outbox_entry import OutboxEntry
from alerts.paging import Paging
from collectors.estate.estate_model import Estate


def test_a_message_has_links_to_act_and_says_who_handles_it(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k" * 40)
    config = AlertConfig.model_validate(
        {
            "standing": tmp_path / "alerts.sqlite",
            "base_url": "https://t.example",
            "links": {"key": {"file": tmp_path / "key"}},
        }
    )
    paging = Paging(config, ("c",), lambda: EstateIndex(Estate()), lambda: NOW_MS)
    entry = OutboxEntry("e@1", "page", "c", ALERT, NOW_MS, due_ms=NOW_MS)
    page = paging.render([entry], NOW_MS)
    urls = page.data["alerts"][0]["actions"]
    assert set(urls) == {"acknowledge", "silence"}
    for label, url in zip(("Acknowledge", "Silence"), urls.values(), strict=True):
        assert f"{label}: {url}" in page.text
        assert f'href="{url}"' in page.html
    # An attempt a little later is the same message.
    assert paging.render([entry], NOW_MS + 1000).data["alerts"][0]["actions"] == urls
    handled = msgspec.structs.replace(
        entry, alert=ALERT.acknowledged(Acknowledgement(NOW_MS, "Ada", "on it"))
    )
    page = paging.render([handled], NOW_MS)
    assert set(page.data["alerts"][0]["actions"]) == {"silence"}
    assert "Acknowledged: by Ada, " in page.text
    assert page.text.count("on it") == 1
    over = paging.render([msgspec.structs.replace(handled, kind="resolution")], NOW_MS)
    assert "Acknowledged: by Ada, " in over.text
    assert over.data["alerts"][0]["actions"] == {}
    # Without its key a page still goes out.
    (tmp_path / "key").unlink()
    assert paging.render([entry], NOW_MS).data["alerts"][0]["actions"] == {}


def test_each_reminder_is_a_message_of_its_own_in_the_same_thread(
    tmp_path: Path,
) -> None:
    config = AlertConfig(standing=tmp_path / "alerts.sqlite")
    paging = Paging(config, ("c",), lambda: EstateIndex(Estate()), lambda: NOW_MS)

    def sent(kind: str, minutes: int) -> Page:
        waited_ms = minutes * 60_000
        entry = OutboxEntry(
            *("e@1", kind, "c", ALERT, NOW_MS),  # type: ignore[arg-type]
            due_ms=NOW_MS,
            unacknowledged_ms=waited_ms,
        )
        return paging.render([entry], NOW_MS)

    pages = [sent("page", 0), sent("reminder", 30), sent("reminder", 60)]
    assert len({page.id for page in pages}) == 3
    assert len({page.thread for page in pages}) == 1
    assert pages[1].subject.startswith("PROBLEM (critical, reminder): ")
    assert "nobody has acknowledged this for 30 min" in pages[1].text
    mail = compose_message(pages[2], "a@example.org", ("b@example.org",))
    assert mail["In-Reply-To"] == f"<{pages[0].id}@example.org>"
    # An escalation is the page itself, for somebody else.
    assert sent("page", 15).id == pages[0].id
