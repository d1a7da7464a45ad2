"""This installation as an SNMP engine, and the clocks of the engines it hears.

For an inform the receiver's engine has the say, for a trap the sender's (RFC 3412
section 6; RFC 3414 sections 2.3 and 3.2). Both are kept over a restart: our boots, or
every restart would open the window for replays of informs; what senders' clocks stood
at, or it would for traps.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path

import msgspec
import structlog

from probes.wire.atomic_file import replace_file

_log = structlog.get_logger()
WINDOW_S = 150
_MOST_BOOTS = 2**31 - 1
MOST_CLOCKS = 20_000
_MOST_SEEN = 20_000
# Enterprise 32473 (RFC 5612), format 5: octets of the administrator's choice.
_OWN_PREFIX = bytes.fromhex("80007ed905")


class Clock(msgspec.Struct):
    """What an engine said last: boots, its seconds since then, and when we heard it."""

    boots: int
    time: int
    heard_s: float


class _Kept(msgspec.Struct):
    """The state file. `clocks`: "address engine-id" -> (boots, time, heard, Unix s)."""

    engine_id: str
    boots: int
    clocks: dict[str, tuple[int, int, float]] = {}


class Engine:
    """Our engine id, boots and time. Times are seconds of a clock that never steps.

    `configured` is an engine id in hex; without one, one is made up and kept.
    """

    def __init__(
        self, file: Path | None, configured: str, now_s: float, unix_s: float
    ) -> None:
        self._file, self._start_s = file, now_s
        self._clocks: OrderedDict[tuple[str, bytes], Clock] = OrderedDict()
        self._addresses: dict[bytes, set[str]] = {}
        self._seen: OrderedDict[bytes, float] = OrderedDict()
        kept = _read(file)
        own = bytes.fromhex(configured or (kept.engine_id if kept else ""))
        self.id = own or _OWN_PREFIX + os.urandom(8)
        same = kept is not None and kept.engine_id == self.id.hex()
        self.boots = min(kept.boots + 1, _MOST_BOOTS) if kept and same else 1
        for name, (boots, time, heard) in (kept.clocks if kept else {}).items():
            address, _, engine_id = name.rpartition(" ")
            since_s = max(0.0, unix_s - heard)
            self._learn(
                (address, bytes.fromhex(engine_id)), Clock(boots, time, now_s - since_s)
            )

    def time(self, now_s: float) -> int:
        return int(now_s - self._start_s)

    def is_timely(self, boots: int, time: int, now_s: float) -> bool:
        """True for a message that says our own boots and time (RFC 3414, 3.2 7a)."""
        if self.boots == _MOST_BOOTS or boots != self.boots:
            return False
        return abs(time - self.time(now_s)) <= WINDOW_S

    def hear(
        self, address: str, engine_id: bytes, boots: int, time: int, now_s: float
    ) -> bool:
        """Learns a sender's clock from an authentic message; False where it is from
        before what is known (RFC 3414, 3.2 7b).

        Clocks are kept by address too: cloned devices share one engine id.
        """
        if boots >= _MOST_BOOTS:
            return False
        key = (address, engine_id)
        clock = self._clocks.get(key)
        if clock is None:
            self._learn(key, Clock(boots, time, now_s))
            others = self._addresses[engine_id] - {address}
            if others:
                _log.warning(
                    "traps_engine_id_shared",
                    engine_id=engine_id.hex(),
                    addresses=sorted({address, *others})[:10],
                    hint="two devices must not have one SNMP engine id (cloned "
                    "settings?), unless they are one device with two addresses",
                )
            return True
        self._clocks.move_to_end(key)
        if (boots, time) > (clock.boots, clock.time):
            clock.boots, clock.time, clock.heard_s = boots, time, now_s
            return True
        expected = clock.time + (now_s - clock.heard_s)
        return boots == clock.boots and time >= expected - WINDOW_S

    def is_repeated(self, digest: bytes, now_s: float) -> bool:
        """True where an authentic message with that digest came within the window.

        USM alone lets a trap be replayed for 150 s.
        """
        seen = self._seen
        while seen and (
            len(seen) >= _MOST_SEEN or next(iter(seen.values())) < now_s - 2 * WINDOW_S
        ):
            seen.popitem(last=False)
        if digest in seen:
            return True
        seen[digest] = now_s
        return False

    def addresses(self, engine_id: bytes) -> list[str]:
        """The addresses that an engine was heard from."""
        return sorted(self._addresses.get(engine_id, ()))

    def _learn(self, key: tuple[str, bytes], clock: Clock) -> None:
        while len(self._clocks) >= MOST_CLOCKS:
            (address, engine_id), _ = self._clocks.popitem(last=False)
            self._addresses[engine_id].discard(address)
            if not self._addresses[engine_id]:
                del self._addresses[engine_id]
        self._clocks[key] = clock
        self._addresses.setdefault(key[1], set()).add(key[0])

    def kept(self, now_s: float, unix_s: float) -> bytes:
        """What `write` puts into the state file."""
        clocks = {
            f"{address} {engine_id.hex()}": (
                each.boots,
                each.time,
                round(unix_s - (now_s - each.heard_s), 1),
            )
            for (address, engine_id), each in self._clocks.items()
        }
        return msgspec.json.encode(_Kept(self.id.hex(), self.boots, clocks))

    def write(self, kept: bytes) -> None:
        """Writes the state file; a failure is said, and costs only what it protects.
        For any thread."""
        if self._file is None:
            return
        try:
            replace_file(self._file, kept, durable=True)
        except OSError as error:
            _log.warning("traps_state_not_kept", file=str(self._file), says=str(error))


def _read(file: Path | None) -> _Kept | None:
    if file is None:
        return None
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=_Kept)
        bytes.fromhex(kept.engine_id)
        for name in kept.clocks:
            bytes.fromhex(name.rpartition(" ")[2])
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        _log.warning("traps_state_not_read", file=str(file), says=str(error))
        return None
    return kept
