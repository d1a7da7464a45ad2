"""Devices of either side in common terms, ready to be compared. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

import msgspec

from collectors.snmp.polling.device_facts import DeviceFacts
from collectors.store.query import Pick, Query, Row

HOUR_MS = 3_600_000


class ComparedPort(msgspec.Struct, frozen=True):
    """`name` is shown; any of `names` (in lower case) identifies the port."""

    name: str
    names: frozenset[str]

    @staticmethod
    def from_names(*names: str | None) -> ComparedPort:
        known = [name for name in names if name]
        return ComparedPort(
            known[0] if known else "", frozenset(name.lower() for name in known)
        )


class ComparedSensor(msgspec.Struct, frozen=True):
    """`oid` is numeric without a leading dot, and empty if unknown."""

    kind: str
    descr: str
    oid: str = ""

    @property
    def words(self) -> frozenset[str]:
        return _words(self.descr)

    @property
    def plain(self) -> str:
        return _plain(self.descr)


@lru_cache(100_000)
def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]+|\d+", text.lower()))


@lru_cache(100_000)
def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


class ComparedDevice(msgspec.Struct):
    """The ports and sensors that one side has of a device."""

    ports: list[ComparedPort] = []
    sensors: list[ComparedSensor] = []


def store_queries(from_ms: int, to_ms: int) -> tuple[Query, Query, Query]:
    """Return queries for the devices that answered, their ports and their sensors."""

    def query(measurement: str, picks: tuple[Pick, ...], *by: str) -> Query:
        return Query(measurement, picks, from_ms, to_ms, group_by=by)

    # A state sensor may have a text and no value.
    values = (Pick("value", "count"), Pick("state", "count"))
    return (
        query("device", (Pick("up", "max"),), "device"),
        query("interface", (Pick("expected_up", "count"),), "device", "port"),
        query("sensor", values, "device", "class", "sensor"),
    )


def from_store(
    devices: Iterable[Row], ports: Iterable[Row], sensors: Iterable[Row]
) -> dict[str, ComparedDevice]:
    """Return the stored devices by id, without devices that did not answer."""
    compared = {
        row.tags["device"]: ComparedDevice()
        for row in devices
        if row.values.get("up_max") == 1
    }
    for row in ports:
        if row.tags["device"] in compared:
            compared[row.tags["device"]].ports.append(
                ComparedPort.from_names(row.tags["port"])
            )
    for row in sensors:
        if row.tags["device"] in compared:
            compared[row.tags["device"]].sensors.append(
                ComparedSensor(row.tags["class"], row.tags["sensor"])
            )
    return compared


def from_facts(facts: DeviceFacts) -> ComparedDevice:
    """Convert the facts of one poll."""
    return ComparedDevice(
        [
            ComparedPort.from_names(
                port.key, port.name, port.descr, f"if{port.if_index}"
            )
            for port in facts.ports
        ],
        [
            ComparedSensor(sensor.class_, sensor.descr, sensor.oid or "")
            for sensor in facts.sensors
        ],
    )


def from_librenms(
    ports: Iterable[Mapping[str, object]], sensors: Iterable[Mapping[str, object]]
) -> ComparedDevice:
    """Convert LibreNMS' rows of one device, without deleted and disabled ones."""

    def text(row: Mapping[str, object], key: str) -> str:
        return str(row.get(key) or "").strip()

    def is_set(row: Mapping[str, object], key: str) -> bool:
        return str(row.get(key) or "0") not in ("0", "False")

    return ComparedDevice(
        [
            ComparedPort.from_names(
                text(row, "ifName") or text(row, "ifDescr"),
                text(row, "ifName"),
                text(row, "ifDescr"),
                f"if{text(row, 'ifIndex')}",
            )
            for row in ports
            if not (is_set(row, "deleted") or is_set(row, "disabled"))
        ],
        [
            ComparedSensor(
                text(row, "sensor_class"),
                text(row, "sensor_descr"),
                text(row, "sensor_oid").lstrip("."),
            )
            for row in sensors
            if not is_set(row, "sensor_deleted")
        ],
    )
