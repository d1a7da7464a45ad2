"""NetBox's objects, and readers of them that work for all its versions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

Object = Mapping[str, Any]
# Statuses of things that are not in service, and so not polled.
ABSENT = (
    "planned",
    "staged",
    "inventory",
    "decommissioning",
    "retired",
    "deprovisioning",
)


class NetBoxData(msgspec.Struct):
    """The lists of objects that the API returned."""

    sites: list[Object] = []
    locations: list[Object] = []
    prefixes: list[Object] = []
    devices: list[Object] = []
    chassis: list[Object] = []
    circuits: list[Object] = []
    terminations: list[Object] = []
    paths: dict[int, list[Object]] = {}


def get_site_id(
    item: Object, kind: str, target: str, location_sites: Mapping[int, int]
) -> int | None:
    """Return the NetBox id of the item's site; None for wider scopes (a region).

    NetBox 3 gives `site`; 4.2 and later give a kind and a target, which may be a
    location in the site.
    """
    site = item.get("site")
    if isinstance(site, Mapping):
        return site.get("id") if isinstance(site.get("id"), int) else None
    scope = item.get(target)
    id = scope.get("id") if isinstance(scope, Mapping) else item.get(f"{target}_id")
    if not isinstance(id, int):
        return None
    if item.get(kind) == "dcim.location":
        return location_sites.get(id)
    return id if item.get(kind) == "dcim.site" else None


def choice_value(choice: Any) -> str:
    """Return the value of a choice, given as `{"value": "active", …}` or as text."""
    if isinstance(choice, Mapping):
        choice = choice.get("value")
    return str(choice or "").lower()


def clean_text(value: Any) -> str:
    return " ".join(str(value).split()) if value not in (None, "") else ""
