"""A switch to which things happen, in its own time: for rates that must be true."""

from __future__ import annotations

import random

from towpath.demo import snmp_messages
from towpath.demo.simulated_switches import SimulatedPort, SimulatedSwitch

_IF_X = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1)
_HC = (6, 7, 8, 9, 10, 11, 12, 13)
_DISCONTINUITY = 19
_SYS_UP_TIME = (1, 3, 6, 1, 2, 1, 1, 3, 0)


class Clock:
    """A clock that a test moves on; no test waits for it."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


class Meter(SimulatedPort):
    """A port that remembers what truly passed in, whatever becomes of its counters.

    `reads` are the moments its counters were read at since they were taken: (seconds,
    octets that had passed).
    """

    def __init__(self, clock: Clock, index: int, name: str, speed_bps: int) -> None:
        super().__init__(index, name, speed_bps=speed_bps)
        self._clock = clock
        self._start = self._reset_at = 0
        self.discontinuity_ticks = 0
        self.reads: list[tuple[float, int]] = []

    @property
    def passed(self) -> int:
        return super().in_octets

    def count_from(self, start: int) -> None:
        """Its counter begins anew."""
        self.advance(self._clock())
        self._start, self._reset_at = start, self.passed

    def reset(self) -> None:
        self.count_from(0)
        self.discontinuity_ticks = 0

    @property
    def in_octets(self) -> int:
        self.reads.append((self._clock(), self.passed))
        return self._start + self.passed - self._reset_at

    @property
    def out_octets(self) -> int:
        # As much goes out as comes in.
        return self._start + self.passed - self._reset_at

    def take_reads(self) -> list[tuple[float, int]]:
        taken, self.reads = self.reads, []
        return taken


class EventfulSwitch(SimulatedSwitch):
    """Answers in `clock`'s time over a network that loses, doubles and delays.

    `wide`: it has 64-bit counters; `timed`: it has sysUpTime; `telling`: it keeps
    ifTableLastChange. `lose`, `twice` and `hold` are shares of the answers that never
    come, come two times, or come with the next one. An answer takes `work_s` until the
    counters are read, and `way_s` back.
    """

    lose = twice = hold = 0.0
    work_s = way_s = 0.0

    def __init__(
        self,
        clock: Clock,
        ports: list[Meter],
        *,
        wide: bool = True,
        timed: bool = True,
        telling: bool = True,
        seed: int = 0,
    ) -> None:
        self.clock, self.meters = clock, ports
        self.wide, self.timed, self._telling = wide, timed, telling
        self._dice = random.Random(seed)
        self._held: list[bytes] = []
        super().__init__("eventful", ports, monotonic_s=clock)

    def rebuild(self) -> None:
        super().rebuild()
        gone = set()
        if not self.timed:
            gone.add(_SYS_UP_TIME)
        if not self._telling:
            gone.add((1, 3, 6, 1, 2, 1, 31, 1, 5, 0))
        for port in self.meters:
            row = (*_IF_X, _DISCONTINUITY, port.index)
            self._values[snmp_messages.oid_content(row)] = lambda p=port: (
                snmp_messages.ticks(  # type: ignore[misc]
                    p.discontinuity_ticks
                )
            )
            if not self.wide:
                gone |= {(*_IF_X, column, port.index) for column in _HC}
        self._rows = [row for row in self._rows if row not in gone]
        for row in gone:
            self._values.pop(snmp_messages.oid_content(row), None)

    def answer(self, data: bytes) -> list[bytes]:
        self.clock.now_s += self.work_s
        answers = super().answer(data)
        self.clock.now_s += self.way_s
        dice = self._dice.random()
        if dice < self.lose:
            return []
        if dice < self.lose + self.hold:
            self._held += answers
            return []
        late, self._held = self._held, []
        return late + answers * (2 if dice > 1 - self.twice else 1)

    def run(self, seconds: float, shares: list[float]) -> None:
        """Time passes; each port carries its share of what it can."""
        for port, share in zip(self.meters, shares, strict=True):
            port.advance(self.clock())
            port.set_rate(port.speed_bps * share, 0)
        self.clock.now_s += seconds
        for port in self.meters:
            port.advance(self.clock())

    def renumber(self) -> None:
        """Other ifIndexes; the names stay."""
        indexes = [port.index for port in self.meters]
        for port, index in zip(self.meters, indexes[1:] + indexes[:1], strict=True):
            port.index = index
        self.table_changed()

    def clear(self, port: Meter) -> None:
        """Counters cleared at the console, announced as RFC 2863 asks."""
        port.count_from(0)
        port.discontinuity_ticks = self.uptime_ticks

    def swap(self, port: Meter, start: int, speed_bps: int) -> None:
        """Another module under the same name, with counters of its own."""
        port.count_from(start)
        port.speed_bps = speed_bps
