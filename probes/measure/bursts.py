"""How losses cluster: RFC 3611 burst and gap metrics, worst window, burst ratio. Pure.

A run is a sequence with one entry per packet sent: true if it was lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

GMIN = 16


class Bursts(NamedTuple):
    """RFC 3611 section 4.7.2. Densities are the shares of packets lost within bursts
    and within gaps; durations are means. All are 0 if there was no burst."""

    burst_density_ratio: float
    gap_density_ratio: float
    burst_ms: float
    gap_ms: float


def bursts(lost: Sequence[bool], packet_ms: float, gmin: int = GMIN) -> Bursts:
    """Applies the model of RFC 3611 appendix A.2 to one run.

    A burst starts and ends with a loss and has fewer than `gmin` packets received in a
    row in between. A single loss far from others belongs to a gap. c_ij counts the
    transitions between the four states: 1 gap, received; 2 burst, received; 3 burst,
    lost; 4 gap, lost.
    """
    c11 = c13 = c14 = c22 = c23 = c33 = 0
    good = run = 0
    for gone in lost:
        if not gone:
            good += 1
            continue
        if good >= gmin:
            if run == 1:
                c14 += 1
            else:
                c13 += 1
            run = 1
            c11 += good
        else:
            run += 1
            if good == 0:
                c33 += 1
            else:
                c23 += 1
                c22 += good - 1
        good = 0
    c31, c32 = c13, c23
    total = c11 + c14 + c13 + c22 + c23 + c31 + c32 + c33
    leave = c31 + c32 + c33
    p32 = c32 / leave if leave else 0.0
    p23 = 1.0 if c22 + c23 < 1 else 1 - c22 / (c22 + c23)
    gap_ms = (c11 + c14 + c13) * packet_ms / max(c13, 1)
    return Bursts(
        # Without a loss inside a burst there is no burst.
        burst_density_ratio=p23 / (p23 + p32) if leave else 0.0,
        gap_density_ratio=c14 / (c11 + c14) if c11 + c14 else 0.0,
        burst_ms=total * packet_ms / c13 - gap_ms if c13 else 0.0,
        gap_ms=gap_ms,
    )


def worst_window(lost: Sequence[bool], packets: int) -> int:
    """The most packets lost in any `packets` sent in a row."""
    packets = max(1, packets)
    worst = in_window = 0
    for at, gone in enumerate(lost):
        in_window += gone
        if at >= packets:
            in_window -= lost[at - packets]
        worst = max(worst, in_window)
    return worst


def burst_ratio(lost: Sequence[bool]) -> float:
    """BurstR of ITU-T G.107: the mean length of a run of losses divided by the length
    expected for random loss at the same rate; at least 1."""
    gone = sum(lost)
    if not 0 < gone < len(lost):
        return 1.0
    runs = sum(
        1 for at, gone in enumerate(lost) if gone and (at == 0 or not lost[at - 1])
    )
    return max(1.0, gone / runs * (1 - gone / len(lost)))
