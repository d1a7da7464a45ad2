"""What one device hears, and what it says it is: as rows, and back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from collectors.batch import Batch, Schema
from collectors.store.query import Pick, Query, Row

NEIGHBOUR = Schema(
    "neighbour",
    ("device", "site", "role", "port", "heard"),
    (
        "protocol",
        "remote_name",
        "remote_port",
        "remote_port_descr",
        "remote_chassis",
        "remote_address",
    ),
)
IDENTITY = Schema("identity", ("device", "site", "role"), ("sys_name", "chassis"))


class Sighting(msgspec.Struct, frozen=True):
    """A switch, router or access point heard on a port of a device of the estate."""

    device: str
    port: str
    remote_name: str = ""
    remote_port: str = ""
    remote_chassis: str = ""
    remote_address: str = ""
    remote_port_descr: str = ""
    protocol: str = ""

    @property
    def heard(self) -> str:
        """What tells it from others at the same port."""
        return self.remote_chassis or self.remote_name or self.remote_address


class Who(msgspec.Struct, frozen=True):
    """What a device calls itself: sysName; its LLDP chassis id, else bridge address."""

    device: str
    sys_name: str = ""
    chassis: str = ""


def rows(
    place: tuple[str, str, str],
    who: Who,
    sightings: Iterable[Sighting],
    time_ms: int,
    source: str,
) -> list[Batch]:
    """Batches of one look around; `place` is (device, site, role)."""
    found = list({(each.port, each.heard): each for each in sightings}.values())
    n = len(found)
    batches = [
        Batch(
            source,
            time_ms,
            IDENTITY,
            (
                [time_ms],
                *([tag] for tag in place),
                [who.sys_name or None],
                [who.chassis or None],
            ),
        )
    ]
    if found:
        batches.append(
            Batch(
                source,
                time_ms,
                NEIGHBOUR,
                (
                    [time_ms] * n,
                    *([tag] * n for tag in place),
                    [each.port for each in found],
                    [each.heard for each in found],
                    *(
                        [getattr(each, name) or None for each in found]
                        for name in NEIGHBOUR.fields
                    ),
                ),
            )
        )
    return batches


def said(batch: Batch) -> Iterator[tuple[int, Sighting | Who]]:
    """(time in ms, what a row says); nothing of batches of other measurements."""
    devices, times = batch.tag("device"), batch.times_ms
    if batch.measurement == NEIGHBOUR.measurement:
        ports = batch.tag("port")
        names = NEIGHBOUR.fields
        columns = [batch.field(name) for name in names]
        for at, (time_ms, device, port) in enumerate(
            zip(times, devices, ports, strict=True)
        ):
            values = {n: str(c[at] or "") for n, c in zip(names, columns, strict=True)}
            yield time_ms, Sighting(device=device, port=port, **values)
    elif batch.measurement == IDENTITY.measurement:
        for time_ms, device, name, chassis in zip(
            times,
            devices,
            batch.field("sys_name"),
            batch.field("chassis"),
            strict=True,
        ):
            yield time_ms, Who(device, str(name or ""), str(chassis or ""))


def questions(from_ms: int, to_ms: int) -> tuple[Query, Query]:
    """What to ask a store for the last word of every device on every port."""
    hour_ms = 3_600_000
    return tuple(  # type: ignore[return-value]
        Query(
            schema.measurement,
            tuple(Pick(field, "last") for field in schema.fields),
            from_ms,
            to_ms,
            group_by=schema.tags,
            every_ms=hour_ms,
        )
        for schema in (NEIGHBOUR, IDENTITY)
    )


def answered(answers: Iterable[Row]) -> Iterator[tuple[int, Sighting | Who]]:
    """The rows of the answers to `questions`, each with the start of its hour."""
    for row in answers:
        values = {
            name.removesuffix("_last"): str(value) for name, value in row.values.items()
        }
        device = row.tags.get("device", "")
        if "heard" in row.tags:
            port = row.tags.get("port", "")
            yield row.time_ms or 0, Sighting(device=device, port=port, **values)
        else:
            yield row.time_ms or 0, Who(device, **values)
