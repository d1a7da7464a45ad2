"""How losses cluster: RFC 3611 burst and gap metrics, worst window, burst ratio. Pure.

A run is a sequence with one entry per packet sent: true if it was lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

GMIN = 16


class Bursts(NamedTuple):
    """RFC 3611 section 4.7.2. Densities are the shares of packets lost within bursts
    and within gaps; durations are means. All are 0 if there was no burst."""

    burst_density_ratio: float
    gap_density_ratio: float
    burst_ms: float
    gap_ms: float


class BurstCounts:
    """The model of RFC 3611 appendix A.2, packet by packet, in order of sending.

    A burst starts and ends with a loss and has fewer than `gmin` packets received in a
    row in between. A single loss far from others belongs to a gap. c_ij counts the
    transitions between the four states: 1 gap, received; 2 burst, received; 3 burst,
    lost; 4 gap, lost.
    """

    __slots__ = (
        *("_c11", "_c13", "_c14", "_c22", "_c23", "_c33"),
        *("_gmin", "_good", "_run", "losses", "packets", "runs"),
    )

    def __init__(self, gmin: int = GMIN) -> None:
        self._gmin = gmin
        self._c11 = self._c13 = self._c14 = 0
        self._c22 = self._c23 = self._c33 = 0
        self._good = self._run = 0
        # All packets, those lost, and the runs that those lost form.
        self.packets = self.losses = self.runs = 0

    def receive(self, packets: int = 1) -> None:
        """Counts packets received in a row."""
        self.packets += packets
        self._good += packets

    def lose(self) -> None:
        """Counts one packet that was lost."""
        self.runs += self._good > 0 or self.packets == 0
        self.packets += 1
        self.losses += 1
        good, self._good = self._good, 0
        if good >= self._gmin:
            if self._run == 1:
                self._c14 += 1
            else:
                self._c13 += 1
            self._run = 1
            self._c11 += good
            return
        self._run += 1
        if good == 0:
            self._c33 += 1
        else:
            self._c23 += 1
            self._c22 += good - 1

    @property
    def has_bursts(self) -> bool:
        """Whether any losses are close together. The model takes the last loss of all
        for a burst, as others might still follow it."""
        return self._c23 + self._c33 > 0

    def figures(self, packet_ms: float) -> Bursts:
        """The metrics so far; a packet holds `packet_ms` of sound."""
        c11, c13, c14 = self._c11, self._c13, self._c14
        c22, c23, c33 = self._c22, self._c23, self._c33
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

    def ratio(self) -> float:
        """BurstR of ITU-T G.107: the mean length of a run of losses divided by the
        length expected for random loss at the same rate; at least 1."""
        if not 0 < self.losses < self.packets:
            return 1.0
        return max(1.0, self.losses / self.runs * (1 - self.losses / self.packets))


def count_bursts(lost: Iterable[bool], gmin: int = GMIN) -> BurstCounts:
    """Counts a whole run."""
    counts = BurstCounts(gmin)
    for gone in lost:
        if gone:
            counts.lose()
        else:
            counts.receive()
    return counts


def bursts(lost: Sequence[bool], packet_ms: float, gmin: int = GMIN) -> Bursts:
    """The metrics of RFC 3611 section 4.7.2 of one run."""
    return count_bursts(lost, gmin).figures(packet_ms)


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
    """BurstR of ITU-T G.107 of one run; at least 1."""
    return count_bursts(lost).ratio()
