"""The file of signed stop orders beside the registry, which ingest serves to agents.

One line for each order. Lines are never trusted: agents check the signature of each,
and a line that is damaged does nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog

from collectors.failure_log import FailureLog
from collectors.ingest.stop_key import StopKey
from probes.wire.atomic_file import replace_file
from probes.wire.clock import MonotonicClock
from probes.wire.policy import MAX_ORDERS
from probes.wire.stop_order import (
    DAY_MS,
    MAX_DAYS,
    BadOrder,
    StopOrder,
    is_replaced,
    read_order,
    read_unverified,
    stops_in_force,
)

_LOOK_S = 2.0
_MAX_BYTES = 1_000_000

_log = structlog.get_logger()


class OrderRefused(ValueError):
    """The order cannot be given; the text is one sentence."""


class StopWish(msgspec.Struct, frozen=True):
    """What an order is to stop or resume. `days`: how long, for a stop."""

    kind: str
    ring: str = ""
    probes: tuple[str, ...] = ()
    days: float = MAX_DAYS
    why: str = ""


class KnownOrder(msgspec.Struct, frozen=True):
    """A line of the file: `order` is None and `fault` says why if it does nothing."""

    line: str
    order: StopOrder | None
    fault: str = ""


def make_order(
    wish: StopWish, known: Iterable[KnownOrder], now_ms: int, key: str = ""
) -> StopOrder:
    """The order of that wish, newer than all known ones. Pure. Raises `OrderRefused`.

    A resume is kept as long as a stop can last, so that none comes back.
    """
    last = max((entry.order.number for entry in known if entry.order), default=0)
    if wish.kind == "stop" and not 0 < wish.days <= MAX_DAYS:
        raise OrderRefused(f"--days is {wish.days:g}, expected at most {MAX_DAYS}")
    days = wish.days if wish.kind == "stop" else MAX_DAYS
    until_ms = now_ms + int(days * DAY_MS)
    try:
        return msgspec.convert(
            {
                "kind": wish.kind,
                "number": max(now_ms, last + 1),
                "issued_ms": now_ms,
                "until_ms": until_ms,
                "ring": wish.ring,
                "probes": sorted(set(wish.probes)),
                "why": wish.why,
                "key": key,
            },
            StopOrder,
        )
    except msgspec.ValidationError as error:
        raise OrderRefused(f"the order is not possible: {error}") from None


def read_orders(path: Path, keys: Sequence[str]) -> list[KnownOrder]:
    """Every line of the file, oldest first. Raises `OSError`; a missing file has none.

    Orders of keys other than `keys` are faults, but not changes of the key.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return []
    return [_known(line, keys) for line in text.splitlines() if line.strip()]


def _known(line: str, keys: Sequence[str]) -> KnownOrder:
    try:
        order = read_unverified(line)
        return KnownOrder(
            line, order if order.kind == "key" else read_order(line, keys)
        )
    except BadOrder as error:
        return KnownOrder(line, None, str(error))


def add_line(path: Path, line: str, keys: Sequence[str], now_ms: int) -> None:
    """Adds a signed order, and drops what has ended or is replaced. Raises
    `OrderRefused` if `keys` have not signed it or it does nothing, and `OSError`."""
    try:
        order = read_order(line, keys)
    except BadOrder as error:
        raise OrderRefused(f"the order was not added: {error}") from None
    if fault := _clock_fault(order, now_ms):
        raise OrderRefused(f"the order was not added: {fault}")
    known = read_orders(path, keys)
    orders = [entry.order for entry in known if entry.order]
    if is_replaced(order, orders):
        raise OrderRefused("the order was not added: a newer one has replaced it")
    kept = [
        entry.line
        for entry in known
        if entry.order is not None
        and entry.line != line
        and (entry.order.kind == "key" or entry.order.until_ms > now_ms)
        and not is_replaced(entry.order, [order])
        # A resume of the same scope, or of a part of it, says nothing more.
        and not (
            entry.order.kind == order.kind == "resume" and order.covers(entry.order)
        )
    ]
    if len(kept) >= MAX_ORDERS:
        raise OrderRefused(
            f"there are {len(kept)} orders, expected fewer than {MAX_ORDERS}: "
            "towpath fleet resume ends them"
        )
    write_lines(path, [*kept, line])


