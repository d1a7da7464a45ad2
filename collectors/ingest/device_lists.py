"""Lists of the devices that a council manages, compared with the laptops that enrolled.

Reads what Intune exports (CSV) and what Microsoft Graph answers (JSON: managed devices,
or the devices of Entra, which have no serial numbers). Serial numbers are compared by
their keyed hash; nothing of a list is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from collectors.csv_sheet import NotCsv, read_sheet
from collectors.ingest.registry_records import EnrolledAgent
from probes.wire.machine_number import known_number

MAX_BYTES = 50_000_000
# Our column names, and the headings and keys found elsewhere (letters and digits only).
_COLUMN_NAMES = {
    "serial": "serialnumber serial serialno serviceTag devicesn assetserialnumber",
    "name": "devicename displayname name hostname computername managedDeviceName",
    "system": "os operatingsystem platform osdescription deviceostype",
    "seen": "lastcheckin lastsyncdatetime lastcontact approximatelastsignindatetime "
    "activity lastseen",
}
_COLUMNS = {
    word.lower(): key for key, words in _COLUMN_NAMES.items() for word in words.split()
}
# The agent runs on none of these.
_HAND_HELD = ("ios", "ipados", "iphone", "ipad", "android", "windowsphone")


class ListedDevice(msgspec.Struct, frozen=True):
    """One line of a list; each text may be empty."""

    serial: str
    name: str
    system: str
    seen: str


class DeviceListRefused(ValueError):
    """The list cannot be used; the text says why."""


class DeviceComparison(msgspec.Struct, frozen=True):
    """`matched`: laptops on the list. `missing`: devices of the list that no laptop is.
    `unlisted`: laptops whose number is not on the list. `without_number`: devices of
    the list, and laptops, that cannot be compared. `hand_held`: left out."""

    matched: tuple[EnrolledAgent, ...]
    missing: tuple[ListedDevice, ...]
    unlisted: tuple[EnrolledAgent, ...]
    devices_without_number: int
    laptops_without_number: int
    hand_held: int

    @property
    def expected(self) -> int:
        return len(self.matched) + len(self.missing) + self.devices_without_number

    @property
    def has_no_numbers(self) -> bool:
        """Whether nothing can be compared: Entra's own list has no serial numbers, and
        a column with another heading is not known."""
        return 0 < self.expected == self.devices_without_number


def read_device_file(path: Path) -> list[ListedDevice]:
    """The devices of a file, of which no more is read than a list may have.

    Raises `OSError` and `DeviceListRefused`."""
    with path.open("rb") as file:
        return read_device_list(file.read(MAX_BYTES + 1))


def read_device_list(content: bytes) -> list[ListedDevice]:
    """The devices of a list. Raises `DeviceListRefused`. Pure."""
    if len(content) > MAX_BYTES:
        raise DeviceListRefused(f"it is larger than {MAX_BYTES // 1_000_000} MB")
    start = content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    rows = _json_rows(content) if start in (b"[", b"{") else _csv_rows(content)
    return [
        ListedDevice(
            row.get("serial", ""),
            row.get("name", ""),
            row.get("system", ""),
            row.get("seen", ""),
        )
        for row in rows
    ]


def compare_devices(
    devices: Iterable[ListedDevice],
    agents: Sequence[EnrolledAgent],
    hash_of: Callable[[str], str],
) -> DeviceComparison:
    """Compares a list with the laptops that count. `hash_of` returns what the registry
    has of a serial number. Pure."""
    listed: dict[str, ListedDevice] = {}
    hand_held = without_number = 0
    for device in devices:
        system = device.system.lower().replace(" ", "")
        if system.startswith(_HAND_HELD):
            hand_held += 1
        elif not known_number(device.serial):
            without_number += 1
        else:
            # A device that was enrolled in Intune twice is one device.
            listed.setdefault(hash_of(device.serial), device)
    counting = [agent for agent in agents if agent.counts]
    numbered = {agent.machine for agent in counting if agent.machine}
    return DeviceComparison(
        matched=tuple(agent for agent in counting if agent.machine in listed),
        missing=tuple(
            device for machine, device in listed.items() if machine not in numbered
        ),
        unlisted=tuple(
            agent for agent in counting if agent.machine and agent.machine not in listed
        ),
        devices_without_number=without_number,
        laptops_without_number=sum(not agent.machine for agent in counting),
        hand_held=hand_held,
    )


def _csv_rows(content: bytes) -> Sequence[dict[str, str]]:
    try:
        sheet = read_sheet(content, _COLUMNS)
    except NotCsv as error:
        raise DeviceListRefused(f"it is not CSV: line {error}") from None
    if not sheet.columns & {"serial", "name"}:
        headings = ", ".join(sheet.headings[:8]) or "none"
        raise DeviceListRefused(
            f"none of its columns ({headings}) is known; expected an export of Intune "
            "with Serial number, Device name, OS"
        )
    return sheet.rows


def _json_rows(content: bytes) -> list[dict[str, str]]:
    try:
        answer = msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DeviceListRefused(f"it is not JSON: {error}") from None
    if isinstance(answer, dict):
        if answer.get("@odata.nextLink"):
            raise DeviceListRefused(
                "it is one page of several (@odata.nextLink): join them first"
            )
        answer = answer.get("value")
    if not isinstance(answer, list):
        raise DeviceListRefused(
            "expected a list of devices, or Graph's answer with such a list in value"
        )
    rows = []
    for entry in answer:
        if not isinstance(entry, dict):
            raise DeviceListRefused(f"expected devices, found {entry!r:.40}")
        row: dict[str, str] = {}
        for key, value in entry.items():
            name = _COLUMNS.get(key.lower())
            if name is not None and isinstance(value, str) and value.strip():
                row.setdefault(name, " ".join(value.split()))
        if row:
            rows.append(row)
    return rows
