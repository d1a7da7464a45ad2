"""Headings of what Microsoft's portals export. Pure."""

from __future__ import annotations

from collections.abc import Mapping

# The PowerShell module puts the table before the name, Power BI how it was summed.
_PREFIXES = ("", "allstreams", "measures", "sumof")


def by_heading(names: Mapping[str, str]) -> dict[str, str]:
    """Returns our column name by each heading, from the headings of each name."""
    return {
        prefix + word: name
        for name, words in names.items()
        for word in words.split()
        for prefix in _PREFIXES
    }
