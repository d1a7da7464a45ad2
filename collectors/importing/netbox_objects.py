"""What NetBox answered, and what its objects share over its versions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

Object = Mapping[str, Any]
# Not there yet, or no longer: not ours to poll.
ABSENT = (
    "planned",
    "staged",
    "inventory",
    "decommissioning",
    "retired",
    "deprovisioning",
)


class NetBoxData(msgspec.Struct):
    """What the API answered, a list of objects each."""

    sites: list[Object] = []
    locations: list[Object] = []
    prefixes: list[Object] = []
    devices: list[Object] = []
    chassis: list[Object] = []
    circuits: list[Object] = []
    terminations: list[Object] = []
    paths: dict[int, list[Object]] = {}


def site_of(
    thing: Object, kind: str, target: str, homes: Mapping[int, int]
) -> int | None:
    """The site's number. Version 3 gives `site`; 4.2 and later give a kind and a
    target, which may be a location in the site. None for wider scopes (a region)."""
    site = thing.get("site")
    if isinstance(site, Mapping):
        return site.get("id") if isinstance(site.get("id"), int) else None
    there = thing.get(target)
    number = (
        there.get("id") if isinstance(there, Mapping) else thing.get(f"{target}_id")
    )
    if not isinstance(number, int):
        return None
    if thing.get(kind) == "dcim.location":
        return homes.get(number)
    return number if thing.get(kind) == "dcim.site" else None


def value_of(choice: Any) -> str:
    """A choice as its word: `{"value": "active", …}`, or plain."""
    if isinstance(choice, Mapping):
        choice = choice.get("value")
    return str(choice or "").lower()


def text_of(value: Any) -> str:
    return " ".join(str(value).split()) if value not in (None, "") else ""
