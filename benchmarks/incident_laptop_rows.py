"""What laptops measure of the incidents' council, as figures of groups every five
minutes: who is at work, how calls are, where names and services fail."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from benchmarks.incident_council import Council
from probes.wire.sample import Sample, Value

_LONDON = ZoneInfo("Europe/London")


class LaptopRows:
    """Figures vary; `readings` of a fault replace them."""

    def __init__(self, council: Council, dice: random.Random) -> None:
        self._council, self._dice = council, dice
        self._poor: dict[tuple[str, str], list[float]] = {}

    def rows(
        self,
        now_ms: int,
        reachable: Collection[str],
        readings: Mapping[tuple[str, ...], Mapping[str, Value]],
    ) -> Iterator[Sample]:
        """Groups of sites that no cable reaches report nothing."""
        local = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(_LONDON)
        busy = 1.0 if local.weekday() < 5 and 8 <= local.hour < 18 else 0.03
        council = self._council
        everybody = sum(council.laptops.values()) + sum(council.providers.values())
        groups = [("all", "all", everybody), ("vpn", "AnyConnect", everybody // 2)]
        groups += [("provider", name, n) for name, n in council.providers.items()]
        groups += [
            ("site", site, n)
            for site, n in council.laptops.items()
            if council.at_site(site, "switch")[0] in reachable
        ]
        for by, group, size in groups:
            agents = round(size * busy * self._dice.uniform(0.75, 0.95) / 5) * 5
            if agents >= 10:
                fields = self._figures(by, group, agents)
                fields |= readings.get(("experience", by, group), {})
                tags = {"by": by, "group": group}
                yield Sample("experience", tags, fields, now_ms)

    def _figures(self, by: str, group: str, agents: int) -> dict[str, Value]:
        calls = max(10, agents)
        poor = self._poor.setdefault((by, group), [0.02] * 3)
        poor.append(sum(self._dice.random() < 0.02 for _ in range(calls)) / calls)
        del poor[0]
        return {
            "agents": agents,
            "calls": calls,
            "call_poor_ratio": sum(poor) / 3,
            "wifi_weak_ratio": self._dice.uniform(0.02, 0.15),
            "tunnel_added_p50_ms": self._dice.uniform(5, 15),
            "relay_blocked_ratio": self._dice.uniform(0, 0.05),
            "name_checks": calls,
            "name_ok_ratio": self._dice.uniform(0.985, 1.0),
            "microsoft_checks": calls,
            "microsoft_ok_ratio": self._dice.uniform(0.97, 1.0),
            "web_checks": calls,
            "web_ok_ratio": self._dice.uniform(0.97, 1.0),
        }
