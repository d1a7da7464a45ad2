"""The council's stop orders that this laptop obeys, and the key that it knows them by.

The first key that the server names is kept for good. Only the laptop's administrator,
or an order that this key has signed, can put another in its place. What was obeyed is
kept on disk: a stop goes on without the server until its own end, and an order that was
replaced does nothing when it is sent again.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec

from probes.diagnosis.local_time import local_time_text
from probes.wire.display import displayable
from probes.wire.policy import MAX_ORDERS, Policy
from probes.wire.probe_list import PROBES, probe_title
from probes.wire.state_file import StateFile
from probes.wire.stop_order import (
    KEY,
    BadOrder,
    StopOrder,
    is_replaced,
    read_order,
    read_unverified,
    stopped_probes,
    stops_in_force,
)

_log = logging.getLogger(__name__)

FILE = "stop-orders.json"
_MOST_SCOPES = 4 * MAX_ORDERS
_LOSS = "a stop holds again when the server repeats it"


class _Kept(msgspec.Struct, frozen=True):
    """`keys`: the first key and those that followed it; the last one is in use.
    `server`: whose key it is. `newest`: the number of the last order that was obeyed of
    each scope, also when it is over."""

    server: str = ""
    keys: tuple[str, ...] = ()
    key_number: int = 0
    lines: tuple[str, ...] = ()
    newest: dict[str, int] = {}


def _decode_kept(content: bytes) -> _Kept:
    return msgspec.json.decode(content, type=_Kept)


class StopOrders:
    """`key` is the one of the laptop's administrator, empty if there is none.

    `faults`: what is wrong with what the server sent last, one sentence each.
    """

    def __init__(self, folder: Path, server: str, key: str = "") -> None:
        self._file = StateFile(folder / FILE, _LOSS)
        self._server = server.rstrip("/")
        self.faults: tuple[str, ...] = ()
        self._logged: set[str] = set()
        self._kept = self._read()
        if key and key not in self._kept.keys:
            # In place of all that was, and of its orders.
            self._kept = _Kept(self._server)
            self._keep(keys=(key,))
        self._orders = self._verified()

    @property
    def key(self) -> str:
        """The public key in use; empty if none is known."""
        return self._kept.keys[-1] if self._kept.keys else ""

    def pin(self, key: str) -> None:
        """Keeps the server's key, unless one is known already."""
        if not self._kept.keys and KEY.fullmatch(key):
            self._keep(keys=(key,))

    def take(self, policy: Policy, now_ms: int) -> None:
        """Obeys the orders of `policy` from now on, as far as they are the council's
        and for this laptop."""
        faults: list[str] = []
        self.pin(policy.stop_key)
        self._follow_key(policy.orders)
        if policy.stop_key not in {"", self.key}:
            faults.append(
                "the server names another stop key than the one that this laptop "
                "knows: it is not used"
            )
        for line in policy.orders:
            if line not in self._kept.lines:
                fault = self._take(line, policy, now_ms)
                if fault:
                    faults.append(fault)
        self.faults = tuple(dict.fromkeys(faults))
        for fault in self.faults:
            if fault not in self._logged:
                self._logged.add(fault)
                _log.warning("stop_order_ignored error=%s", fault)

    def _take(self, line: str, policy: Policy, now_ms: int) -> str:
        """Keeps an order that is obeyed from now on. Returns why it is not."""
        try:
            order = read_unverified(line)
            if order.kind == "key":
                # It was followed before. Older ones led to the key that is in use.
                known = order.key in self._kept.keys or self.key == policy.stop_key
                return "" if known else "a change of the stop key is not signed with it"
            order = read_order(line, [self.key])
        except BadOrder as error:
            return f"an order to stop does nothing: {error}"
        if order.until_ms <= now_ms:
            return "an order to stop does nothing: its time is over"
        if order.kind == "stop" and order.ring not in {"", policy.ring}:
            return (
                f"an order to stop does nothing: it is for the ring {order.ring!r}, "
                "and this laptop is in another"
            )
        if order in self._orders:
            return ""
        if is_replaced(order, self._orders):
            return "an order to stop does nothing: a newer one has replaced it"
        if order.number <= self._kept.newest.get(_scope_name(order), 0):
            return "an order to stop does nothing: it was obeyed before and is over"
        self._add(order, line, now_ms)
        return ""

    def _add(self, order: StopOrder, line: str, now_ms: int) -> None:
        _log.info(
            "stop_order_obeyed kind=%s number=%d until_ms=%d probes=%s why=%s",
            order.kind,
            order.number,
            order.until_ms,
            ",".join(order.probes) or "all",
            displayable(order.why),
        )
        kept = [
            (known, text)
            for known, text in zip(self._orders, self._kept.lines, strict=True)
            if known.until_ms > now_ms and not is_replaced(known, [order])
        ]
        kept = [*kept, (order, line)][-MAX_ORDERS:]
        self._orders = [known for known, _ in kept]
        newest = {**self._kept.newest, _scope_name(order): order.number}
        latest = sorted(newest.items(), key=lambda item: item[1])[-_MOST_SCOPES:]
        self._keep(lines=tuple(text for _, text in kept), newest=dict(latest))

    def _follow_key(self, lines: Sequence[str]) -> None:
        """Goes from key to key, as long as the one in use has signed the next."""
        changes = []
        for line in lines:
            with contextlib.suppress(BadOrder):
                change = read_unverified(line)
                if change.kind == "key" and change.key not in self._kept.keys:
                    changes.append((change.number, change.key, line))
        for number, key, line in sorted(changes):
            if number <= self._kept.key_number:
                continue
            with contextlib.suppress(BadOrder):
                read_order(line, [self.key])
                _log.info("stop_key_changed number=%d", number)
                self._keep(keys=(*self._kept.keys, key), key_number=number)

    # What is in force.

    def stopped(self, now_ms: int) -> frozenset[str]:
        """The probes that do not run now."""
        return stopped_probes(self._in_force(now_ms))

    def quiet_reason(self, now_ms: int) -> str:
        """Why nothing at all is measured; empty if something is."""
        stops = [stop for stop in self._in_force(now_ms) if not stop.probes]
        return _sentence("measuring", stops[0]) if stops else ""

    def sentences(self, now_ms: int) -> tuple[str, ...]:
        """What is stopped now, for the person at the laptop."""
        return tuple(
            _sentence(
                "measuring" if not stop.probes else _titles(stop.probes) or "nothing",
                stop,
            )
            for stop in self._in_force(now_ms)
        )

    def _in_force(self, now_ms: int) -> list[StopOrder]:
        # The ring was checked when the order came: a server cannot end a stop by
        # naming another one.
        return stops_in_force(self._orders, None, now_ms)

    # What is kept.

    def _read(self) -> _Kept:
        kept = self._file.read(_decode_kept, _Kept())
        if kept.server != self._server:
            # Another council's laptop from now on.
            kept = _Kept(self._server)
        return kept

    def _verified(self) -> list[StopOrder]:
        orders, lines = [], []
        for line in self._kept.lines:
            with contextlib.suppress(BadOrder):
                orders.append(read_order(line, self._kept.keys))
                lines.append(line)
        self._kept = msgspec.structs.replace(self._kept, lines=tuple(lines))
        return orders

    def _keep(self, **changes: object) -> None:
        self._kept = msgspec.structs.replace(self._kept, **changes)
        # If it cannot be saved, it is in force until the agent ends, and the server has
        # it still. What could not be read may be intact, and its key the council's.
        if not self._file.unread:
            self._file.write(msgspec.json.encode(self._kept))


def _scope_name(order: StopOrder) -> str:
    ring, probes = order.scope
    return ",".join((order.kind, ring, *probes))


def _sentence(what: str, stop: StopOrder) -> str:
    why = f": {displayable(stop.why)}" if stop.why else ""
    until = local_time_text(stop.until_ms)
    return f"your council has stopped {what} until {until}{why}"


def _titles(names: Sequence[str]) -> str:
    known = {probe.name for probe in PROBES}
    return ", ".join(probe_title(name) for name in names if name in known)
