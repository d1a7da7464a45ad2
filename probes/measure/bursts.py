"""How losses gather: RFC 3611 burst and gap metrics, worst window, burst ratio. Pure.

A run is a sequence with one entry per packet sent: true where it was lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

GMIN = 16


class Bursts(NamedTuple):
    """RFC 3611 section 4.7.2. Densities are shares of packets lost within bursts and
    within gaps; durations are means. All are 0 where there was no burst."""

    burst_density_ratio: float
    gap_density_ratio: float
    burst_ms: float
    gap_ms: float


def bursts(lost: Sequence[bool], packet_ms: float, gmin: int = GMIN) -> Bursts:
    """The model of RFC 3611 appendix A.2 over one run.

    A burst starts and ends with a loss, with fewer than `gmin` packets received in
    a row between; a single loss far from others belongs to a gap. c_ij counts the
    transitions of its four states: 1 gap, received; 2 burst, received; 3 burst, lost;
    4 gap, lost.
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
        # Without a loss inside a burst there is no burst to speak of.
        burst_density_ratio=p23 / (p23 + p32) if leave else 0.0,
        gap_density_ratio=c14 / (c11 + c14) if c11 + c14 else 0.0,
        burst_ms=total * packet_ms / c13 - gap_ms if c13 else 0.0,
        gap_ms=gap_ms,
    )


def worst_window(lost: Sequence[bool], packets: int) -> int:
    """Most packets lost in any `packets` sent in a row."""
    packets = max(1, packets)
    worst = inside = 0
    for at, gone in enumerate(lost):
        inside += gone
        if at >= packets:
            inside -= lost[at - packets]
        worst = max(worst, inside)
    return worst


def burst_ratio(lost: Sequence[bool]) -> float:
    """BurstR of ITU-T G.107: the mean length of a run of losses over the length
    expected of random loss at the same rate; at least 1."""
    gone = sum(lost)
    if not 0 < gone < len(lost):
        return 1.0
    runs = sum(
        1 for at, each in enumerate(lost) if each and (at == 0 or not lost[at - 1])
    )
    return max(1.0, gone / runs * (1 - gone / len(lost)))
