"""`DeviceTags`: the tags of every row about one device."""

from __future__ import annotations

import msgspec

from collectors.estate.estate_model import Device


class DeviceTags(msgspec.Struct, frozen=True):
    """The device, its site and its role: the tags of its rows. `name` is for people."""

    device: str
    site: str
    role: str
    name: str = ""

    @classmethod
    def of(cls, device: Device) -> DeviceTags:
        return cls(device.id, device.site, device.role, device.name or device.id)
