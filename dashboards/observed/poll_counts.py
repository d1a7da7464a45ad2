"""Counts of polls by hour and day: whether a device answered all, some or none."""

from __future__ import annotations

from dataclasses import dataclass

from dashboards.observed.poll_history import ObservedPiece
from dashboards.observed.time_spans import Span

DeviceKey = tuple[str, str]
"""(site, device)"""

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True)
class Subjects:
    """What is polled: rows of `measurement`, named by their tag `tag`."""

    measurement: str = "device"
    tag: str = "device"


class PollCount:
    """The polls of one device in one hour or day.

    `share`: how much of that time they cover.
    """

    __slots__ = ("answered", "polls", "share")

    def __init__(self, polls: int, answered: int, due: int) -> None:
        self.polls, self.answered = polls, answered
        self.share = min(1.0, polls / max(1, due))

    @property
    def is_mixed(self) -> bool:
        return 0 < self.answered < self.polls

    @property
    def is_up(self) -> bool:
        """Always answered, without a gap."""
        return self.answered == self.polls and self.share == 1.0

    def pieces(self, span: Span) -> list[ObservedPiece]:
        """Returns the pieces by the count of polls alone."""
        shares = {True: self.answered, False: self.polls - self.answered}
        return [
            ObservedPiece(*span, up, self.share * polls / self.polls)
            for up, polls in shares.items()
            if polls
        ]


ALWAYS = PollCount(1, 1, 1)
"""The count of a day in which a device answered all polls."""


def day_start(time_ms: int) -> int:
    """Returns the start of the day (UTC) of `time_ms`."""
    return time_ms - time_ms % DAY_MS
