"""The local SNMP engine, and the clocks of the engines that send to it.

The receiver's engine is authoritative for an inform, the sender's for a trap (RFC 3412
section 6; RFC 3414 sections 2.3 and 3.2). The state file keeps our boots and the
senders' clocks: without them, a restart would open the window for replayed informs and
replayed traps.
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
_MAX_BOOTS = 2**31 - 1
MAX_CLOCKS = 20_000
_MAX_DIGESTS = 20_000
# Enterprise 32473 (RFC 5612), format 5: octets of the administrator's choice.
_OWN_PREFIX = bytes.fromhex("80007ed905")


class EngineClock(msgspec.Struct):
    """An engine's last boots and time, and when we received them."""

    boots: int
    time: int
    last_s: float


class _EngineState(msgspec.Struct):
    """The state file. `clocks`: "address engine-id" to (boots, time, received, in Unix
    seconds)."""

    engine_id: str
    boots: int
    clocks: dict[str, tuple[int, int, float]] = {}


class LocalEngine:
    """Our engine id, boots and time. Times are in seconds of a monotonic clock.

    `configured`: an engine id in hex; if empty, a random one is generated and kept.
    """

    def __init__(
        self, file: Path | None, configured: str, now_s: float, unix_s: float
    ) -> None:
        self._file, self._start_s = file, now_s
        # The state that the file has.
        self._written = b""
        self._clocks: OrderedDict[tuple[str, bytes], EngineClock] = OrderedDict()
        self._addresses: dict[bytes, set[str]] = {}
        self._digests: OrderedDict[bytes, float] = OrderedDict()
        state = _read_state(file)
        own = bytes.fromhex(configured or (state.engine_id if state else ""))
        self.id = own or _OWN_PREFIX + os.urandom(8)
        same = state is not None and state.engine_id == self.id.hex()
        self.boots = min(state.boots + 1, _MAX_BOOTS) if state and same else 1
        for name, (boots, time, unix_seen_s) in (state.clocks if state else {}).items():
            address, _, engine_id = name.rpartition(" ")
            since_s = max(0.0, unix_s - unix_seen_s)
            self._add_clock(
                (address, bytes.fromhex(engine_id)),
                EngineClock(boots, time, now_s - since_s),
            )

    def time(self, now_s: float) -> int:
        return int(now_s - self._start_s)

    def is_timely(self, boots: int, time: int, now_s: float) -> bool:
        """Return True if a message has our own boots and time (RFC 3414, 3.2 7a)."""
        if self.boots == _MAX_BOOTS or boots != self.boots:
            return False
        return abs(time - self.time(now_s)) <= WINDOW_S

    def update_clock(
        self, address: str, engine_id: bytes, boots: int, time: int, now_s: float
    ) -> bool:
        """Update a sender's clock from an authentic message; return False if the
        message is older than the clock allows (RFC 3414, 3.2 7b).

        Clocks are kept by address as well, because cloned devices share an engine id.
        """
        if boots >= _MAX_BOOTS:
            return False
        key = (address, engine_id)
        clock = self._clocks.get(key)
        if clock is None:
            self._add_clock(key, EngineClock(boots, time, now_s))
            others = self._addresses[engine_id] - {address}
            if others:
                _log.warning(
                    "traps_engine_id_shared",
                    engine_id=engine_id.hex(),
                    addresses=sorted({address, *others})[:10],
                    hint="two devices must not share an SNMP engine id (cloned "
                    "settings?), unless they are one device with two addresses",
                )
            return True
        self._clocks.move_to_end(key)
        if (boots, time) > (clock.boots, clock.time):
            clock.boots, clock.time, clock.last_s = boots, time, now_s
            return True
        expected = clock.time + (now_s - clock.last_s)
        return boots == clock.boots and time >= expected - WINDOW_S

    def is_replayed(self, digest: bytes, now_s: float) -> bool:
        """Return True if an authentic message with this digest came within the window.

        USM alone would accept a replayed trap for 150 s.
        """
        digests = self._digests
        while digests and (
            len(digests) >= _MAX_DIGESTS
            or next(iter(digests.values())) < now_s - 2 * WINDOW_S
        ):
            digests.popitem(last=False)
        if digest in digests:
            return True
        digests[digest] = now_s
        return False

    def addresses(self, engine_id: bytes) -> list[str]:
        """Return the addresses from which an engine has sent."""
        return sorted(self._addresses.get(engine_id, ()))

    def _add_clock(self, key: tuple[str, bytes], clock: EngineClock) -> None:
        while len(self._clocks) >= MAX_CLOCKS:
            (address, engine_id), _ = self._clocks.popitem(last=False)
            self._addresses[engine_id].discard(address)
            if not self._addresses[engine_id]:
                del self._addresses[engine_id]
        self._clocks[key] = clock
        self._addresses.setdefault(key[1], set()).add(key[0])

    def encode_state(self, now_s: float, unix_s: float) -> bytes:
        """Return the content of the state file."""
        clocks = {
            f"{address} {engine_id.hex()}": (
                clock.boots,
                clock.time,
                round(unix_s - (now_s - clock.last_s), 1),
            )
            for (address, engine_id), clock in self._clocks.items()
        }
        return msgspec.json.encode(_EngineState(self.id.hex(), self.boots, clocks))

    def write_state(self, state: bytes) -> None:
        """Write the state file, from any thread. A failure is logged."""
        if self._file is None or state == self._written:
            return
        try:
            replace_file(self._file, state, durable=True)
            self._written = state
        except OSError as error:
            _log.warning(
                "traps_state_not_written", file=str(self._file), error=str(error)
            )


def _read_state(file: Path | None) -> _EngineState | None:
    if file is None:
        return None
    try:
        state = msgspec.json.decode(file.read_bytes(), type=_EngineState)
        bytes.fromhex(state.engine_id)
        for name in state.clocks:
            bytes.fromhex(name.rpartition(" ")[2])
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        _log.warning("traps_state_not_read", file=str(file), error=str(error))
        return None
    return state
