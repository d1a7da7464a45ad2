"""`towpath alerts test`: one message through one channel, and what became of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import msgspec

from alerts.alert import Alert
from alerts.notify.delivery_result import (
    DeliveryRefused,
    Notifier,
    PartlyDelivered,
    RetryLater,
    StandingNotifier,
)
from alerts.notify.page import Page, PageSettings, build_page
from probes.wire.catalogue import did_you_mean
from probes.wire.clock import wall_ms

_TRY_S = 120.0


def try_channel(
    notifiers: Mapping[str, Notifier],
    channel: str,
    base_url: str = "",
    council: str = "Towpath",
    out: Callable[[str], None] = print,
) -> int:
    """Sends one test page, and prints in one sentence what happened. Where pages leave
    something behind (a ticket, an alert), its end is sent too. Returns the exit code:
    0 if it was accepted, 1 if not, 2 if there is no such channel."""
    notifier = notifiers.get(channel)
    if notifier is None:
        known = f"; there are {', '.join(sorted(notifiers))}" if notifiers else ""
        hint = did_you_mean(channel, notifiers) or known
        out(f"no channel is called {channel!r}{hint}")
        return 2
    began_s = time.monotonic()
    try:
        asyncio.run(_send(notifier, _test_pages(base_url, council)))
    except PartlyDelivered as failure:
        out(f"{channel}: delivered, but not all of it: {failure}")
        return 1
    except DeliveryRefused as failure:
        out(f"{channel}: refused: {failure}")
        return 1
    except (RetryLater, TimeoutError) as failure:
        reason = str(failure) or f"{notifier.where}: no answer in {_TRY_S:g} s"
        out(f"{channel}: not delivered: {reason}; Towpath would try again")
        return 1
    took_s = time.monotonic() - began_s
    ended = " and its end" if isinstance(notifier, StandingNotifier) else ""
    out(
        f"{channel}: delivered: {notifier.where} accepted a test message{ended} "
        f"in {took_s:.1f} s"
    )
    return 0


async def _send(notifier: Notifier, pages: tuple[Page, Page]) -> None:
    page, end = pages
    async with asyncio.timeout(_TRY_S):
        await notifier.notify(page)
        if isinstance(notifier, StandingNotifier):
            await notifier.notify(end)


def _test_pages(base_url: str, council: str) -> tuple[Page, Page]:
    now_ms = wall_ms()
    alert = Alert(
        rule="test",
        subject={},
        severity="info",
        state="firing",
        since_ms=now_ms,
        title="Test",
        summary="This is a test: Towpath can reach you on this channel",
        cause="Somebody ran `towpath alerts test` on the command line.",
        runbook="Nothing.",
    )
    over = msgspec.structs.replace(alert, state="resolved", resolved_ms=now_ms)
    settings = PageSettings(base_url, council=council)
    episodes = [f"test@{now_ms}"]
    return (
        build_page([alert], "page", episodes, now_ms, settings),
        build_page([over], "resolution", episodes, now_ms, settings),
    )
