"""What one side sees, in common terms. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

import msgspec

from collectors.snmp.polling.device_facts import DeviceFacts
from collectors.store.query import Pick, Query, Row

HOUR_MS = 3_600_000


class ComparedPort(msgspec.Struct, frozen=True):
    """`name` is what it is shown as; `names` all it may be called."""

    name: str
    names: frozenset[str]

    @staticmethod
    def called(*names: str | None) -> ComparedPort:
        said = [name for name in names if name]
        return ComparedPort(
            said[0] if said else "", frozenset(each.lower() for each in said)
        )


class ComparedSensor(msgspec.Struct, frozen=True):
    """`oid` is numeric, without a leading dot, and empty where it is not known."""

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
    """What is seen of one device."""

    ports: list[ComparedPort] = []
    sensors: list[ComparedSensor] = []


def questions(from_ms: int, to_ms: int) -> tuple[Query, Query, Query]:
    """For the store: which devices answered, their ports, their sensors."""

    def ask(measurement: str, picks: tuple[Pick, ...], *by: str) -> Query:
        return Query(measurement, picks, from_ms, to_ms, group_by=by)

    # A state may be nothing but a text.
    said = (Pick("value", "count"), Pick("state", "count"))
    return (
        ask("device", (Pick("up", "max"),), "device"),
        ask("interface", (Pick("expected_up", "count"),), "device", "port"),
        ask("sensor", said, "device", "class", "sensor"),
    )


def from_store(
    devices: Iterable[Row], ports: Iterable[Row], sensors: Iterable[Row]
) -> dict[str, ComparedDevice]:
    """By device what was stored; devices that did not answer are left out."""
    found = {
        row.tags["device"]: ComparedDevice()
        for row in devices
        if row.values.get("up_max") == 1
    }
    for row in ports:
        if row.tags["device"] in found:
            found[row.tags["device"]].ports.append(
                ComparedPort.called(row.tags["port"])
            )
    for row in sensors:
        if row.tags["device"] in found:
            found[row.tags["device"]].sensors.append(
                ComparedSensor(row.tags["class"], row.tags["sensor"])
            )
    return found


def from_facts(facts: DeviceFacts) -> ComparedDevice:
    """What one poll brought."""
    return ComparedDevice(
        [
            ComparedPort.called(each.key, each.name, each.descr, f"if{each.if_index}")
            for each in facts.ports
        ],
        [
            ComparedSensor(each.class_, each.descr, each.oid or "")
            for each in facts.sensors
        ],
    )


def from_librenms(
    ports: Iterable[Mapping[str, object]], sensors: Iterable[Mapping[str, object]]
) -> ComparedDevice:
    """What LibreNMS has of one device, without what it has stopped looking at."""

    def said(row: Mapping[str, object], key: str) -> str:
        return str(row.get(key) or "").strip()

    def is_set(row: Mapping[str, object], key: str) -> bool:
        return str(row.get(key) or "0") not in ("0", "False")

    return ComparedDevice(
        [
            ComparedPort.called(
                said(row, "ifName") or said(row, "ifDescr"),
                said(row, "ifName"),
                said(row, "ifDescr"),
                f"if{said(row, 'ifIndex')}",
            )
            for row in ports
            if not (is_set(row, "deleted") or is_set(row, "disabled"))
        ],
        [
            ComparedSensor(
                said(row, "sensor_class"),
                said(row, "sensor_descr"),
                said(row, "sensor_oid").lstrip("."),
            )
            for row in sensors
            if not is_set(row, "sensor_deleted")
        ],
    )