def _clock_fault(order: StopOrder, now_ms: int) -> str:
    """Why the clock of the computer that signed an order cannot be right; empty if it
    can. Pure. An order from the future would last longer than 90 days, and no later one
    could end it."""
    clocks = f"(the server's is {_date(now_ms)}): is the clock of each computer right?"
    if order.issued_ms > now_ms + DAY_MS:
        return f"it has the date {_date(order.issued_ms)} {clocks}"
    if order.kind != "key" and order.until_ms <= now_ms:
        return f"it ended on {_date(order.until_ms)} {clocks}"
    return ""


def _date(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d")


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Raises `OSError`."""
    body = "".join(f"{line}\n" for line in lines).encode()
    replace_file(path, body, durable=True, mode=0o640, concurrent=True)


def resigned(
    known: Iterable[KnownOrder], old: StopKey, new: StopKey, now_ms: int
) -> list[str]:
    """The lines of a file after a change of the key: the change, signed with the old
    key, and the orders in force, signed with the new one. Pure."""
    entries = [entry for entry in known if entry.order]
    change = make_order(StopWish("key"), entries, now_ms, new.public)
    return [
        *(entry.line for entry in entries if entry.order and entry.order.kind == "key"),
        old.sign(change),
        *(
            new.sign(entry.order)
            for entry in entries
            if entry.order and entry.order.kind != "key"
        ),
    ]


class ServedOrders:
    """The orders that agents are given, read again when the file or `key` changes."""

    def __init__(
        self,
        path: Path,
        key: Callable[[], str],
        monotonic_s: MonotonicClock = time.monotonic,
    ) -> None:
        self._path, self._key, self._monotonic_s = path, key, monotonic_s
        self._looked_s = -_LOOK_S
        self._changed: tuple[str, int, int] | None = None
        self._known: list[KnownOrder] = []
        self._failures = FailureLog("stop_orders_not_read", "stop_orders_read_again")

    def lines(self, ring: str, now_ms: int) -> tuple[str, ...]:
        """The orders for a laptop of `ring` that have not ended."""
        return tuple(
            line
            for line, order in self._not_ended(now_ms)
            if order.kind != "stop" or order.ring in {"", ring}
        )[-MAX_ORDERS:]

    def every_line(self, now_ms: int) -> tuple[str, ...]:
        """The orders for laptops of any ring that have not ended."""
        return tuple(line for line, _ in self._not_ended(now_ms))

    def _not_ended(self, now_ms: int) -> Iterator[tuple[str, StopOrder]]:
        self._look()
        for entry in self._known:
            order = entry.order
            if order is not None and (order.kind == "key" or order.until_ms > now_ms):
                yield entry.line, order

    def stops(self, ring: str | None, now_ms: int) -> list[StopOrder]:
        """The stops in force for a laptop of `ring`, or of any."""
        self._look()
        orders = [entry.order for entry in self._known if entry.order]
        return stops_in_force(orders, ring, now_ms)

    def _look(self) -> None:
        now_s = self._monotonic_s()
        if now_s - self._looked_s < _LOOK_S:
            return
        self._looked_s = now_s
        key = self._key()
        try:
            stat = self._path.stat()
            changed = key, stat.st_mtime_ns, stat.st_size
        except FileNotFoundError:
            changed = None
        except OSError as error:
            self._fail(error)
            return
        if changed == self._changed:
            self._failures.recovered(path=str(self._path))
            return
        try:
            self._known = read_orders(self._path, [key])
        except OSError as error:
            self._fail(error)
            return
        self._changed = changed
        self._failures.recovered(path=str(self._path))
        for entry in self._known:
            if entry.fault:
                _log.warning("stop_order_unusable", error=entry.fault)

    def _fail(self, error: OSError) -> None:
        # What was read last stays in force.
        self._failures.failed(str(error), path=str(self._path))
