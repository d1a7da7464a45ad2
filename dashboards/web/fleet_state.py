"""What the page Fleet shows: laptops by state, rings, versions, reasons. Pure.

Nothing of what a laptop measured is here, only whether it reports, to the hour.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from collectors.experience.groups import GroupsConfig
from collectors.ingest.device_lists import DeviceComparison
from collectors.ingest.fleet_list import remarks_of, state_of
from collectors.ingest.ingest_config import PolicyConfig
from collectors.ingest.registry_records import EnrolledAgent
from collectors.ingest.rejection_reasons import RejectionReason
from collectors.ingest.rings import (
    DAY_MS,
    RingState,
    ring_states,
    software_counts,
)
from collectors.natural_order import natural_order
from collectors.store.query import Pick, Query, Row, Where
from dashboards.row_values import float_value
from dashboards.web.list_page import ListPage, list_page
from probes.wire.path_probes import PATH, TEAMS_RELAY
from probes.wire.probe_list import probe_title
from probes.wire.stop_order import StopOrder, stops_everything

PAGE_LAPTOPS = 100
_COUNTER_STEP_MS = 600_000
_STEP_MS = 900_000
# How long a laptop has been silent: from so many days on.
_SILENT_DAYS = ((30, "30 days or more"), (7, "7 to 30 days"), (1, "1 to 7 days"))
# The part of a row's counts that is new if no call shows it: by the default period and
# window of groups.
_NEW_PART = GroupsConfig().period_s / GroupsConfig().window_s
NEVER = "has not reported yet"
# State → its level on the page, in the order in which they are listed.
STATES = {
    "reporting": "ok",
    "new": "none",
    "silent": "warn",
    "stopped": "none",
    "revoked": "bad",
    "replaced": "none",
}


class _Share(NamedTuple):
    """A share of the group of all laptops. `tried`: the field with the number of tries,
    each of which is in the rows of so many `windows`; `is_good`: it is the share that
    went well."""

    text: str
    tried: str
    is_good: bool = False
    windows: int = 1


_SHARES: dict[str, _Share] = {
    "call_poor_ratio": _Share("Test calls that missed a target", "calls"),
    "web_ok_ratio": _Share("Web requests that failed", "web_checks", True),
    "name_ok_ratio": _Share("Name look-ups that failed", "name_checks", True),
    "relay_blocked_ratio": _Share(
        "Teams relay without an answer",
        "relay_checks",
        windows=TEAMS_RELAY.group_windows,
    ),
    "gateway_poor_ratio": _Share(
        "First router with loss or delay", "gateway_checks", windows=PATH.group_windows
    ),
    "wifi_weak_ratio": _Share("Wi-Fi at -75 dBm or below", "wifi_checks"),
    "laptop_busy_ratio": _Share("Processor or memory nearly full", "laptop_checks"),
}
REFUSALS: dict[RejectionReason, str] = {
    RejectionReason.UNREADABLE: "cannot be read",
    RejectionReason.TOO_LARGE: "too large",
    RejectionReason.VERSION: "of another version",
    RejectionReason.MALFORMED: "malformed",
    RejectionReason.NOT_YOURS: "of another laptop",
    RejectionReason.CODING: "unknown coding",
    RejectionReason.CREDENTIAL: "credential not known, or revoked",
    RejectionReason.USED_TWICE: "credential of a copied disk",
    RejectionReason.ENROLMENT: "enrolment refused",
    RejectionReason.BUSY: "server busy, sent again later",
    RejectionReason.AGENT_RATE: "too many at once, sent again later",
    RejectionReason.ENROLMENT_RATE: "too many enrolments",
    RejectionReason.SLOW_BODY: "arrived too slowly",
}


class Laptop(msgspec.Struct, frozen=True):
    """One line of the list. `seen_ms`: the hour last seen, 0 for never. `remarks`: what
    looks wrong with it."""

    agent: str
    site: str
    ring: str
    team: str
    software: str
    state: str
    seen_ms: int
    remarks: tuple[str, ...] = ()


class Filter(msgspec.Struct, frozen=True):
    """What the list is narrowed to; empty is everything. `page` counts from 1."""

    site: str = ""
    ring: str | None = None
    state: str = ""
    page: int = 1


class RingProgress(msgspec.Struct, frozen=True):
    """A ring, what is stopped for it, and how many of its laptops have fetched the
    policy that they should have now."""

    ring: RingState
    stops: tuple[StopOrder, ...]
    have_policy: int


class FleetState(msgspec.Struct, frozen=True):
    """All laptops and what is counted of them. `enrolled` ones are neither revoked nor
    replaced; `silent` has how many are silent for how long; `copied` is how many have a
    credential that another laptop used. `expected` is of the list of the council's
    devices."""

    laptops: tuple[Laptop, ...]
    counts: dict[str, int]
    enrolled: int
    copied: int
    silent: dict[str, int]
    stops: tuple[StopOrder, ...]
    rings: tuple[RingProgress, ...]
    software: tuple[tuple[str, int], ...]
    sites: tuple[str, ...]
    expected: DeviceComparison | None = None
    expected_fault: str = ""


def fleet(
    agents: Sequence[EnrolledAgent],
    policy: PolicyConfig,
    stops: Callable[[str], Sequence[StopOrder]],
    now_ms: int,
    expected: DeviceComparison | str = "",
    is_current: Callable[[EnrolledAgent], bool] = lambda agent: False,
) -> FleetState:
    """The state of the fleet; `stops` returns the stops in force for a ring, and
    `is_current` whether a laptop has fetched the policy that it should have.
    `expected` is the comparison with the council's list, or why there is none."""
    rings = ring_states(agents, policy, now_ms)
    by_ring = {ring.name: tuple(stops(ring.name)) for ring in rings}
    whole = {name: stops_everything(stops) for name, stops in by_ring.items()}
    laptops = [
        Laptop(
            agent.agent,
            agent.home_site,
            agent.ring,
            agent.team,
            agent.software,
            laptop_state(agent, whole.get(agent.ring, False), now_ms),
            agent.last_seen_ms,
            tuple(remarks_of(agent)),
        )
        for agent in agents
    ]
    have_policy = Counter(
        agent.ring
        for agent in agents
        if agent.counts and agent.policy and is_current(agent)
    )
    counts = Counter(laptop.state for laptop in laptops)
    silent = Counter(
        silent_for(laptop.seen_ms, now_ms)
        for laptop in laptops
        if laptop.state == "silent"
    )
    return FleetState(
        tuple(laptops),
        {state: counts[state] for state in STATES},
        sum(agent.counts for agent in agents),
        sum(agent.copied_ms > 0 for agent in agents if agent.counts),
        {
            text: silent[text]
            for text in (*(text for _, text in reversed(_SILENT_DAYS)), NEVER)
            if silent[text]
        },
        tuple(dict.fromkeys(stop for stops in by_ring.values() for stop in stops)),
        tuple(
            RingProgress(ring, by_ring[ring.name], have_policy[ring.name])
            for ring in rings
        ),
        tuple(software_counts(agent for agent in agents if agent.counts)),
        tuple(sorted({laptop.site for laptop in laptops}, key=natural_order)),
        None if isinstance(expected, str) else expected,
        expected if isinstance(expected, str) else "",
    )


