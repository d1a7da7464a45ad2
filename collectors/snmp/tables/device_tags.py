"""`DeviceTags`: the tags of every row about one device."""

from __future__ import annotations

import msgspec


class DeviceTags(msgspec.Struct, frozen=True):
    """The device, its site and its role: the tags of its rows."""

    device: str
    site: str
    role: str
