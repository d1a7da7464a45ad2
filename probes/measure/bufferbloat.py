"""Bufferbloat: a grade for how much the round trip grows under load. Pure."""

from __future__ import annotations

# Grades by the increase in ms, each below its limit: the dslreports speed test's bands.
_BANDS = ((5.0, "A+"), (30.0, "A"), (60.0, "B"), (200.0, "C"), (400.0, "D"))


def grade(idle_ms: float, down_ms: float, up_ms: float) -> str:
    """A+ to F, from the mean increase of both directions over the idle round trip."""
    increase_ms = (down_ms + up_ms) / 2 - idle_ms
    return next((grade for limit_ms, grade in _BANDS if increase_ms < limit_ms), "F")


def responsiveness_rpm(loaded_ms: float) -> float:
    """Round trips per minute under load. The unit is that of draft-ietf-ippm-
    responsiveness ("RPM"), the method is not: one loading flow, TCP handshakes only."""
    return 60_000 / loaded_ms
