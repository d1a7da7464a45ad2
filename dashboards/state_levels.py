"""How urgent a state is, and how full a line may be. Pure."""

from __future__ import annotations

from typing import Literal

Level = Literal["ok", "warn", "bad", "none"]
# The most urgent first. That nothing is known is more urgent than that all is well.
LEVEL_ORDER: dict[Level, int] = {"bad": 0, "warn": 1, "none": 2, "ok": 3}
# Of what a line carries.
BUSY_RATIO, FULL_RATIO = 0.85, 0.95


def use_level(ratio: float | None) -> Level:
    """Returns how full a line is."""
    if ratio is None:
        return "none"
    return "bad" if ratio > FULL_RATIO else "warn" if ratio > BUSY_RATIO else "ok"
