"""`Escalator`: sends again, and to further people, what nobody acknowledges."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Self

import structlog

from alerts.alert import Alert
from alerts.alert_store import AlertStore
from alerts.notify.delivery import InThread
from alerts.notify.routing import FollowUp
from collectors.background_tasks import BackgroundTasks
from collectors.failure_log import FailureLog
from collectors.wake_times import sleep_with_others
from probes.wire.clock import WallClock

_log = structlog.get_logger()
_EVERY_S = 15.0


class Escalator:
    """`async with Escalator(…)`: looks every few seconds until it is left.

    `shown` returns the open alerts by episode. `follow_up` returns who is notified
    next, and when. What is added is written at once with the outbox, so that a restart
    neither loses nor repeats it.
    """

    def __init__(
        self,
        store: AlertStore,
        in_thread: InThread,
        shown: Callable[[], Mapping[str, Alert]],
        follow_up: Callable[[Alert], FollowUp],
        wake: Callable[[], None],
        now_ms: WallClock,
    ) -> None:
        self._store, self._in_thread = store, in_thread
        self._shown, self._follow_up = shown, follow_up
        self._wake, self._now_ms = wake, now_ms
        self._is_idle = False
        self._failures = FailureLog("escalation_fails", "escalation_recovered")
        self._tasks = BackgroundTasks()

    async def __aenter__(self) -> Self:
        self._tasks.start(self._run(), "escalation")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
                self._failures.recovered()
            except Exception as error:  # noqa: BLE001 - the next look may go better
                self._failures.failed(error)
            await sleep_with_others(_EVERY_S)

    async def look(self) -> None:
        """Adds what is due now, and withdraws what has become needless."""
        now_ms = self._now_ms()
        if not self._shown() and self._is_idle:
            return
        acks = await self._in_thread(self._store.acknowledgements)
        shown = self._shown()
        handled = handled_episodes(shown, acks)
        served = {
            alert.joins
            for alert in shown.values()
            if alert.joins and needs_somebody(alert, now_ms)
        }
        waiting: dict[str, tuple[Alert, FollowUp]] = {}
        for episode, alert in shown.items():
            if episode not in handled and (
                needs_somebody(alert, now_ms, serves=episode in served)
            ):
                plan = self._follow_up(alert)
                if plan.steps or plan.repeat_ms:
                    waiting[episode] = (alert, plan)
        sends = await self._in_thread(self._store.escalate, waiting, now_ms)
        for episode, send in sends:
            _log.warning(
                "alert_escalated",
                episode=episode,
                kind=send.kind,
                channel=send.channel,
                unacknowledged_ms=send.unacknowledged_ms,
            )
        # What waited for alerts that are gone has been withdrawn.
        self._is_idle = not shown
        if sends:
            self._wake()


def needs_somebody(alert: Alert, now_ms: int, serves: bool = False) -> bool:
    """Whether it has been paged and still would be. `serves`: its page is also that of
    its cause, which was found later."""
    return (
        alert.state == "firing"
        and alert.paged_ms is not None
        and (serves or not alert.suppressed_by)
        and alert.silenced_until_ms <= now_ms
    )


def handled_episodes(shown: Mapping[str, Alert], acks: Collection[str]) -> set[str]:
    """The episodes that were acknowledged. A cause and the page that it has joined are
    one fault: to acknowledge one is to acknowledge both."""
    handled = set(acks)
    for episode, alert in shown.items():
        if alert.joins and (episode in acks or alert.joins in acks):
            handled |= {episode, alert.joins}
    return handled
