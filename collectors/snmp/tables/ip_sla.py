"""The latest result of each IP SLA operation of a Cisco router.

CISCO-RTTMON-MIB: rttMonCtrlAdminTable has the operations; rttMonLatestRttOperTable and,
for UDP jitter, rttMonLatestJitterOperTable have their latest results.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from collectors.batch import Batch, Schema
from collectors.server_measurements import IP_SLA
from collectors.snmp.session import oids
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.octet_text import as_int, text
from collectors.snmp.session.read_progress import ReadProgress
from collectors.snmp.session.session import Failed, Value
from collectors.snmp.tables.device_tags import DeviceTags
from collectors.snmp.tables.quantities import DELAY, ICPIF, MOS, SENSORS
from probes.wire.clock import MonotonicClock

# How long the list of operations is kept. An empty list costs one packet to read.
_LEARN_S = 3600.0
_MOST = 200
_MIB = "1.3.6.1.4.1.9.9.42.1"
_OWNER, _TAG, _TYPE = (f"{_MIB}.2.1.1.{n}" for n in (2, 3, 4))
_RTT_MS, _SENSE = f"{_MIB}.2.10.1.1", f"{_MIB}.2.10.1.2"
_JITTER = f"{_MIB}.5.2.1"
_RTTS, _RTT_SUM = f"{_JITTER}.1", f"{_JITTER}.2"
_LOST = tuple(f"{_JITTER}.{n}" for n in (26, 27, 29))
_MOS, _ICPIF, _JITTER_MS = (f"{_JITTER}.{n}" for n in (42, 43, 46))
_UDP_JITTER = 9
_COUNT = SENSORS["count"]
# rttMonCtrlAdminRttType
_TYPES = {
    1: "echo",
    2: "path_echo",
    5: "udp_echo",
    6: "tcp_connect",
    7: "http",
    8: "dns",
    9: "udp_jitter",
    11: "dhcp",
    12: "ftp",
    13: "voip",
    16: "icmp_jitter",
}
# RttResponseSense
_OK, _OVER_THRESHOLD = 1, 3
_SENSES = {
    1: "ok",
    2: "disconnected",
    3: "over_threshold",
    4: "timeout",
    5: "busy",
    6: "not_connected",
    7: "dropped",
    8: "sequence_error",
    9: "verify_error",
}


class Operation(msgspec.Struct, frozen=True):
    index: str
    name: str
    type: int


class IpSla:
    """Reads the operations of one device."""

    def __init__(self, monotonic_s: MonotonicClock = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._operations: list[Operation] = []
        self._learn_at_s = float("-inf")
        # Of a list that needs more than one poll.
        self._progress: ReadProgress | None = None

    async def poll(
        self, snmp: DeviceSession, place: DeviceTags, now_ms: int
    ) -> list[Batch]:
        """Read the latest results. Raises `Failed`."""
        now_s = self._monotonic_s()
        if now_s >= self._learn_at_s:
            await self._learn(snmp, now_s)
        if not self._operations:
            return []
        wanted = [o for operation in self._operations for o in _list_oids(operation)]
        answer = await snmp.get_all(wanted)
        return to_batches(place, now_ms, self._operations, answer)

    async def _learn(self, snmp: DeviceSession, now_s: float) -> None:
        # Set before reading, so that a failure is not repeated at every poll.
        due_s, self._learn_at_s = self._learn_at_s, now_s + _LEARN_S
        progress, self._progress = self._progress or ReadProgress(), None
        within = snmp.with_progress(progress)
        try:
            self._operations = await _read_operations(within)
        except Failed as failed:
            if within.goes_on(failed):
                self._progress, self._learn_at_s = progress, due_s
            raise


async def _read_operations(snmp: DeviceSession) -> list[Operation]:
    types = await snmp.walk(_TYPE)
    indexes = [oids.tail(oid, _TYPE) for oid in types][:_MOST]
    if not indexes:
        return []
    wanted = [f"{column}.{i}" for i in indexes for column in (_TAG, _OWNER)]
    names = await snmp.get_all(wanted)
    return [
        Operation(
            index,
            text(names.get(f"{_TAG}.{index}"))
            or text(names.get(f"{_OWNER}.{index}"))
            or f"operation {index}",
            as_int(types[f"{_TYPE}.{index}"]) or 0,
        )
        for index in indexes
    ]


def _list_oids(operation: Operation) -> list[str]:
    columns: tuple[str, ...] = (_RTT_MS, _SENSE)
    if operation.type == _UDP_JITTER:
        columns += (_RTTS, _RTT_SUM, *_LOST, _MOS, _ICPIF, _JITTER_MS)
    return [f"{column}.{operation.index}" for column in columns]


def to_batches(
    place: DeviceTags,
    time_ms: int,
    operations: Sequence[Operation],
    answer: Mapping[str, Value],
) -> list[Batch]:
    """Return a batch of the operations' latest results, or nothing. Pure."""
    rows = []
    uses = Counter(operation.name for operation in operations)
    for operation in operations:
        values = _result_values(operation, answer)
        if values is None:
            continue
        name = operation.name
        if uses[name] > 1:
            name = f"{name} ({operation.index})"
        type = _TYPES.get(operation.type, str(operation.type))
        rows.append(
            (time_ms, place.device, place.site, place.role, name, type, *values)
        )
    if not rows:
        return []
    columns = tuple(list(column) for column in zip(*rows, strict=True))
    return [Batch(f"poll/{place.device}", time_ms, Schema.of(IP_SLA), columns)]


def _result_values(
    operation: Operation, answer: Mapping[str, Value]
) -> tuple[Any, ...] | None:
    """Return up, sense, rtt_ms, jitter_ms, loss_ratio, mos and icpif, or None if the
    operation has not run."""

    def count(column: str) -> int | None:
        value = as_int(answer.get(f"{column}.{operation.index}"))
        return (
            value if value is not None and _COUNT.plausible(value) is not None else None
        )

    sense = count(_SENSE)
    if sense is None or sense == 0:
        return None
    up = int(sense in (_OK, _OVER_THRESHOLD))
    rtt = count(_RTT_MS) if up else None
    rtts, total = count(_RTTS), count(_RTT_SUM)
    if up and rtts and total is not None:
        # The other table's completion time is that of the last packet alone.
        rtt_ms: float | None = total / rtts
    else:
        rtt_ms = None if rtt is None else float(rtt)
    lost = [n for n in map(count, _LOST) if n is not None]
    loss = None
    if rtts is not None and lost and rtts + sum(lost):
        loss = sum(lost) / (rtts + sum(lost))
    jitter, hundredths, icpif = count(_JITTER_MS), count(_MOS), count(_ICPIF)
    # The MOS is 0 if no codec is configured.
    mos = MOS.plausible(hundredths / 100) if up and hundredths else None
    return (
        up,
        _SENSES.get(sense, f"sense {sense}"),
        DELAY.plausible(rtt_ms),
        DELAY.plausible(float(jitter)) if up and jitter is not None else None,
        loss,
        mos,
        ICPIF.plausible(icpif) if mos is not None else None,
    )
