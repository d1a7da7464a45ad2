"""Captures a mirrored port: reads its ring, and hands on the rows of each minute."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

import structlog

from collectors.rtp.live_streams import LiveStreams
from collectors.rtp.loop_parts import work_in_parts
from collectors.rtp.minute_groups import MinuteGroups
from collectors.rtp.packet_ring import (
    BLOCKS,
    BLOCKS_AT_ONCE,
    RETIRE_S,
    PacketRing,
)
from collectors.rtp.sip_minutes import SipMinutes
from probes.wire.sample import Sample, Value

_log = structlog.get_logger()
_MINUTE_S = 60.0
_CHECK_S = 1.0
_PARTS_OF_RING = BLOCKS // BLOCKS_AT_ONCE

Deliver = Callable[[list[Sample]], Awaitable[None]]


class LiveCapture:
    """`await LiveCapture(ring, groups, "eth1", deliver).run(stop)`.

    `deliver` gets the rows of each minute, and those of the last one when `stop` is
    set. While it waits, packets are still read. If the interface goes down or away,
    that is logged once and its time is in the rows; it is captured again when it is
    back. A minute without it has no row, so the rule on silent captures sees it.
    `sip`: if SIP is read.
    """

    def __init__(
        self,
        ring: PacketRing,
        groups: MinuteGroups,
        interface: str,
        deliver: Deliver,
        minute_s: float = _MINUTE_S,
        sip: SipMinutes | None = None,
    ) -> None:
        self._ring, self._groups = ring, groups
        self._interface, self._deliver = interface, deliver
        self._minute_s = minute_s
        self._missing, self._checked_s = "", time.monotonic()
        # Seconds without the interface, in this minute.
        self._down_s = 0.0
        self._sip = sip
        self.streams = LiveStreams(with_sip=sip is not None)

    async def run(self, stop: asyncio.Event) -> None:
        """Captures until `stop` is set."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._ring.fileno(), self._read)
        try:
            while not stop.is_set():
                began_s = time.time()
                wait_s = self._minute_s - began_s % self._minute_s
                end_s = time.monotonic() + wait_s
                while not stop.is_set() and (left_s := end_s - time.monotonic()) > 0:
                    self._check_interface()
                    self._drop_unfinished()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(min(left_s, _CHECK_S)):
                            await stop.wait()
                if stop.is_set():
                    # The kernel keeps a block that is not full for a moment.
                    await asyncio.sleep(2 * RETIRE_S)
                minute_ms = int(began_s // self._minute_s * self._minute_s * 1000)
                self._check_interface()
                await self._deliver(await self._rows(minute_ms, stop.is_set()))
        finally:
            loop.remove_reader(self._ring.fileno())

    def _check_interface(self) -> None:
        now_s = time.monotonic()
        if self._missing:
            self._down_s += now_s - self._checked_s
        self._checked_s = now_s
        before, self._missing = self._missing, self._ring.missing_interface()
        if self._missing and self._missing != before:
            _log.error(
                "rtp_interface_lost",
                interface=self._interface,
                error=f"{self._missing}; it is captured again when it is up",
            )
        elif before and not self._missing:
            _log.info("rtp_interface_back", interface=self._interface)

    def _drop_unfinished(self) -> None:
        if self.streams.calls is not None:
            self.streams.calls.drop_unfinished(time.time_ns())

    def _read(self) -> bool:
        """Reads what is ready, or a part; the loop comes back for the rest. True if
        there was something."""
        blocks = 0
        for block in self._ring.ready_blocks():
            self.streams.read_block(self._ring.memory, block)
            blocks += 1
        return blocks > 0

    async def _rows(self, minute_ms: int, is_end: bool = False) -> list[Sample]:
        """The rows of the minute that has ended. The work is in parts, as the ring is
        full after some tenths of a second if nobody reads it."""
        for _ in range(_PARTS_OF_RING):
            if not (self._read() and is_end):
                break
            await asyncio.sleep(0)
        now_ns = time.time_ns()
        counts, kernel = self.streams.take_counts(), self._ring.take_counts()
        reports = self.streams.reports.take_minute()
        ended = await work_in_parts(self.streams.take_idle(now_ns))
        streams = [*ended, *self.streams.streams.values()]
        calls = self.streams.calls
        rows = await work_in_parts(
            self._groups.close_minute(streams, minute_ms, reports, calls)
        )
        fields: dict[str, Value] = {
            "packets": kernel.seen,
            "dropped": kernel.dropped,
            "rtp": counts["rtp"],
            "streams": rows.streams,
            "withheld": rows.withheld,
            "over_limit": counts["over_limit"],
            "rtcp": counts["rtcp"],
            "rtcp_unread": counts["rtcp_unread"],
        }
        if self._sip is not None and calls is not None:
            settled = calls.calls.take_settled(now_ns, is_end)
            await asyncio.sleep(0)
            samples, withheld = self._sip.close_minute(settled, minute_ms)
            rows.samples.extend(samples)
            fields |= {name: counts[name] for name in ("sip", "sip_gaps", "sip_tls")}
            fields["calls_withheld"] = withheld
        down_s, self._down_s = self._down_s, 0.0
        if not kernel.seen and down_s >= self._minute_s - 2 * _CHECK_S:
            return rows.samples
        fields["down_s"] = round(down_s, 1)
        if kernel.seen:
            fields["drop_ratio"] = round(kernel.dropped / kernel.seen, 6)
        tags = {"interface": self._interface}
        return [*rows.samples, Sample("rtp_capture", tags, fields, minute_ms)]
