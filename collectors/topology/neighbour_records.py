"""Neighbours and identities of devices, as rows of the store and back. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from collectors.batch import Batch, Schema
from collectors.store.query import Pick, Query, Row

# The fields that are read back. The row also has `remote_device`, which follows from
# them and from the estate.
_RECORD_FIELDS = (
    "protocol",
    "remote_name",
    "remote_port",
    "remote_port_descr",
    "remote_chassis",
    "remote_address",
)
NEIGHBOUR = Schema(
    "neighbour",
    ("device", "site", "role", "port", "heard"),
    (*_RECORD_FIELDS, "remote_device"),
)
IDENTITY = Schema("identity", ("device", "site", "role"), ("sys_name", "chassis"))


class DeviceNeighbour(msgspec.Struct, frozen=True):
    """A switch, router or access point that a device of the estate reports on a
    port."""

    device: str
    port: str
    remote_name: str = ""
    remote_port: str = ""
    remote_chassis: str = ""
    remote_address: str = ""
    remote_port_descr: str = ""
    protocol: str = ""

    @property
    def neighbour_id(self) -> str:
        """Return what distinguishes it from other neighbours on the same port."""
        return self.remote_chassis or self.remote_name or self.remote_address


class LocalSystem(msgspec.Struct, frozen=True):
    """How a device identifies itself: by sysName, and by its LLDP chassis id or else
    its bridge address."""

    device: str
    sys_name: str = ""
    chassis: str = ""


def to_batches(
    place: tuple[str, str, str],
    local_system: LocalSystem,
    neighbours: Iterable[DeviceNeighbour],
    time_ms: int,
    source: str,
    find_device: Callable[[DeviceNeighbour], str | None] = lambda neighbour: None,
) -> list[Batch]:
    """Return the batches of one reading; `place` is (device, site, role).

    `find_device` returns the id of the neighbour if it is a device of the estate.
    """
    distinct = list(
        {
            (neighbour.port, neighbour.neighbour_id): neighbour
            for neighbour in neighbours
        }.values()
    )
    n = len(distinct)
    batches = [
        Batch(
            source,
            time_ms,
            IDENTITY,
            (
                [time_ms],
                *([tag] for tag in place),
                [local_system.sys_name or None],
                [local_system.chassis or None],
            ),
        )
    ]
    if distinct:
        batches.append(
            Batch(
                source,
                time_ms,
                NEIGHBOUR,
                (
                    [time_ms] * n,
                    *([tag] * n for tag in place),
                    [neighbour.port for neighbour in distinct],
                    [neighbour.neighbour_id for neighbour in distinct],
                    *(
                        [getattr(neighbour, name) or None for neighbour in distinct]
                        for name in _RECORD_FIELDS
                    ),
                    [find_device(neighbour) for neighbour in distinct],
                ),
            )
        )
    return batches


def from_batch(batch: Batch) -> Iterator[tuple[int, DeviceNeighbour | LocalSystem]]:
    """Yield (time in ms, record) of each row; nothing for other measurements."""
    devices, times = batch.tag("device"), batch.times_ms
    if batch.measurement == NEIGHBOUR.measurement:
        ports = batch.tag("port")
        names = _RECORD_FIELDS
        columns = [batch.field(name) for name in names]
        for at, (time_ms, device, port) in enumerate(
            zip(times, devices, ports, strict=True)
        ):
            values = {n: str(c[at] or "") for n, c in zip(names, columns, strict=True)}
            yield time_ms, DeviceNeighbour(device=device, port=port, **values)
    elif batch.measurement == IDENTITY.measurement:
        for time_ms, device, name, chassis in zip(
            times,
            devices,
            batch.field("sys_name"),
            batch.field("chassis"),
            strict=True,
        ):
            yield time_ms, LocalSystem(device, str(name or ""), str(chassis or ""))


def history_queries(from_ms: int, to_ms: int) -> tuple[Query, Query]:
    """Return queries for the hourly last record of every device and port."""
    hour_ms = 3_600_000
    return tuple(  # type: ignore[return-value]
        Query(
            schema.measurement,
            tuple(Pick(field, "last") for field in fields),
            from_ms,
            to_ms,
            group_by=schema.tags,
            every_ms=hour_ms,
        )
        for schema, fields in (
            (NEIGHBOUR, _RECORD_FIELDS),
            (IDENTITY, IDENTITY.fields),
        )
    )


def from_rows(
    answers: Iterable[Row],
) -> Iterator[tuple[int, DeviceNeighbour | LocalSystem]]:
    """Yield (start of the hour in ms, record) of each row of `history_queries`."""
    for row in answers:
        values = {
            name.removesuffix("_last"): str(value) for name, value in row.values.items()
        }
        device = row.tags.get("device", "")
        if "heard" in row.tags:
            port = row.tags.get("port", "")
            yield row.time_ms or 0, DeviceNeighbour(device=device, port=port, **values)
        else:
            yield row.time_ms or 0, LocalSystem(device, **values)
