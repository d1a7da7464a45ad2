"""Orders to stop measuring, signed with a key that the council keeps off the server.

An order is one line: an Ed25519 signature (RFC 8032) in hexadecimal, a space, and the
order as JSON. Orders can only reduce: a stop takes probes away, a resume takes stops
away. A key change, signed with the old key, names the next one. A server that was
broken into can withhold orders, but can neither make nor change one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Literal

import msgspec

from probes.wire.probe_list import PROBES
from probes.wire.report import LAST_MS

DAY_MS = 86_400_000
MAX_DAYS = 90
MAX_LINE = 2_000
MAX_WHY = 200
KEY = re.compile(r"[0-9a-f]{64}")
# The signature is of an order of Towpath, and of nothing else made with the same key.
_PURPOSE = b"towpath stop order 1\n"
_LINE = re.compile(r"([0-9a-f]{128}) (\{.*\})")

Word = Annotated[str, msgspec.Meta(max_length=64)]
TimeMs = Annotated[int, msgspec.Meta(ge=1, le=LAST_MS)]


class StopOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`number` grows with every order of one council; it is the time of issue, or one
    more than the number before. A stop is in force until `until_ms`, for laptops of
    `ring` (empty: all) and for `probes` (empty: everything that is measured). A resume
    ends older stops. `key`: the next public key, in hexadecimal."""

    kind: Literal["stop", "resume", "key"]
    number: TimeMs
    issued_ms: TimeMs
    until_ms: TimeMs
    ring: Word = ""
    probes: Annotated[tuple[Word, ...], msgspec.Meta(max_length=64)] = ()
    why: Annotated[str, msgspec.Meta(max_length=MAX_WHY)] = ""
    key: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?$")] = ""

    @property
    def scope(self) -> tuple[str, tuple[str, ...]]:
        return self.ring, tuple(sorted(set(self.probes)))

    def covers(self, other: StopOrder) -> bool:
        """Whether everything that `other` is about is also what this is about."""
        return self.ring in {"", other.ring} and (
            not self.probes
            or (bool(other.probes) and set(other.probes) <= set(self.probes))
        )


class BadOrder(Exception):
    """The line is no order, or not one of the holder of the key."""


def signed_part(text: str) -> bytes:
    """What the signature of an order's JSON is made of. Pure."""
    return _PURPOSE + text.encode()


def read_order(line: str, keys: Iterable[str]) -> StopOrder:
    """Returns the order in `line` if one of `keys` has signed it. Raises `BadOrder`.

    An order for longer than `MAX_DAYS` is none, even with a good signature.
    """
    order = read_unverified(line)
    signature, _, text = line.partition(" ")
    if not any(_is_signed(key, signed_part(text), signature) for key in keys):
        raise BadOrder("it is not signed with the council's stop key")
    return order


def read_unverified(line: str) -> StopOrder:
    """Returns what `line` says, without a look at its signature. Raises `BadOrder`."""
    match = _LINE.fullmatch(line) if len(line) <= MAX_LINE else None
    if match is None:
        raise BadOrder("it is damaged or no order")
    try:
        order = msgspec.json.decode(match.group(2), type=StopOrder)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
        raise BadOrder(f"it cannot be read: {error}") from None
    if order.kind == "key":
        if not order.key:
            raise BadOrder("it names no next key")
    elif not 0 < order.until_ms - order.issued_ms <= MAX_DAYS * DAY_MS:
        raise BadOrder(f"it is for longer than {MAX_DAYS} days")
    return order


def _is_signed(key: str, message: bytes, signature: str) -> bool:
    if not KEY.fullmatch(key):
        return False
    # Loaded only when there is an order: it takes 4 MB of a laptop's memory.
    try:
        from nacl.exceptions import BadSignatureError
        from nacl.signing import VerifyKey
    except (ImportError, OSError) as error:
        raise BadOrder(f"no signature can be checked here: {error}") from None
    try:
        VerifyKey(bytes.fromhex(key)).verify(message, bytes.fromhex(signature))
    except (BadSignatureError, ValueError):
        return False
    return True


def stops_in_force(
    orders: Collection[StopOrder], ring: str | None, now_ms: int
) -> list[StopOrder]:
    """The stops for a laptop of `ring` (None: whatever their ring), those that end last
    first. Pure.

    An order that a newer one of its scope or a newer resume has replaced does nothing,
    whenever and however often it is received.
    """
    return sorted(
        (
            order
            for order in orders
            if order.kind == "stop"
            and order.until_ms > now_ms
            and (ring is None or order.ring in {"", ring})
            and not is_replaced(order, orders)
        ),
        key=lambda order: (-order.until_ms, order.number),
    )


def is_replaced(order: StopOrder, orders: Iterable[StopOrder]) -> bool:
    """Whether one of `orders` is newer and ends or repeats `order`. Pure."""
    return any(
        newer.number > order.number
        and (
            newer.covers(order)
            if newer.kind == "resume"
            else newer.kind == "stop" and newer.scope == order.scope
        )
        for newer in orders
        if order.kind != "key"
    )


def stopped_probes(stops: Sequence[StopOrder]) -> frozenset[str]:
    """The probes that do not run under `stops`. Pure."""
    names = frozenset(probe.name for probe in PROBES)
    return frozenset().union(
        *(names.intersection(stop.probes) if stop.probes else names for stop in stops)
    )


def stops_everything(stops: Sequence[StopOrder]) -> bool:
    """Whether no probe runs under `stops`. Pure."""
    return len(stopped_probes(stops)) == len(PROBES)
