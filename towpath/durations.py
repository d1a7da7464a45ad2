"""Spans of time as people write them: `90s`, `10m`, `2h`, `30d`."""

from __future__ import annotations

import re

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def seconds(text: str) -> float:
    """`90s` as 90.0; `ValueError` says what was expected."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if not found:
        raise ValueError(f"{text!r} is not a span of time, expected 90s, 10m, 2h or 1d")
    return float(found[1]) * _UNITS[found[2] or "s"]
