"""Captures a mirrored port: reads its ring, and hands on the rows of each minute."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from collectors.rtp.live_streams import LiveStreams
from collectors.rtp.minute_groups import MinuteGroups
from collectors.rtp.packet_ring import RETIRE_S, PacketRing
from probes.wire.sample import Sample, Value

_MINUTE_S = 60.0

Deliver = Callable[[list[Sample]], Awaitable[None]]


class LiveCapture:
    """`await LiveCapture(ring, groups, "eth1", deliver).run(stop)`.

    `deliver` gets the rows of each minute, and those of the last one when `stop` is
    set. While it waits, packets are still read.
    """

    def __init__(
        self,
        ring: PacketRing,
        groups: MinuteGroups,
        interface: str,
        deliver: Deliver,
        minute_s: float = _MINUTE_S,
    ) -> None:
        self._ring, self._groups = ring, groups
        self._interface, self._deliver = interface, deliver
        self._minute_s = minute_s
        self.streams = LiveStreams()

    async def run(self, stop: asyncio.Event) -> None:
        """Captures until `stop` is set."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._ring.fileno(), self._read)
        try:
            while not stop.is_set():
                began_s = time.time()
                wait_s = self._minute_s - began_s % self._minute_s
                try:
                    async with asyncio.timeout(wait_s):
                        await stop.wait()
                except TimeoutError:
                    pass
                if stop.is_set():
                    # The kernel keeps a block that is not full for a moment.
                    await asyncio.sleep(2 * RETIRE_S)
                minute_ms = int(began_s // self._minute_s * self._minute_s * 1000)
                await self._deliver(self._rows(minute_ms))
        finally:
            loop.remove_reader(self._ring.fileno())

    def _read(self) -> None:
        for block in self._ring.ready_blocks():
            self.streams.read_block(self._ring.memory, block)

    def _rows(self, minute_ms: int) -> list[Sample]:
        """The rows of the minute that has ended."""
        self._read()
        ended = self.streams.take_idle(time.time_ns())
        streams = [*ended, *self.streams.streams.values()]
        rows = self._groups.close_minute(streams, minute_ms)
        counts, self.streams.counts = self.streams.counts, type(self.streams.counts)()
        kernel = self._ring.take_counts()
        fields: dict[str, Value] = {
            "packets": kernel.seen,
            "dropped": kernel.dropped,
            "rtp": counts["rtp"],
            "streams": rows.streams,
            "withheld": rows.withheld,
            "over_limit": counts["over_limit"],
        }
        if kernel.seen:
            fields["drop_ratio"] = round(kernel.dropped / kernel.seen, 6)
        tags = {"interface": self._interface}
        return [*rows.samples, Sample("rtp_capture", tags, fields, minute_ms)]
