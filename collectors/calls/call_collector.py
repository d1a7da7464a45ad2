"""`CallCollector`: reads Microsoft's record of calls and writes rows of groups.

Microsoft is the journal here: it keeps records for 30 days. So nothing of a record is
kept on disk, and its details are only read when its window is over: once, and in their
newest version. A window is over `settle_s` after its end. Then its rows are appended to
the journal, and after that the end of the window is saved. If Towpath is killed in
between, the window is read and written again, as the same rows.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Set
from pathlib import Path
from types import TracebackType
from typing import Self

from collectors.background_tasks import BackgroundTasks
from collectors.batch import batch_samples
from collectors.call_measurements import PERIOD_S
from collectors.calls.call_groups import window_rows
from collectors.calls.call_record import CallRecord, Locate, PersonMask
from collectors.calls.calls_config import CallsConfig
from collectors.calls.graph_client import GraphClient, GraphFails, RecordGone
from collectors.calls.graph_subscription import GraphSubscription
from collectors.calls.graph_token import GraphRefused, GraphToken
from collectors.calls.notification_server import NotificationServer
from collectors.calls.phone_collector import PhoneCollector
from collectors.calls.record_ends import ParseContext
from collectors.calls.record_list import (
    ListedRecord,
    PageRefused,
    list_url,
    listed_url,
    read_listed,
    read_page,
)
from collectors.calls.record_parser import parse_record
from collectors.calls.stream_verdict import load_stream_rules
from collectors.calls.written_state import WrittenState
from collectors.estate import Estate
from collectors.failure_log import FailureLog
from collectors.journal import Append
from probes.wire.clock import WallClock, wall_ms
from probes.wire.sample import Sample, Value

_PERIOD_MS = PERIOD_S * 1000
_HOUR_MS = 3_600_000
# After so many rounds, a record that cannot be read is left out: if others of its
# window can be read, or (a day) if none can, as Microsoft as a whole may be failing.
_MOST_TRIES, _MOST_TRIES_ALONE = 8, 96
# With so many failures in one window, Microsoft as a whole fails.
_MOST_FAILED = 10


class CallCollector:
    """`async with CallCollector(config, estate, locator, append, state):`.

    `locator` returns how places are found with the estate as it is now. `estate`: its
    rooms have the accounts of Teams Rooms.
    """

    NAME = "calls"

    def __init__(
        self,
        config: CallsConfig,
        estate: Callable[[], Estate],
        locator: Callable[[], Locate],
        append: Append,
        state: Path,
        least: int,
        now_ms: WallClock = wall_ms,
        graph: GraphClient | None = None,
    ) -> None:
        self._config, self._estate, self._locator = config, estate, locator
        self._append, self._least, self._now_ms = append, least, now_ms
        self._state = WrittenState(state, _PERIOD_MS, config.first_days, now_ms)
        self._graph = graph or GraphClient(config, GraphToken(config))
        self._mask, self._rules = PersonMask(), load_stream_rules(config.rule)
        self._listed: dict[str, ListedRecord] = {}
        self._counted: dict[str, ListedRecord] = {}
        self._tries: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._odd: Counter[str] = Counter()
        self._written_ms = self._saved_ms = 0
        self._failure = ""
        self._has_listed = False
        self._notices: NotificationServer | None = None
        self._subscription: GraphSubscription | None = None
        if config.notifications.url:
            self._notices = NotificationServer(config.notifications, self._counts)
            self._subscription = GraphSubscription(
                config.graph_url, self._notices, now_ms
            )
        self._phone = PhoneCollector(
            config,
            append,
            state.with_name("phone_calls.json"),
            least,
            self._mask,
            now_ms,
            self._odd,
        )
        self._tasks = BackgroundTasks()
        self._failures = FailureLog("calls_not_read", "calls_read_again")

    async def __aenter__(self) -> Self:
        self._written_ms = await asyncio.to_thread(self._state.load)
        if self._notices is not None:
            await self._notices.__aenter__()
        self._tasks.start(self._run(), "calls")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._tasks.stop()
        if self._notices is not None:
            await self._notices.__aexit__(kind, error, trace)

    def samples(self, process: str, at_ms: int) -> list[Sample]:
        """Returns its row of `self_calls`."""
        failures = [text for text in (self._failure, self._phone.failure) if text]
        counts = self._counts + self._phone.counts
        fields: dict[str, Value] = {
            "reading": int(not failures),
            "state_text": "; ".join(failures) or "ok",
            "behind_s": (at_ms - self._written_ms) / 1000,
            "waiting": len(self._listed),
            **{name: counts[name] for name in _COUNTERS},
            **{name: self._graph.counts[name] for name in _REQUEST_COUNTERS},
            **{f"odd_{name}": count for name, count in self._odd.items()},
        }
        if self._subscription is not None:
            fields["notified"] = int(self._subscription.is_active)
        return [Sample("self_calls", {"process": process}, fields, at_ms)]

    async def _run(self) -> None:
        while True:
            try:
                async with self._graph as graph:
                    await self.read_round(graph)
                    await self._phone.read_round(graph)
                    if self._subscription is not None:
                        await self._subscription.keep(graph)
                    await self._pause(graph)
                    continue
            except GraphRefused as refused:
                self._note_failure(str(refused))
            except Exception as error:  # noqa: BLE001 - a round is not the last
                self._note_failure(repr(error))
            await asyncio.sleep(self._config.period_s)

    async def _pause(self, graph: GraphClient) -> None:
        """Waits for the next round, and reads meanwhile what Microsoft notifies of."""
        if self._notices is None or self._subscription is None:
            await asyncio.sleep(self._config.period_s)
            return
        until_s = time.monotonic() + self._config.period_s
        while (left_s := until_s - time.monotonic()) > 0:
            found = await self._notices.wait(left_s)
            await self._read_notified(graph, found.ids)
            if found.events:
                self._subscription.note(found)
                return
            # A busy council is notified each second.
            await asyncio.sleep(min(_NOTICE_PAUSE_S, left_s))

    async def _read_notified(self, graph: GraphClient, ids: Set[str]) -> None:
        """Lists the records that are not known yet."""
        try:
            for id in ids - self._listed.keys() - self._counted.keys():
                url = listed_url(self._config.graph_url, id)
                with contextlib.suppress(RecordGone):
                    async for body in graph.pages(url, of_record=id):
                        if record := read_listed(body, self._odd):
                            self._note_listed(record)
        except (GraphRefused, PageRefused):
            # The next round lists them, or says what is wrong.
            return

    async def read_round(self, graph: GraphClient) -> None:
        """Lists what is new, and writes each window that is over."""
        now_ms = self._now_ms()
        try:
            await self._list(graph, now_ms)
            while (
                self._written_ms + _PERIOD_MS + self._config.settle_s * 1000 <= now_ms
            ):
                await self._write_window(graph, self._written_ms + _PERIOD_MS)
            await self._save()
        except (GraphRefused, PageRefused) as refused:
            self._note_failure(str(refused))
        except RecordGone:
            self._note_failure("Microsoft Graph has no list of call records (404)")
        except OSError as error:
            self._note_failure(f"rows of calls cannot be kept: {error}")
        else:
            self._failure = ""
            self._failures.recovered()

    def _note_failure(self, sentence: str) -> None:
        self._failure = sentence
        self._counts["failures"] += 1
        self._failures.failed(sentence, kind=sentence)

    async def _list(self, graph: GraphClient, now_ms: int) -> None:
        oldest_ms = self._written_ms - self._config.longest_call_h * _HOUR_MS
        self._counted = {
            id: one for id, one in self._counted.items() if one.ended_ms >= oldest_ms
        }
        url = list_url(self._config.graph_url, oldest_ms, now_ms)
        async for body in graph.pages(url):
            for record in read_page(body, self._odd):
                self._note_listed(record)
        self._has_listed = True

    def _note_listed(self, record: ListedRecord) -> None:
        """Keeps the newest version of a record whose window is not written yet."""
        counted = self._counted.get(record.id)
        if counted is not None or record.ended_ms < self._written_ms:
            if counted is not None and record.version > counted.version:
                self._counts["changed_late"] += 1
            elif counted is None and self._has_listed:
                # After a start, nobody knows whether it was counted.
                self._counts["late"] += 1
            self._counted[record.id] = record
            return
        known = self._listed.get(record.id)
        if known is not None and record.version <= known.version:
            self._counts["listed_again"] += 1
            return
        if known is not None:
            self._counts["new_versions"] += 1
        self._listed[record.id] = record

    async def _write_window(self, graph: GraphClient, end_ms: int) -> None:
        due = [one for one in self._listed.values() if one.ended_ms < end_ms]
        records = await self._read_records(graph, due)
        rooms = self._estate().rooms
        samples = await asyncio.to_thread(
            window_rows,
            records,
            end_ms - _PERIOD_MS,
            self._least,
            {room.id: room.site for room in rooms},
        )
        if samples:
            batches = batch_samples(samples, self.NAME, self._now_ms())
            await self._append.append(*batches)
        self._written_ms = end_ms
        self._counts["windows"] += 1
        self._counts["records"] += len(records)
        # Before saving: if that fails, the next window must not have these calls too.
        for one in due:
            self._counted[one.id] = self._listed.pop(one.id)
            self._tries.pop(one.id, None)
        if samples:
            await self._save()

    async def _read_records(
        self, graph: GraphClient, due: list[ListedRecord]
    ) -> list[CallRecord]:
        context = ParseContext(
            self._config.tenant,
            self._rules,
            self._mask,
            self._locator(),
            {
                account.lower(): room.id
                for room in self._estate().rooms
                for account in room.accounts
            },
        )
        records: list[CallRecord] = []
        failed: list[tuple[ListedRecord, GraphFails]] = []
        gone = 0
        # In parts, so that a refusal does not wait for thousands of others.
        for at in range(0, len(due), self._config.at_once):
            part = due[at : at + self._config.at_once]
            bodies = await asyncio.gather(
                *(graph.record(one.id) for one in part), return_exceptions=True
            )
            for one, body in zip(part, bodies, strict=True):
                if isinstance(body, RecordGone):
                    gone += 1
                elif isinstance(body, GraphFails):
                    failed.append((one, body))
                elif isinstance(body, BaseException):
                    raise body
                elif record := parse_record(body[0], context, self._odd, body[1:]):
                    records.append(record)
            if len(failed) >= _MOST_FAILED:
                raise failed[0][1]
        self._note_failed(failed, bool(records))
        self._counts["gone"] += gone
        return records

    def _note_failed(
        self, failed: list[tuple[ListedRecord, GraphFails]], are_others_read: bool
    ) -> None:
        """Raises the failure, so that the window is read again, until each record that
        fails was tried often enough."""
        for one, _ in failed:
            self._tries[one.id] += 1
        most = _MOST_TRIES if are_others_read else _MOST_TRIES_ALONE
        for one, error in failed:
            if self._tries[one.id] < most:
                raise error
        self._counts["left_out"] += len(failed)

    async def _save(self) -> None:
        if self._written_ms != self._saved_ms:
            await asyncio.to_thread(self._state.save, self._written_ms)
            self._saved_ms = self._written_ms


_NOTICE_PAUSE_S = 30.0
_REQUEST_COUNTERS = ("throttled", "server_errors")
_COUNTERS = (
    "windows",
    "records",
    "listed_again",
    "new_versions",
    "changed_late",
    "late",
    "gone",
    "left_out",
    "phone_hours",
    "phone_calls",
    "failures",
    "notices",
    "notices_refused",
)
