"""Makes rows of `line`: of each line, by the port that it ends on. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time

from collectors.batch import Batch, Column, Schema
from collectors.estate.estate_model import Line
from collectors.snmp.polling.counter_rates import UNKNOWN, PortRates

LINE = Schema(
    "line",
    ("line", "site", "role", "supplier"),
    (
        "down_bps",
        "up_bps",
        "down_use_ratio",
        "up_use_ratio",
        "up",
        "carrying",
        "in_errors_per_s",
        "out_errors_per_s",
        "in_discards_per_s",
        "out_discards_per_s",
        "contract_down_bps",
        "contract_up_bps",
        "cost_per_year",
        "contract_end_ms",
        "circuit_ref",
        "device",
        "port",
    ),
)
# A line that carries more than this part of its contract is in use: keep-alives are
# less.
_KEEP_ALIVE_RATIO = 0.01


def line_rows(
    source: str,
    time_ms: int,
    received_ms: int,
    lines: Sequence[tuple[Line, str, PortRates, int | None]],
) -> Batch:
    columns: tuple[Column, ...] = tuple(
        [] for _ in range(1 + len(LINE.tags) + len(LINE.fields))
    )
    for line, port, rates, port_up in lines:
        # What the port receives comes down the line, unless the port is at the far end.
        down_bps, up_bps = rates.in_bps, rates.out_bps
        if line.far_end:
            down_bps, up_bps = up_bps, down_bps
        state = 0 if port_up is None else port_up
        if not state:
            # A line that is down has no rate, not even 0, whatever the counters do.
            rates = UNKNOWN
            down_bps = up_bps = None
        down_use = None if down_bps is None else down_bps / (line.down_mbps * 1e6)
        up_use = None if up_bps is None else up_bps / (line.up_mbps * 1e6)
        uses = [use for use in (down_use, up_use) if use is not None]
        carrying = None
        if not state:
            carrying = 0
        elif uses:
            carrying = int(max(uses) > _KEEP_ALIVE_RATIO)
        row = (
            time_ms,
            line.id,
            line.site,
            line.role,
            line.supplier,
            down_bps,
            up_bps,
            down_use,
            up_use,
            state,
            carrying,
            rates.in_errors,
            rates.out_errors,
            rates.in_discards,
            rates.out_discards,
            line.down_mbps * 1e6,
            line.up_mbps * 1e6,
            line.cost_per_year,
            _midnight_ms(line.contract_end),
            line.circuit_ref or None,
            line.device,
            port,
        )
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    return Batch(source, received_ms, LINE, columns)


def _midnight_ms(day: date | None) -> int | None:
    """The start of that day in UTC."""
    if day is None:
        return None
    return int(datetime.combine(day, time(), UTC).timestamp()) * 1000
