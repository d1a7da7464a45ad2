"""Fills the window from the store when the engine starts."""

from __future__ import annotations

import asyncio

import structlog

from alerts.window import Window
from collectors.store.query import Pick, Query, Store
from probes.wire.catalogue import Measurement

_log = structlog.get_logger()
_LAST = "_last"


async def warm_up(
    window: Window, store: Store | None, now_ms: int, timeout_s: float
) -> int:
    """Adds the rows that rules look back on, one per period; returns how many.

    If the store is down or slow, that is logged once and the window starts empty: the
    journal is read again from just as far back, and new rows do the rest.
    """
    if store is None:
        return 0
    rows = 0
    try:
        async with asyncio.timeout(timeout_s):
            for declared, fields, span_ms in window.needed_fields():
                rows += await _load_measurement(
                    window, store, declared, fields, span_ms, now_ms
                )
    except Exception as error:  # noqa: BLE001 - alerts work while the database is away
        _log.warning("window_warm_up_failed", error=repr(error))
    return rows


async def _load_measurement(
    window: Window,
    store: Store,
    declared: Measurement,
    fields: tuple[str, ...],
    span_ms: int,
    now_ms: int,
) -> int:
    if not fields:
        fields = (declared.fields[0].name,)
    period_ms = declared.period_s * 1000
    query = Query(
        measurement=declared.name,
        picks=tuple(Pick(field, "last") for field in fields),
        from_ms=now_ms - max(span_ms, 2 * period_ms) - period_ms,
        to_ms=now_ms,
        group_by=declared.identity,
        every_ms=period_ms,
    )
    answer = await store.query(query)
    for row in sorted(answer, key=lambda row: row.time_ms or 0):
        if row.time_ms is None:
            continue
        values = {name.removesuffix(_LAST): v for name, v in row.values.items()}
        # A bucket's start stands for its row, so that no row of it seems older.
        window.put_row(declared.name, row.tags, row.time_ms, values)
    return len(answer)
