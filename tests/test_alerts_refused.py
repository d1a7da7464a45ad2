"""What a channel refuses for good is kept, sent elsewhere meanwhile, and delivered once
when it is taken: with a real mail server, a real HTTP desk, and kills in between."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from mail_server import (
    Post,
    mail_config,
    plain_server,  # noqa: F401 - a fixture
    post,  # noqa: F401 - a fixture
)
from running_engine import (
    AheadClock,
    Desk,
    EngineProcess,
    desk,  # noqa: F401 - a fixture
    journal,  # noqa: F401 - a fixture
    poll,
    rules,  # noqa: F401 - a fixture
    running,
)
from waiting import until

from alerts.alert_access import open_alerts, overdue_notifications
from alerts.alert_config import AlertConfig
from alerts.alert_engine import AlertEngine
from alerts.notify.webhook import WebhookConfig
from alerts.rule_files import Rules
from collectors.journal import Journal
from probes.wire.clock import wall_ms


def channels(**made: Any) -> dict[str, Any]:
    """The `channels` of settings, and a route to the first of them alone."""
    first = next(iter(made))
    route = {"channels": [first]}
    config = AlertConfig.model_validate(
        {"standing": "x", "channels": made, "routes": [route]}
    )
    return {"channels": config.channels, "routes": config.routes}


def overdue(engine: AlertEngine, channel: str) -> int:
    [row] = [s for s in engine.samples(wall_ms()) if s.tags.get("channel") == channel]
    return int(row.fields["overdue"])


# More than any of the first attempts waits, and than a quiet engine counts again.
NEXT_S = 60


@pytest.mark.parametrize("status", [401, 410])
async def test_a_page_that_a_webhook_refuses_is_kept_and_arrives_once(
    status: int,
    tmp_path: Path,
    desk: Desk,  # noqa: F811
    rules: Rules,  # noqa: F811
    journal: Journal,  # noqa: F811
) -> None:
    path = tmp_path / "alerts.sqlite"
    desk.status = status
    clock = AheadClock()
    async with running(tmp_path, desk, rules, journal, now_ms=clock) as engine:
        await poll(journal, 0)
        await until(lambda: overdue_notifications(path, clock()), "a refusal")
        [shown] = overdue_notifications(path, clock())
        assert (shown.channel, shown.count) == ("desk", 1)
        assert str(status) in shown.error
        clock.skip(NEXT_S)
        await until(lambda: tries(path, "desk") > 1, "another refusal")
        await until(lambda: overdue(engine, "desk") == 1, "it to be counted")
        desk.status = 204
        clock.skip(NEXT_S)
        await until(lambda: desk.kinds() == ["page"], "the page", seconds=30)
        await until(lambda: not overdue_notifications(path, clock()), "the note")
        clock.skip(NEXT_S)
        await until(lambda: overdue(engine, "desk") == 0, "nothing overdue")
        await poll(journal, 1, -clock.ahead_ms)
        await until(lambda: desk.kinds() == ["page", "resolution"], "its end")


async def test_another_channel_gets_the_page_while_the_mail_server_refuses_it(
    tmp_path: Path,
    desk: Desk,  # noqa: F811
    rules: Rules,  # noqa: F811
    journal: Journal,  # noqa: F811
    plain_server: Controller,  # noqa: F811
    post: Post,  # noqa: F811
) -> None:
    post.rcpt = "550 no such person"
    update = channels(
        duty=mail_config(plain_server.port), desk=WebhookConfig(url=desk.url)
    )
    clock = AheadClock()
    async with running(tmp_path, desk, rules, journal, update=update, now_ms=clock):
        await poll(journal, 0)
        await until(lambda: desk.kinds() == ["page"], "the page at the desk")
        assert desk.pages[0]["notes"] == ["Sent here because channel duty fails."]
        post.rcpt = "250 OK"
        clock.skip(NEXT_S)
        await until(lambda: len(post.mails) == 1, "the mail", seconds=30)
        await poll(journal, 1, -clock.ahead_ms)
        await until(lambda: len(post.mails) == 2, "its end by mail")
        await until(lambda: desk.kinds() == ["page", "resolution"], "its end")
    subjects = [mail["Subject"] for mail in post.mails]
    assert [subject.partition(":")[0] for subject in subjects] == [
        "PROBLEM (critical)",
        "RESOLVED",
    ]


async def test_a_third_channel_is_not_used_if_one_of_the_route_has_delivered(
    tmp_path: Path,
    desk: Desk,  # noqa: F811
    rules: Rules,  # noqa: F811
    journal: Journal,  # noqa: F811
    plain_server: Controller,  # noqa: F811
    post: Post,  # noqa: F811
) -> None:
    """Two channels of a route: one has it, so the third is left alone."""
    gone = f"{desk.url}gone"
    update = channels(
        duty=mail_config(plain_server.port),
        gone=WebhookConfig(url=gone),
        spare=WebhookConfig(url=desk.url),
    )
    route = update["routes"][0].model_copy(update={"channels": ("duty", "gone")})
    desk.refuses = "/gone"
    path = tmp_path / "alerts.sqlite"
    update["routes"], clock = (route,), AheadClock()
    async with running(tmp_path, desk, rules, journal, update=update, now_ms=clock):
        await poll(journal, 0)
        await until(lambda: overdue_notifications(path, clock()), "a refusal")
        await until(lambda: len(post.mails) == 1, "the mail")
        # The refused page is retried, and still goes to nobody else.
        clock.skip(NEXT_S)
        await until(lambda: tries(path, "gone") >= 2, "another try", seconds=30)
        assert desk.pages == []


async def test_a_named_fallback_is_used_even_if_another_channel_delivered(
    tmp_path: Path,
    desk: Desk,  # noqa: F811
    rules: Rules,  # noqa: F811
    journal: Journal,  # noqa: F811
    plain_server: Controller,  # noqa: F811
    post: Post,  # noqa: F811
) -> None:
    update = channels(
        duty=mail_config(plain_server.port),
        gone=WebhookConfig(url=f"{desk.url}gone", fallback="spare"),
        spare=WebhookConfig(url=desk.url),
    )
    route = update["routes"][0].model_copy(update={"channels": ("duty", "gone")})
    desk.refuses = "/gone"
    async with running(
        tmp_path, desk, rules, journal, update={**update, "routes": (route,)}
    ):
        await poll(journal, 0)
        await until(lambda: len(post.mails) == 1, "the mail")
        await until(lambda: desk.kinds() == ["page"], "the page at the spare")


async def test_killed_while_the_desk_refuses_it_loses_no_page(
    tmp_path: Path,
    desk: Desk,  # noqa: F811
    rules: Rules,  # noqa: F811
    journal: Journal,  # noqa: F811
) -> None:
    path = tmp_path / "alerts.sqlite"
    engine = EngineProcess(tmp_path, desk)
    desk.status = 403
    try:
        for attempt in range(2):
            before = tries(path, "desk") if path.exists() else 0
            await asyncio.to_thread(engine.start, attempt * NEXT_S)
            if not before:
                await poll(journal, 0)
            await until(lambda: tries(path, "desk") > before, "a refusal", 30)  # noqa: B023
            engine.kill()
        assert [alert.state for alert in open_alerts(path)] == ["firing"]
        desk.status = 204
        await asyncio.to_thread(engine.start, 2 * NEXT_S)
        await until(lambda: desk.kinds() == ["page"], "the page", seconds=30)
        await poll(journal, 1, -2_000 * NEXT_S)
        await until(
            lambda: desk.kinds() == ["page", "resolution"], "its end", seconds=30
        )
    finally:
        engine.kill()


def tries(path: Path, channel: str) -> int:
    with sqlite3.connect(path, timeout=5) as db:
        sql = "SELECT max(tries) FROM outbox WHERE channel = ? AND error != ''"
        value = db.execute(sql, (channel,)).fetchone()[0]
    db.close()
    return int(value or 0)
