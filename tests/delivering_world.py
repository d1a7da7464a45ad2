"""`DeliveringWorld`: the real outbox and the real delivery in virtual time. Only the
other end of each channel is simulated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from alerts.alert import Alert, Severity
from alerts.alert_config import AlertConfig
from alerts.alert_store import AlertStore, CycleChanges
from alerts.estate_index import EstateIndex
from alerts.notify import Page, PartlyDelivered, RetryLater
from alerts.notify.delivery import Delivery
from alerts.notify.delivery_result import DeliveryRefused, MessageTooLarge
from alerts.notify.message_limit import MessageLimits
from alerts.outbox_entry import OutboxEntry
from alerts.paging import Paging
from collectors.estate.estate_model import Estate

START_MS = 1_777_888_800_000
MINUTE_MS = 60_000
_T = TypeVar("_T")


class Killed(BaseException):
    """The process ends here, as by kill -9."""


class Arrival(NamedTuple):
    """A message that the other end has, and the episodes that had ended by then."""

    at_ms: int
    page: Page
    ended: frozenset[str]


class OtherEnd:
    """A channel. `mood`: `takes`; `fails` and `refuses`, without a trace; `unsure`: it
    takes the message, but the answer is lost; `dies`: so is the process;
    `small`: it takes one alert at a time."""

    def __init__(self, world: DeliveringWorld) -> None:
        self.world = world
        self.mood = "takes"
        self.arrivals: list[Arrival] = []
        self.attempts = 0

    @property
    def where(self) -> str:
        return "the other end"

    async def notify(self, page: Page) -> None:
        self.attempts += 1
        if self.mood == "fails":
            raise RetryLater("answered 500")
        if self.mood == "refuses":
            raise DeliveryRefused("answered 403")
        if self.mood == "small" and len(page.alerts) > 1:
            raise MessageTooLarge("answered 413")
        now_ms, ended = self.world.now_ms, frozenset(self.world.ended)
        self.arrivals.append(Arrival(now_ms, page, ended))
        if self.mood == "unsure":
            raise RetryLater("no answer", may_have_arrived=True)
        if self.mood == "dies":
            self.mood = "takes"
            raise Killed
        if self.mood == "partly":
            raise PartlyDelivered("one of two")


class DeliveringWorld:
    """`channels`: the settings of channels, as in towpath.toml."""

    def __init__(
        self, folder: Path, channels: Mapping[str, Any], group_s: float = 0
    ) -> None:
        self.path = folder / "alerts.sqlite"
        self.config = AlertConfig.model_validate(
            {"standing": self.path, "channels": channels, "group_s": group_s}
        )
        self.now_ms = START_MS
        self.ends = {name: OtherEnd(self) for name in channels}
        self.began: dict[str, Alert] = {}
        self.ended: set[str] = set()
        self.store: AlertStore | None = None
        self.may_send = True
        self._start()

    def _start(self) -> None:
        if self.store is not None:
            self.store.close()
        self.store = AlertStore(self.path)
        paging = Paging(
            self.config, tuple(self.ends), lambda: INDEX, lambda: self.now_ms
        )
        self._group_ms = paging.group_ms
        self.delivery = Delivery(
            self.store.outbox,
            _at_once,
            self.ends,
            paging.render,
            lambda: self.now_ms,
            paging.group_ms,
            self.config.fallbacks(),
            MessageLimits(self.config.channels),
            lambda: self.may_send,
        )

    def begin(
        self,
        episode: str,
        severity: Severity = "critical",
        site: str = "hall",
        channels: Sequence[str] | None = None,
    ) -> None:
        alert = Alert(
            "line_down",
            {"line": episode},
            severity,
            "firing",
            self.now_ms,
            site=site,
            summary=f"{episode} is down",
        )
        self.began[episode] = alert
        names = channels if channels is not None else self.ends
        due_ms = self.now_ms + self._group_ms
        entries = [OutboxEntry(episode, "page", name, alert, due_ms) for name in names]
        self._write({episode: alert}, entries, [])

    def change(self, episode: str, **fields: Any) -> None:
        alert = msgspec.structs.replace(self.began[episode], **fields)
        self.began[episode] = alert
        self._write({episode: alert}, [], [])

    def end(self, episode: str) -> None:
        alert = msgspec.structs.replace(
            self.began[episode], state="resolved", resolved_ms=self.now_ms
        )
        self.ended.add(episode)
        self._write({episode: alert}, [], [episode])

    def _write(
        self, alerts: dict[str, Alert], entries: list[OutboxEntry], ended: list[str]
    ) -> None:
        assert self.store is not None
        over_at_ms = self.now_ms + self._group_ms
        self.store.write(
            CycleChanges({}, alerts, entries, ended, [], over_at_ms, [], {}, {}),
            self.now_ms,
        )

    async def deliver(self) -> None:
        for channel in self.ends:
            try:
                while await self.delivery.send_next(channel):
                    pass
            except Killed:
                self._start()

    async def wait(self, ms: int, every_ms: int = 15_000) -> None:
        """Lets time pass, with the looks of the delivery."""
        until_ms = self.now_ms + ms
        while self.now_ms < until_ms:
            self.now_ms = min(self.now_ms + every_ms, until_ms)
            await self.deliver()

    def close(self) -> None:
        assert self.store is not None
        self.store.close()


async def _at_once(work: Callable[..., _T], *args: Any) -> _T:
    return work(*args)


SITES = ("hall", "depot", "library")
INDEX = EstateIndex(
    Estate.model_validate({"sites": [{"id": s, "name": s.title()} for s in SITES]})
)
