"""Stop keys and orders that tests sign."""

from __future__ import annotations

from typing import Any

from collectors.ingest.stop_key import StopKey
from collectors.ingest.stop_order_file import StopWish, make_order
from probes.wire.stop_order import StopOrder

COUNCIL, FOREIGN, NEXT = StopKey(b"c" * 32), StopKey(b"f" * 32), StopKey(b"n" * 32)
NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000


def order(kind: str = "stop", at_ms: int = NOW_MS, **wish: Any) -> StopOrder:
    key = wish.pop("key", "")
    return make_order(StopWish(kind, **wish), (), at_ms, key)


def line(kind: str = "stop", at_ms: int = NOW_MS, **wish: Any) -> str:
    key = wish.pop("by", COUNCIL)
    return key.sign(order(kind, at_ms, **wish))
