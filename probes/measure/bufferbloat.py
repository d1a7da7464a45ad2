"""How much a busy line keeps everybody else waiting: the grade of the round trip's
increase under load. Pure."""

from __future__ import annotations

# Increase in ms below which a grade is given: the bands of the dslreports speed test.
_BANDS = ((5.0, "A+"), (30.0, "A"), (60.0, "B"), (200.0, "C"), (400.0, "D"))


def grade(idle_ms: float, down_ms: float, up_ms: float) -> str:
    """A+ to F, by the mean increase of both directions over the idle round trip."""
    increase_ms = (down_ms + up_ms) / 2 - idle_ms
    return next((grade for most, grade in _BANDS if increase_ms < most), "F")


def responsiveness_rpm(loaded_ms: float) -> float:
    """Round trips a minute under load. The unit of "RPM" (draft-ietf-ippm-
    responsiveness), not its method: one flow of load, and TCP's handshake only."""
    return 60_000 / loaded_ms
