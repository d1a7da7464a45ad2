"""The list of laptops: the state of each, and which of them were asked for. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal, get_args

import msgspec

from collectors.ingest.registry_records import EnrolledAgent
from collectors.natural_order import natural_order
from probes.wire.counted_text import counted

State = Literal["enrolled", "silent", "replaced", "revoked"]
STATES: tuple[State, ...] = get_args(State)
# After so many days without a report a laptop is silent, if nothing else is asked for.
SILENT_DAYS = 1
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000


class FleetFilter(msgspec.Struct, frozen=True):
    """Which laptops: an empty text is any. `silent_days`: from when on one is silent;
    `only_silent`: no others."""

    site: str = ""
    ring: str = ""
    state: str = ""
    silent_days: float = SILENT_DAYS
    only_silent: bool = False


def state_of(
    agent: EnrolledAgent, now_ms: int, silent_days: float = SILENT_DAYS
) -> State:
    """A laptop that never reported is silent from its enrolment on."""
    if agent.revoked:
        return "revoked"
    if agent.replaced_ms:
        return "replaced"
    # The registry keeps only the hour.
    last_ms = max(agent.last_seen_ms, agent.enrolled_ms - agent.enrolled_ms % _HOUR_MS)
    hour_ms = now_ms - now_ms % _HOUR_MS
    return "silent" if last_ms < hour_ms - silent_days * _DAY_MS else "enrolled"


def remarks_of(agent: EnrolledAgent) -> list[str]:
    """What looks wrong with it, in words."""
    remarks = []
    if agent.copied_ms:
        remarks.append(f"two laptops used its credential ({_day(agent.copied_ms)})")
    if agent.shares:
        remarks.append("its computer's number is not its own")
    return remarks


def select(
    agents: Iterable[EnrolledAgent], wish: FleetFilter, now_ms: int
) -> list[tuple[EnrolledAgent, State]]:
    """The laptops that were asked for, by home site."""
    chosen = []
    for agent in sorted(
        agents, key=lambda agent: (natural_order(agent.home_site), agent.agent)
    ):
        state = state_of(agent, now_ms, wish.silent_days)
        if (
            wish.site in ("", agent.home_site)
            and wish.ring in ("", agent.ring)
            and wish.state in ("", state)
            and (state == "silent" or not wish.only_silent)
        ):
            chosen.append((agent, state))
    return chosen


def count_text(chosen: Iterable[tuple[EnrolledAgent, State]]) -> str:
    """Such as "3 laptops: 2 enrolled, 1 revoked"."""
    counts = Counter(state for _, state in chosen)
    total = counts.total()
    laptops = counted(total, "laptop")
    parts = [f"{counts[state]} {state}" for state in STATES if counts[state]]
    return f"{laptops}: {', '.join(parts)}" if parts else laptops


def fleet_row(agent: EnrolledAgent, state: State) -> dict[str, object]:
    """One laptop for other programs, without the hash of its computer's number."""
    return {
        "agent": agent.agent,
        "site": agent.home_site,
        "ring": agent.ring,
        "team": agent.team,
        "state": state,
        "software": agent.software,
        "remarks": remarks_of(agent),
        "enrolled": _time(agent.enrolled_ms),
        "last_seen": _time(agent.last_seen_ms) if agent.last_seen_ms else None,
    }


def _day(time_ms: int) -> str:
    return _time(time_ms)[:10]


def _time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:00:00Z")