def laptop_state(agent: EnrolledAgent, is_stopped: bool, now_ms: int) -> str:
    """One of `STATES`. A laptop that is stopped still asks for its policy, so one that
    is not seen at all is silent. A new one enrolled within the day."""
    state = state_of(agent, now_ms)
    if state != "enrolled":
        return state
    if is_stopped:
        return "stopped"
    return "reporting" if agent.last_seen_ms else "new"


def silent_for(seen_ms: int, now_ms: int) -> str:
    """How long ago it was last seen, in words."""
    if not seen_ms:
        return NEVER
    days = (now_ms - seen_ms) / DAY_MS
    return next((text for least, text in _SILENT_DAYS if days >= least), "a day")


def list_laptops(laptops: Iterable[Laptop], wanted: Filter) -> ListPage[Laptop]:
    """The laptops that `wanted` names: first what looks wrong, then silent ones."""
    found = sorted(
        (
            laptop
            for laptop in laptops
            if wanted.site in {"", laptop.site}
            and wanted.ring in {None, laptop.ring}
            and wanted.state in {"", laptop.state}
        ),
        key=lambda laptop: (
            not laptop.remarks,
            laptop.state != "silent",
            natural_order(laptop.site),
            laptop.agent,
        ),
    )
    return list_page(found, wanted.page, PAGE_LAPTOPS)


