"""Fetches LibreNMS' devices, ports and sensors from its API (v0)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from collectors.comparing.compared_device import ComparedDevice, from_librenms
from collectors.comparing.differences import OtherDevice
from collectors.importing.librenms import device_address, fetch_list
from collectors.importing.rest_client import RestClient

_COLUMNS = "ifName,ifDescr,ifIndex,deleted,disabled"
_AT_ONCE = 4


async def fetch_devices(api: RestClient) -> list[OtherDevice]:
    """Fetch the devices that LibreNMS polls. Raises `SourceError`."""
    devices = []
    for row in await fetch_list(api, "/api/v0/devices?type=all", "devices"):
        if row.get("disabled") in (1, "1", True):
            continue
        number = str(row.get("device_id") or "")
        values = [str(row.get(key) or "") for key in ("sysName", "hostname", "display")]
        names = tuple(dict.fromkeys(value for value in values if value))
        if number.isdecimal():
            name = names[0] if names else number
            address = device_address(row) or ""
            devices.append(OtherDevice(int(number), name, names, address))
    return devices


async def fetch_contents(
    api: RestClient, others: Sequence[OtherDevice], done: Callable[[], None]
) -> dict[int, ComparedDevice]:
    """Fetch the ports and sensors of each device by key; call `done` after each.

    Raises `SourceError`.
    """
    sensors: dict[int, list[Mapping[str, Any]]] = {}
    for row in await fetch_list(api, "/api/v0/resources/sensors", "sensors"):
        number = str(row.get("device_id") or "")
        if number.isdecimal():
            sensors.setdefault(int(number), []).append(row)
    devices: dict[int, ComparedDevice] = {}
    slots = asyncio.Semaphore(_AT_ONCE)

    async def fetch_device(other: OtherDevice) -> None:
        async with slots:
            # The device id, because a host name may not be safe in a URL.
            path = f"/api/v0/devices/{quote(str(other.key))}/ports?columns={_COLUMNS}"
            ports = await fetch_list(api, path, "ports")
        devices[other.key] = from_librenms(ports, sensors.get(other.key, ()))
        done()

    await asyncio.gather(*(fetch_device(other) for other in others))
    return devices
