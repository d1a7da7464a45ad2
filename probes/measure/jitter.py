"""Interarrival jitter (RFC 3550 section 6.4.1). Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

# Each packet moves the estimate by 1/16: after 50 packets it is within 4 % of its
# level.
WARM_UP = 50


def running(arrivals: Iterable[tuple[float, float]]) -> Iterator[float]:
    """J after each packet, in the unit of the times.

    `arrivals` are (sent, received) in order of arrival, including reordered and
    duplicate packets. The two clocks need not agree: only differences count.
    """
    estimate = 0.0
    before: float | None = None
    for sent, received in arrivals:
        transit = received - sent
        if before is not None:
            estimate += (abs(transit - before) - estimate) / 16
        before = transit
        yield estimate


def jitter(arrivals: Iterable[tuple[float, float]]) -> float | None:
    """One figure for a run; None below two packets.

    The RFC's J at the end of a run covers only its last third of a second. This is the
    mean of J after the warm-up, or J itself if the run is shorter.
    """
    estimates = list(running(arrivals))
    if len(estimates) < 2:
        return None
    settled = estimates[WARM_UP:]
    return math.fsum(settled) / len(settled) if settled else estimates[-1]
