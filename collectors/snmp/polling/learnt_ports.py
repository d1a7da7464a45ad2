"""Keeps over a restart of Towpath what was read of each device's ports, so that they
are polled at once: a slow agent needs many polls for its tables.

There is a file for each device. Losing one costs a reading of the tables, never a wrong
number: each is used once, and only if the device is still the same and has not
restarted since. The first poll finds other changes, as each poll does.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import msgspec
import structlog

from collectors.snmp.polling.counter_rates import Moment
from collectors.snmp.session.oids import SYS_OBJECT_ID, TICKS_PER_S, TICKS_WRAP
from collectors.snmp.session.session import Value
from collectors.snmp.tables.interfaces import Columns
from probes.wire.atomic_file import replace_file
from probes.wire.clock import MonotonicClock, WallClock

_log = structlog.get_logger()
# How far the device's clock and ours may differ since.
_SLACK_MS, _SLACK_RATIO = 10_000, 0.01
# Twice the tables of the largest chassis.
_MAX_OCTETS = 32_000_000


class LearntPorts(msgspec.Struct, frozen=True):
    """The tables of one device as read at `time_ms`, when its sysUpTime was `ticks`.

    `requested` are the columns that were requested: another version of Towpath may need
    others.
    """

    requested: tuple[str, ...]
    time_ms: int
    ticks: int
    # Values of any kind: msgspec reads no union of texts and octets.
    scalars: dict[str, Any]
    columns: dict[str, dict[int, Any]]
    object_id: Any = None

    @property
    def indexes(self) -> list[int]:
        return sorted(set().union(*self.columns.values()))

    def has_run_on(self, time_ms: int, ticks: int | None) -> bool:
        """True if the device has not restarted since."""
        if ticks is None:
            return False
        passed_ms = time_ms - self.time_ms
        own_ms = (ticks - self.ticks) % TICKS_WRAP * 1000 / TICKS_PER_S
        slack_ms = max(_SLACK_MS, passed_ms * _SLACK_RATIO)
        return passed_ms >= 0 and abs(own_ms - passed_ms) <= slack_ms


class PortMemory:
    """The file of one device, if there is one; `object_id` is its sysObjectID."""

    def __init__(
        self,
        file: Path | None,
        requested: tuple[str, ...],
        now_ms: WallClock,
        monotonic_s: MonotonicClock,
    ) -> None:
        self._file, self._requested = file, requested
        self._now_ms, self._monotonic_s = now_ms, monotonic_s
        self._is_new = True
        # The last answer.
        self._seen = Moment(None, 0.0)
        self.object_id: Value | None = None

    @property
    def oids(self) -> list[str]:
        """What the first request of a device asks for, to recognise it."""
        return [] if self._file is None else [SYS_OBJECT_ID]

    def see(self, moment: Moment) -> Moment:
        """Records that the device answered; returns `moment`."""
        self._seen = moment
        return moment

    def recall(self, ticks: int | None) -> LearntPorts | None:
        """What was learnt before the restart, at the first call; None if nothing was,
        or it may be wrong by now."""
        if self._file is None or not self._is_new:
            return None
        self._is_new = False
        try:
            learnt = _decode(self._file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, zlib.error, ValueError) as error:
            _log.warning(
                "learnt_ports_not_read", file=str(self._file), error=str(error)
            )
            return None
        is_same = learnt.object_id == self.object_id and learnt.has_run_on(
            self._now_ms(), ticks
        )
        return learnt if is_same and learnt.requested == self._requested else None

    def remember(
        self, in_doubt: bool, scalars: dict[str, Value], columns: Columns
    ) -> None:
        """Keeps the tables that were read, unless something in them is in doubt."""
        if self._file is None:
            return
        try:
            seen = self._seen
            if in_doubt or seen.ticks is None:
                self._file.unlink(missing_ok=True)
                return
            passed_ms = self._monotonic_s() * 1000 - seen.own_ms
            learnt = LearntPorts(
                self._requested,
                self._now_ms() - int(passed_ms),
                seen.ticks,
                scalars,
                columns,
                self.object_id,
            )
            replace_file(self._file, _encode(learnt), durable=False)
        except (OSError, OverflowError) as error:
            _log.warning(
                "learnt_ports_not_kept", file=str(self._file), error=str(error)
            )


def _encode(learnt: LearntPorts) -> bytes:
    return zlib.compress(msgspec.msgpack.encode(learnt), 1)


def _decode(body: bytes) -> LearntPorts:
    unpacked = zlib.decompressobj().decompress(body, _MAX_OCTETS)
    return msgspec.msgpack.decode(unpacked, type=LearntPorts)
