"""LibreNMS' side, from its API (v0)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from collectors.comparing.differences import Other
from collectors.comparing.side import ComparedDevice, from_librenms
from collectors.importing.librenms import address_of, listed
from collectors.importing.rest_client import Api

_COLUMNS = "ifName,ifDescr,ifIndex,deleted,disabled"
_AT_ONCE = 4


async def devices(api: Api) -> list[Other]:
    """The devices it polls. Raises `Trouble`."""
    found = []
    for each in await listed(api, "/api/v0/devices?type=all", "devices"):
        if each.get("disabled") in (1, "1", True):
            continue
        number = str(each.get("device_id") or "")
        names = [str(each.get(key) or "") for key in ("sysName", "hostname", "display")]
        shown = next((name for name in names if name), number)
        if number.isdigit():
            said = tuple(dict.fromkeys(name for name in names if name))
            found.append(Other(int(number), shown, said, address_of(each) or ""))
    return found


async def seen(
    api: Api, others: Sequence[Other], done: Callable[[], None]
) -> dict[int, ComparedDevice]:
    """What it has of each; `done` is called as each ends. Raises `Trouble`."""
    sensors: dict[int, list[Mapping[str, Any]]] = {}
    for row in await listed(api, "/api/v0/resources/sensors", "sensors"):
        number = str(row.get("device_id") or "")
        if number.isdigit():
            sensors.setdefault(int(number), []).append(row)
    found: dict[int, ComparedDevice] = {}
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(other: Other) -> None:
        async with slots:
            # By its number: a host name need not be one for an URL.
            path = f"/api/v0/devices/{quote(str(other.key))}/ports?columns={_COLUMNS}"
            ports = await listed(api, path, "ports")
        found[other.key] = from_librenms(ports, sensors.get(other.key, ()))
        done()

    await asyncio.gather(*(one(other) for other in others))
    return found
