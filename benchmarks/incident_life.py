"""What happens in a council's week although nothing is wrong, and nobody is to be paged
for: copies at night, a patch evening, devices that are replaced, self-tests of UPSs, a
site whose power is off as planned, restarts of Towpath."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.silence import Silence, silence_of
from benchmarks.incident_council import Council
from benchmarks.incident_faults import (
    MINUTE_MS,
    Effect,
    Fault,
    branches,
    make_fault,
)

_LONDON = ZoneInfo("Europe/London")
_NIGHTS = 7


@dataclasses.dataclass(frozen=True)
class Life:
    """`happenings` change what is measured; `silences` are the planned maintenance;
    `restarts`: when Towpath is restarted."""

    happenings: tuple[Fault, ...]
    silences: tuple[Silence, ...]
    restarts: tuple[int, ...]


def usual_life(council: Council, seed: int, start_ms: int, days: float) -> Life:
    """The life of the `days` from `start_ms` on, a Monday, in local time."""
    dice = random.Random(f"life {seed}")
    until_ms = start_ms + round(days * 86_400_000)
    week = _Week(council, dice, datetime.fromtimestamp(start_ms / 1000, UTC))
    week.copy_at_night()
    week.test_ups()
    week.patch()
    week.replace_switch()
    week.work_on_power()
    restarts = sorted(dice.randint(start_ms, until_ms) for _ in range(3))
    return Life(
        tuple(f for f in week.happenings if f.begin_ms < until_ms),
        tuple(week.silences),
        tuple(restarts),
    )


class _Week:
    """Collects what happens. Days count from 0, Monday; times are local."""

    def __init__(self, council: Council, dice: random.Random, monday: datetime) -> None:
        self._council, self._dice, self._monday = council, dice, monday.date()
        self.happenings: list[Fault] = []
        self.silences: list[Silence] = []

    def copy_at_night(self) -> None:
        """Backups fill lines for two to four hours."""
        lines = [c for c in self._council.circuits if c.far and c.role == "primary"]
        for line in self._dice.sample(lines, min(6, len(lines))):
            use = self._dice.choice(("down_use_ratio", "up_use_ratio"))
            for night in range(1, _NIGHTS):
                minutes = self._dice.randint(120, 240)
                effect = Effect("reading", ("line", line.id), 0, 0, ((use, 0.98),))
                self._happens("copy at night", night, 1, 30, minutes, [effect])

    def test_ups(self) -> None:
        """Every UPS runs on battery for some seconds once a week."""
        for ups in self._council.ups:
            lasts_ms = self._dice.randint(8, 25) * 1000
            battery = Effect(
                "reading", ("sensor", ups), 0, lasts_ms, (("on_battery", 1),)
            )
            effects = [battery]
            if self._dice.random() < 0.5:
                trap = (("level", 4), ("text", "UPS on battery"))
                key = ("ups_on_battery", ups, "", "")
                effects.append(Effect("event", key, 0, lasts_ms, trap))
            day, hour = self._dice.randrange(7), self._dice.randrange(24)
            minute = self._dice.randrange(60)
            self._happens(
                "UPS tests itself", day, hour, minute, lasts_ms / 60_000, effects
            )

    def patch(self) -> None:
        """Wednesday evening, a tenth of the sites: every device restarts once."""
        sites = branches(self._council)
        for site in self._dice.sample(sites, max(2, len(sites) // 10)):
            self._maintenance(2, 19, 180, site=site)
            for device in self._council.at_site(site):
                minutes = self._dice.randint(2, 9)
                effects = [
                    Effect("dead", device, 0, minutes * MINUTE_MS),
                    Effect(
                        "reading",
                        ("device", device),
                        minutes * MINUTE_MS,
                        (minutes + 2) * MINUTE_MS,
                        (("restarted", 1),),
                    ),
                ]
                after = self._dice.randint(5, 150)
                self._happens("patched", 2, 19, after, minutes + 2, effects)

    def replace_switch(self) -> None:
        """Tuesday evening, three switches: the new one has no second power supply."""
        switches = [d for d in self._council.devices if "-sw" in d]
        for device in self._dice.sample(switches, 3):
            self._maintenance(1, 20, 90, device=device)
            absent = (("severity", 2), ("state", "notPresent"))
            rest = 14 * 24 * 60
            effects = [
                Effect("dead", device, 0, 25 * MINUTE_MS),
                Effect(
                    "reading",
                    ("sensor", device, "state", "Power Supply 2"),
                    25 * MINUTE_MS,
                    0,
                    absent,
                ),
                Effect(
                    "reading",
                    ("inventory", device),
                    25 * MINUTE_MS,
                    0,
                    (("serial", f"SN-{device}-new"),),
                ),
            ]
            self._happens("switch replaced", 1, 20, 10, rest, effects)

    def work_on_power(self) -> None:
        """Sunday morning, one site: the mains are off for four hours."""
        site = self._dice.choice(branches(self._council))
        self._maintenance(6, 7, 6 * 60, site=site)
        self._happens("mains off", 6, 8, 0, 240, [Effect("mains", site)])

    def _maintenance(self, day: int, hour: int, minutes: int, **scope: str) -> None:
        begin_ms = self._at_ms(day, hour, 0)
        until_ms = begin_ms + minutes * MINUTE_MS
        silence = silence_of(scope, begin_ms, until_ms, "planned work", "network team")
        self.silences.append(silence)

    def _happens(
        self,
        kind: str,
        day: int,
        hour: int,
        minute: int,
        minutes: float,
        effects: list[Effect],
    ) -> None:
        fault = make_fault(kind, set(), effects, minutes)
        begin_ms = self._at_ms(day, hour, minute)
        self.happenings.append(dataclasses.replace(fault, begin_ms=begin_ms))

    def _at_ms(self, day: int, hour: int, minute: int) -> int:
        date = self._monday + timedelta(days=day)
        local = datetime(date.year, date.month, date.day, hour, tzinfo=_LONDON)
        return round(local.timestamp() * 1000) + minute * MINUTE_MS


def maintenance_of(fault: Fault) -> Iterator[Silence]:
    """The planned maintenance that is part of an incident."""
    for effect in fault.effects:
        if effect.what == "maintenance":
            yield silence_of(
                dict([effect.key]),
                fault.begin_ms + effect.from_ms,
                fault.begin_ms + effect.to_ms,
                "planned work",
                "network team",
            )
