"""Makes rows of `room_port`: of each port that a room depends on. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from collectors.batch import Batch, Column, Schema
from collectors.estate.estate_model import Room
from collectors.snmp.polling.counter_rates import UNKNOWN, PortRates

ROOM_PORT = Schema(
    "room_port",
    ("room", "site", "device", "port"),
    (
        "there",
        "up",
        "shut",
        "in_bps",
        "out_bps",
        "in_errors_per_s",
        "out_errors_per_s",
        "in_discards_per_s",
        "out_discards_per_s",
        "in_error_ratio",
    ),
)


class RoomPortState(msgspec.Struct, frozen=True):
    """One port of a room in one poll. `up`: None if it is neither up nor down.
    `is_shut`: by an administrator; None if the device has no such port."""

    room: Room
    port: str
    rates: PortRates = UNKNOWN
    up: int | None = None
    is_shut: bool | None = None


def room_port_rows(
    source: str,
    device: str,
    time_ms: int,
    received_ms: int,
    ports: Sequence[RoomPortState],
) -> Batch:
    """The rows of the ports of `device` that rooms depend on."""
    columns: tuple[Column, ...] = tuple(
        [] for _ in range(1 + len(ROOM_PORT.tags) + len(ROOM_PORT.fields))
    )
    for state in ports:
        is_there = state.is_shut is not None
        rates = state.rates if state.up else UNKNOWN
        row = (
            time_ms,
            state.room.id,
            state.room.site,
            device,
            state.port,
            int(is_there),
            state.up,
            int(state.is_shut) if state.is_shut is not None else None,
            rates.in_bps,
            rates.out_bps,
            rates.in_errors,
            rates.out_errors,
            rates.in_discards,
            rates.out_discards,
            rates.in_error_ratio,
        )
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    return Batch(source, received_ms, ROOM_PORT, columns)