def stop_text(stop: StopOrder) -> str:
    """What a stop stops."""
    if not stop.probes:
        return "everything"
    return ", ".join(probe_title(name) for name in stop.probes)


# Reasons.


def refusals_query(to_ms: int) -> Query:
    """The counters of refusals of a day; they count from the start of a process."""
    return Query(
        "self_ingest",
        tuple(Pick(f"refused_{reason}", "last") for reason in REFUSALS),
        to_ms - DAY_MS - _COUNTER_STEP_MS,
        to_ms,
        (),
        ("process", "transport"),
        _COUNTER_STEP_MS,
    )


def refusals(rows: Iterable[Row]) -> list[tuple[str, int]]:
    """How often something was refused within the day, by reason, most often first."""
    steps: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        key = row.tags.get("process", ""), row.tags.get("transport", "")
        steps.setdefault(key, []).append(row)
    counts: Counter[str] = Counter()
    for series in steps.values():
        ordered = sorted(series, key=lambda row: row.time_ms or 0)
        for reason, text in REFUSALS.items():
            name = f"refused_{reason}_last"
            counts[text] += rise([row.values.get(name) for row in ordered])
    return [(text, count) for text, count in counts.most_common() if count]


def needs_token(refused: Iterable[tuple[str, int]]) -> bool:
    """Whether laptops were refused that a new token brings back. Pure."""
    unknown = (RejectionReason.CREDENTIAL, RejectionReason.USED_TWICE)
    return bool(
        {REFUSALS[reason] for reason in unknown} & {text for text, _ in refused}
    )


def rise(values: Iterable[object]) -> int:
    """How much a counter has grown over its first value; one that is smaller than
    before has begun again."""
    before: int | None = None
    total = 0
    for value in values:
        if isinstance(value, int | float):
            now = int(value)
            if before is not None:
                total += now - before if now >= before else now
            before = now
    return total


class Trouble(NamedTuple):
    """What went wrong on laptops: the share, and about how often it was tried; None if
    that is not known."""

    text: str
    share: float
    tried: int | None


def troubles_query(to_ms: int) -> Query:
    """A day of the group of all laptops, which exists only if it is large enough."""
    counts = {"calls_once", *(share.tried for share in _SHARES.values())}
    return Query(
        "experience",
        (
            *(Pick(name, "mean") for name in _SHARES),
            *(Pick(name, "sum") for name in sorted(counts)),
        ),
        to_ms - DAY_MS,
        to_ms,
        (Where("by", ("all",)),),
        ("group",),
    )


def troubles(rows: Iterable[Row]) -> list[Trouble]:
    """What went wrong on laptops, as a share of what was tried, the largest first."""
    found: dict[str, Trouble] = {}
    for row in rows:
        calls, once = (
            float_value(row, f"{name}_sum") for name in ("calls", "calls_once")
        )
        # The rows of a window are copies, so only this part of each count is new.
        part = once / calls if calls and once else _NEW_PART
        for name, share in _SHARES.items():
            value = float_value(row, f"{name}_mean")
            if value is None:
                continue
            counted = float_value(row, f"{share.tried}_sum")
            tried = None if counted is None else round(counted * part / share.windows)
            bad = 1 - value if share.is_good else value
            found[name] = Trouble(share.text, bad, tried)
    return sorted(found.values(), key=lambda trouble: -trouble.share)
