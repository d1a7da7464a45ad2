"""`DeviceTags`: the tags of every row about one device."""

from __future__ import annotations

import msgspec


class DeviceTags(msgspec.Struct, frozen=True):
    """Who and where the device is: the tags of its rows."""

    device: str
    site: str
    role: str
