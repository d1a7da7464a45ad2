"""`PhoneCollector`: reads Microsoft's logs of telephone calls, writes rows of groups.

An hour is written once, `phone_settle_h` after its end, with the calls that began in
it: both logs together, as a group's row is about all calls. Nothing of a call is kept
on disk. If Towpath is killed before the end of the hour is saved, the hour is read and
written again, as the same rows.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from collectors.batch import batch_samples
from collectors.call_measurements import PHONE_PERIOD_S
from collectors.calls.call_record import PersonMask
from collectors.calls.calls_config import CallsConfig
from collectors.calls.graph_client import GraphClient, RecordGone
from collectors.calls.graph_token import GraphRefused
from collectors.calls.phone_call import PhoneCall
from collectors.calls.phone_groups import phone_rows
from collectors.calls.phone_log import PhoneLog, phone_log_url, read_phone_rows
from collectors.calls.record_list import PageRefused, page_rows
from collectors.calls.record_values import Odd
from collectors.calls.written_state import WrittenState
from collectors.failure_log import FailureLog
from collectors.journal import Append
from probes.wire.clock import WallClock

_HOUR_MS = PHONE_PERIOD_S * 1000
_LOGS: tuple[PhoneLog, ...] = ("direct_routing", "calling_plan")
_PERMISSION = "CallRecord-PstnCalls.Read.All"


class PhoneCollector:
    """Reads in rounds. `failure` is why the last one failed, in one sentence."""

    NAME = "calls"

    def __init__(
        self,
        config: CallsConfig,
        append: Append,
        state: Path,
        least: int,
        mask: PersonMask,
        now_ms: WallClock,
        odd: Odd,
    ) -> None:
        self._config, self._append = config, append
        self._state = WrittenState(state, _HOUR_MS, config.first_days, now_ms)
        self._least, self._mask, self._now_ms = least, mask, now_ms
        self._odd = odd
        self._written_ms: int | None = None
        self.failure = ""
        self.counts: Counter[str] = Counter()
        self._failures = FailureLog("phone_calls_not_read", "phone_calls_read_again")

    async def read_round(self, graph: GraphClient) -> None:
        """Writes each hour that is over, unless the settings leave these logs out."""
        if not self._config.phone_calls:
            return
        now_ms = self._now_ms()
        try:
            if self._written_ms is None:
                self._written_ms = await asyncio.to_thread(self._state.load)
            wait_ms = self._config.phone_settle_h * _HOUR_MS
            while self._written_ms + _HOUR_MS + wait_ms <= now_ms:
                await self._write_hour(graph, self._written_ms)
                self._written_ms += _HOUR_MS
                await asyncio.to_thread(self._state.save, self._written_ms)
        except (GraphRefused, PageRefused) as refused:
            self._note_failure(f"telephone calls: {refused}")
        except RecordGone:
            self._note_failure("Microsoft Graph has no log of telephone calls (404)")
        except OSError as error:
            self._note_failure(f"rows of telephone calls cannot be kept: {error}")
        else:
            self.failure = ""
            self._failures.recovered()

    async def _write_hour(self, graph: GraphClient, from_ms: int) -> None:
        calls: list[PhoneCall] = []
        for log in _LOGS:
            url = phone_log_url(
                self._config.graph_url, log, from_ms, from_ms + _HOUR_MS
            )
            seen: set[str] = set()
            async for body in graph.pages(url, _PERMISSION):
                rows = page_rows(body)
                calls += read_phone_rows(rows, log, self._mask, self._odd, seen)
        # Microsoft takes both ends of the time as part of it.
        inside = [c for c in calls if from_ms <= c.started_ms < from_ms + _HOUR_MS]
        samples = await asyncio.to_thread(phone_rows, inside, from_ms, self._least)
        if samples:
            batches = batch_samples(samples, self.NAME, self._now_ms())
            await self._append.append(*batches)
        self.counts["phone_hours"] += 1
        self.counts["phone_calls"] += len(inside)

    def _note_failure(self, sentence: str) -> None:
        self.failure = sentence
        self.counts["failures"] += 1
        self._failures.failed(sentence, kind=sentence)
